"""Today's machine: a fresh one of each port, allocations one by one and many at once.

    python tests/bench/bench_today.py [--objects N] [--rounds N]

One by one is held against the machine of 2017 in the same run, many at once against a program of the Go
that is installed, for the same sizes (objects.go). Times are processor seconds, memory is what Python
itself had to ask for (tracemalloc). Exits 1 where a limit is missed.
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

import numpy as np
import real
from bench_bulk import mixed, model
from bench_machine import best

from allocator.common.types import Type
from archcalc import generations, machines
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.profiles import platforms

GO = "1.27"
BOOT, BOOT_MEMORY = 0.020, 4_000_000  # seconds, bytes: of every port's machine
RATIO = 1.3  # one by one, times what the machine of 2017 takes
OF_REAL = 0.6  # many at once, times what the program takes
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
    }

    def taken(go: str | None, size: int, typ: Type | None) -> float:
        malloc = boot("linux/amd64", go=go).malloc

        def run() -> None:
            for _ in range(CALLS if size < 8192 else CALLS // 20):
                malloc(size, typ)

        return best(run)

    ratios: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, kind in kinds.items():
            ratios[name].append(taken(GO, *kind) / taken(None, *kind))
    return {name: statistics.median(found) for name, found in ratios.items()}


def many(n: int, rounds: int) -> tuple[float, float | None]:
    """Seconds for n objects at once, the best of several rounds; and what the program takes for them."""
    sizes = mixed(n)
    tool = real.toolchain()
    built = None if tool is None else real.program(tool)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        rt = boot("linux/amd64", go=GO)
        gc.collect()
        ours.append(best(partial(rt.malloc_many, sizes, noscan=True)))
        if built is not None:
            theirs.append(real.rows(built, n)["mixed"] * n / 1e9)
    return min(ours), min(theirs, default=None)


def main() -> int:
    """Prints the table and says whether the limits hold."""
    options = arguments()
    versions = f"Python {platform.python_version()} on {platform.machine()}, numpy {np.__version__}"
    print(f"{versions} ({model()}), {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    held = True

    def judge(ok: bool, text: str) -> None:
        nonlocal held
        held = held and ok
        print(f"{text}: {'ok' if ok else 'MISSED'}")

    (taken, slow), (memory, large) = boots(options.rounds)
    ports = len(generations.ports(GO))
    judge(
        taken <= BOOT,
        f"{taken * 1000:8.1f} ms    the slowest of {ports} boots, {slow} (at most {BOOT * 1000:.0f})",
    )
    judge(
        memory <= BOOT_MEMORY,
        f"{memory / 1e6:8.2f} MB    the largest of them, {large} (at most {BOOT_MEMORY / 1e6:.0f})",
    )
    for name, ratio in one_by_one(options.rounds).items():
        judge(ratio <= RATIO, f"{ratio:8.2f} x     the machine of 2017, {name} (at most {RATIO})")
    taken, program = many(options.objects, options.rounds)
    limit = MANY * options.objects / 10_000_000
    judge(
        taken <= limit, f"{taken:8.3f} s     {options.objects:,} objects of mixed sizes (at most {limit:g})"
    )
    if program is None:
        print("no Go to compare with")
    else:
        judge(
            taken <= OF_REAL * program,
            f"{taken / program:8.2f} x     the program's {program:.3f} s (at most {OF_REAL})",
        )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
