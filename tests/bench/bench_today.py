"""Today's machine: a fresh one of each port, allocations one by one and many at once.

    python tests/bench/bench_today.py [--objects N] [--rounds N]

One by one is held against the machine of 2017 in the same run, many at once against a program of the Go
that is installed, for the same sizes (objects.go). Ratios of many are of the clock or of processor time,
whichever is smaller; other times are processor seconds; memory is what Python itself had to ask for
(tracemalloc). Exits 1 where a limit is passed.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import sys
import tracemalloc
from functools import partial
from typing import Any

import numpy as np
import real
from bench_bulk import judge_first_uses, model, workloads
from bench_machine import best
from real import Took
from verdicts import Verdicts

from allocator.common.bulk.engine import has_numba, use_compiled
from allocator.common.types import Type
from archcalc import generations, machines
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.profiles import platforms

GO = "1.27"
BOOT, BOOT_MEMORY = 0.020, 4_000_000  # seconds, bytes: of every port's machine
RATIO = 1.3  # one by one, times what the machine of 2017 takes
# Many at once, times what the program takes: at most, and what is wanted.
OF_REAL = {"numpy": (0.9, 0.3), "compiled": (0.75, 0.12)}
OF_2017, OF_2017_WANTED = 2.0, 1.2  # many at once, times what the machine of 2017 takes
AT_ONCE = {"mixed sizes": "mixed", "words": "words", "mixed types": "typed"}  # and the program's rows
OBJECT = 64 << 20
FILL, FILL_MEMORY = 5.0, 40_000_000  # seconds and bytes for a terabyte of such
MANY = 1.0  # seconds for ten million objects
CALLS = 100_000


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def boots(rounds: int) -> tuple[tuple[float, str], tuple[int, str]]:
    """The slowest port's boot, the best of several rounds, and the one that takes most memory."""
    slowest, largest = (0.0, ""), (0, "")
    for name in generations.ports(GO):
        target = figures.compute(platforms.of(name, GO), {}, GO)
        start = partial(machines.boot, target, procs=2)
        slowest = max(slowest, (min(best(start) for _ in range(rounds)), name))
        gc.collect()
        tracemalloc.start()
        start()
        largest = max(largest, (tracemalloc.get_traced_memory()[1], name))
        tracemalloc.stop()
    return slowest, largest


def one_by_one(rounds: int) -> dict[str, float]:
    """What each kind of object costs, times what it costs on the machine of 2017; the median of rounds."""
    node = Type.of_words("node", "ppp.", 8)
    record = Type.of_words("record", "pp.p..", 8)
    kinds: dict[str, tuple[int, Type | None]] = {
        "8 bytes, no pointers (tiny)": (8, None),
        "64 bytes, no pointers": (64, None),
        "512 bytes, no pointers": (512, None),
        "32 bytes, three pointers": (node.size, node),
        "48 bytes, three pointers": (record.size, record),
        "8192 bytes, no pointers": (8192, None),
        "33 KB, no pointers": (33 << 10, None),
        "100 KB, no pointers": (100 << 10, None),
        "1 MB, no pointers": (1 << 20, None),
        "64 MB, no pointers": (64 << 20, None),
    }

    def taken(go: str | None, size: int, typ: Type | None) -> float:
        malloc = boot("linux/amd64", go=go).malloc

        def run() -> None:
            for _ in range(CALLS if size < 8192 else CALLS // 20):
                malloc(size, typ)

        gc.collect()  # what other machines left behind is not this one's
        return best(run)

    ratios: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, kind in kinds.items():
            ratios[name].append(taken(GO, *kind) / taken(None, *kind))
    return {name: statistics.median(found) for name, found in ratios.items()}


def many(n: int, rounds: int) -> dict[tuple[str, str], Took]:
    """What an object takes, by what is asked for and who is: the best of several rounds, in turn."""
    work = {name: does for name, does in workloads(n).items() if name in AT_ONCE}
    tool = real.toolchain()
    built = None if tool is None else real.program(tool)
    found: dict[tuple[str, str], list[Took]] = {}
    engines = ["numpy", *(["compiled"] if has_numba() else [])]
    for turn in range(-1, rounds):
        taken: dict[tuple[str, str], Took] = {}
        for engine in engines:
            use_compiled(engine == "compiled")
            for name, does in work.items():
                for go in (GO, None):
                    rt = boot("linux/amd64", go=go)
                    gc.collect()
                    taken[name, f"{go or 2017}, {engine}"] = real.timed(partial(does, rt)) / n
        if built is not None:
            rows = real.rows(built, n)
            taken |= {(name, "real"): rows[row] for name, row in AT_ONCE.items()}
        # The first round compiles, and fills caches.
        if turn >= 0:
            for key, value in taken.items():
                found.setdefault(key, []).append(value)
    return {key: real.best(values) for key, values in found.items()}


def terabyte() -> tuple[float, int]:
    """Seconds for a terabyte of objects of 64 MB, and the memory that they take."""
    taken = best(partial(fill, boot("linux/amd64", go=GO)))
    rt = boot("linux/amd64", go=GO)
    tracemalloc.start()
    fill(rt)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return taken, memory


def fill(rt: Any) -> None:
    """A terabyte, an object at a time."""
    for _ in range((1 << 40) // OBJECT):
        rt.malloc(OBJECT)


def main() -> int:
    """Prints the table and says whether the limits hold."""
    options = arguments()
    versions = f"Python {platform.python_version()} on {platform.machine()}, numpy {np.__version__}"
    print(f"{versions} ({model()}), {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    verdicts = Verdicts()
    (taken, slow), (memory, large) = boots(options.rounds)
    ports = len(generations.ports(GO))
    verdicts.row(f"the slowest of {ports} boots, {slow}", taken * 1000, BOOT * 1000, unit="ms")
    verdicts.row(f"the largest of them, {large}", memory / 1e6, BOOT_MEMORY / 1e6, unit="MB")
    for name, ratio in one_by_one(options.rounds).items():
        verdicts.row(f"{name}, of the machine of 2017", ratio, RATIO, OF_2017_WANTED)
    taken, memory = terabyte()
    verdicts.row("a terabyte of objects of 64 MB", taken, FILL, unit="s")
    verdicts.row("the same", memory / 1e6, FILL_MEMORY / 1e6, unit="MB")
    times = many(options.objects, options.rounds)
    for (name, who), each in times.items():
        print(f"{each.clock:8.1f} {each.processor:8.1f} ns an object, {name}, {who}")
    for engine, (of_real, wanted) in OF_REAL.items():
        for name in AT_ONCE:
            mine = times.get((name, f"{GO}, {engine}"))
            if mine is None:
                continue
            old, program = times[name, f"2017, {engine}"], times.get((name, "real"))
            what = f"{name}, {engine}, of the machine of 2017"
            verdicts.row(what, mine.times(old), OF_2017, OF_2017_WANTED)
            if program is not None:
                what = f"{name}, {engine}, of the real runtime"
                verdicts.row(what, mine.times(program), of_real, wanted if name == "mixed sizes" else 0.3)
    seconds = times["mixed sizes", f"{GO}, numpy"].processor / 100
    verdicts.row("ten million objects of mixed sizes", seconds, MANY, unit="s")
    if has_numba():
        judge_first_uses(verdicts, GO, times.get(("mixed sizes", "real")))
    return verdicts.exit_code


if __name__ == "__main__":
    sys.exit(main())
