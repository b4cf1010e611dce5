"""One what-if: the same row every time, with whatever happens to the machine."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest

from archcalc import generations
from archcalc.boot import boot
from archcalc.generations import CURRENT
from archcalc.profiles import platforms
from archcalc.sweeps.point import NOTHING, Histogram, Point, Ranges, Recording, work
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.stats import line_by_line

DATA = Path(__file__).parents[2] / "data"
RELEASES = (CURRENT, "1.21", "1.22", "1.27")


def row(platform: str = "linux/amd64", on: str = CURRENT, **said: Any) -> dict[str, Any]:
    """The outcome of a point, on the machine of a generation."""
    return dict(work(Point(0, platforms.load(platform, on), **said)))


@pytest.mark.parametrize("on", RELEASES)
def test_the_same_row_every_time(on: str) -> None:
    assert row(on=on, workload="churn", n=800, seed=4) == row(on=on, workload="churn", n=800, seed=4)
    assert row(on=on, workload="churn", n=800, seed=4) != row(on=on, workload="churn", n=800, seed=5)


@pytest.mark.parametrize("on", RELEASES)
def test_a_histograms_objects_are_all_there(on: str) -> None:
    empty = row(on=on, workload=NOTHING)
    histogram = Histogram("h", ((16, 1000), (100, 50), (5000, 7), (100_000, 2), (3, 10)))
    found = row(on=on, histogram=histogram)
    asked = 16_000 + 5000 + 35_000 + 200_000 + 30
    assert (found["outcome"], found["allocations"], found["asked"]) == ("ok", 1069, asked)
    assert found["waste"] == found["heap_inuse"] - found["live_asked"]
    assert found["waste"] == sum(found[name] for name in ("inside", "tails", "unfilled", "rest"))
    if not empty["live_objects"]:  # a runtime that keeps nothing of its own on the heap
        assert found["rest"] == 2  # ten objects of 3 bytes in two blocks of 16
    assert found["live_objects"] >= empty["live_objects"] + 1059 + 2
    assert found["inside"] >= 50 * 12 + 7 * (5376 - 5000)
    assert found["waste_share"] == pytest.approx(found["waste"] / found["heap_inuse"], abs=1e-6)


@pytest.mark.parametrize("on", RELEASES)
def test_rounding_is_what_the_machine_rounds(on: str) -> None:
    """1000 objects of 1025 bytes: class 1152 in Go's table, 2048 where there are only powers of two."""
    histogram = Histogram("h", ((1025, 1000),))
    rt = boot("linux/amd64", go=on)
    block = rt.block_of(rt.malloc(1025, noscan=True))
    assert block is not None and block[1] == 1152
    assert row(on=on, histogram=histogram)["inside"] == 1000 * (block[1] - 1025)
    assert row(on=on, histogram=histogram, classes="powers-of-two")["inside"] == 1000 * (2048 - 1025)


def test_a_what_if_that_no_machine_reads_is_refused() -> None:
    found = row(on="1.27", sets=(("maxObletBytes", 3),), workload=NOTHING)
    assert found["outcome"] == "refused" and "no machine of Go 1.27 reads it" in str(found["why"])


def test_a_source_trees_machine_is_known_to_any_process() -> None:
    """A point carries what it is of; here what a release's tree says, with the release's own tables."""
    release = generations.load("1.27")
    tree = dataclasses.replace(release, tree="elsewhere")
    name = f"{tree.name}@elsewhere"
    profile = dataclasses.replace(platforms.load("linux/amd64", "1.27"), go=name)
    point = pickle.loads(pickle.dumps(Point(0, profile, n=100, go="go1.27", tree=tree)))
    found = work(point)
    assert generations.adopted(name) is not None
    assert found == {**work(Point(0, platforms.load("linux/amd64", "1.27"), n=100)), "go": "go1.27"}


def test_what_ifs_reach_the_machine() -> None:
    found = row(
        sets=(("_PageShift", 14),), constants=("_PageSize", "_NumSizeClasses", "noSuch"), workload=NOTHING
    )
    assert (found["page_size"], found["figure._PageSize"]) == (16384, 16384)
    assert found["figure._NumSizeClasses"] == found["size_classes"]
    assert found["figure.noSuch"] is None
    assert (found["set._PageShift"], found["allocations"]) == (14, 0)


def test_taken_ranges_reach_the_machine() -> None:
    """linux/amd64: the first hint's 512 GB have a neighbour in them, so the arena lies elsewhere."""
    usual = row(workload=NOTHING)["arena_used"]
    taken = Ranges("0xc000000000+1g", ((0xC000000000, 0xC040000000),))
    assert usual >> 32 == 0xC4
    assert row(workload=NOTHING, machine=(("taken", taken),))["arena_used"] >> 32 != 0xC4


def test_what_cannot_be_is_refused_with_its_reason() -> None:
    found = row(sets=(("_NoSuchConstant", 1),))
    assert found["outcome"] == "refused" and "_NoSuchConstant" in found["why"]
    found = row(sets=(("_PageShift", 20),), classes="powers-of-two")
    assert found["outcome"] == "refused" and found["why"]


def test_a_death_is_a_result() -> None:
    found = row("linux/386", machine=(("ulimit_v", 1 << 20),))
    assert (found["outcome"], found["why"]) == ("died", "runtime: cannot reserve arena virtual address space")
    found = row("linux/386", workload="exhaust", n=2000)
    assert found["outcome"] == "died" and "out of memory" in found["why"]


def recording_of(folder: str, name: str) -> Recording:
    path = DATA / folder / f"{name}.trace.gz"
    return Recording.read(path.name, path, name)


@pytest.mark.parametrize("classes", ["go", "quarters"])
@pytest.mark.parametrize("on", RELEASES)
@pytest.mark.parametrize(
    ("folder", "name"), [("version2", "go1.27-linux-amd64"), ("version2", "go1.22-linux-amd64-procs")]
)
def test_a_recorded_program_keeps_what_it_kept_on_any_machine(
    folder: str, name: str, on: str, classes: str
) -> None:
    recording = recording_of(folder, name)
    counted = line_by_line(DATA / folder / f"{name}.trace.gz", lambda header: config_for(header, {}))
    found = row(on=on, recording=recording, classes=classes)
    assert (found["outcome"], found["workload"]) == ("ok", "recording")
    assert found["recording"] == f"{name}.trace.gz"
    assert (found["allocations"], found["asked"]) == (counted.allocations, counted.bytes)
    assert found["collections"] >= counted.collections
    assert found["live_asked"] == counted.live_bytes
    assert found["procs"] == recording.procs


def test_a_recording_runs_on_machines_with_words_as_large() -> None:
    recording = recording_of("version2", "go1.27-linux-386")
    assert row("linux/arm", "1.27", recording=recording)["outcome"] == "ok"
    refused = row("linux/amd64", "1.27", recording=recording)
    assert refused["outcome"] == "refused"
    assert "words of another size" in refused["why"]
