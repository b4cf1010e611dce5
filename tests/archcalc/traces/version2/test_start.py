"""What a start takes from the heap, in the order in which recorded programs did."""

from __future__ import annotations

import gzip
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from allocator.sparse.startup import PLACES, StartUp, Surroundings
from archcalc import generations, machines
from archcalc.calculator import figures
from archcalc.profiles import platforms

DATA = Path(__file__).parents[3] / "data" / "version2"
NAMES = ("go1.2?-linux-amd64", "go1.2?-linux-386", "go1.2?-linux-amd64-module")
FILES = [file for name in NAMES for file in sorted(DATA.glob(f"{name}.trace.gz"))]


def lines(file: Path) -> list[str]:
    return gzip.decompress(file.read_bytes()).decode().splitlines()


def recorded(file: Path) -> tuple[list[tuple[int, bool]], int]:
    """The sizes of objects that come after the Ps, whether they have no pointers; how many Ps there are."""
    procs, objects = 0, []
    for line in lines(file):
        words = line.split()
        if words[:2] == ["(", "pinit"]:
            procs, objects = procs + 1, []
        elif words[0] == "m":
            objects.append((int(words[2]), "n" in words[4]))
    return objects, procs


def made(file: Path, around: Surroundings) -> list[tuple[int, bool]]:
    """The same of a machine's start."""
    release, _, rest = file.name.removeprefix("go").partition("-linux-")
    generation = generations.named(release)
    rt = machines.prepare(
        figures.compute(platforms.of(f"linux/{rest.split('.')[0].split('-')[0]}", generation), {}, generation)
    )
    # Programs of old modules tell no names, and have no goroutine that waits to change GOMAXPROCS.
    if rt.config.updates_procs and not any(line.startswith("N ") for line in lines(file)):
        machines.debug(rt, {"updatemaxprocs": 0})
    objects: list[tuple[int, bool]] = []

    class Watched(StartUp):
        def object(self, size: int, *, noscan: bool = False) -> int:
            objects.append((size, noscan))
            return super().object(size, noscan=noscan)

        def steal_order(self) -> None:
            objects.clear()
            super().steal_order()

    Watched(rt, around).run()
    return objects


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".trace")[0])
def test_a_start_takes_what_the_recorded_one_took(file: Path) -> None:
    objects, procs = recorded(file)
    classes = machines.config_of(
        figures.compute(platforms.of("linux/amd64", "1.27"), {}, "1.27")
    ).size_classes

    def rounded(found: list[tuple[int, bool]]) -> list[tuple[int, bool]]:
        return [(classes.round_up_size(size), noscan) for size, noscan in found]

    starts = []
    for more in range(4):
        for places in combinations_with_replacement(PLACES, more):
            starts.append(rounded(made(file, Surroundings(procs=procs, threads=places))))
            if starts[-1] == rounded(objects[: len(starts[-1])]):
                return
    raise AssertionError(f"{rounded(objects)[:40]} is none of {starts[0]} and others")
