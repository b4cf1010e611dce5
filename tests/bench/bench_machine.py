"""What a machine costs: small allocations against an empty method call, a boot, and 512 GB of large objects.

    python tests/bench/bench_machine.py

Allocations and empty calls take turns, so that whatever else the machine does falls on both alike,
and the median of several rounds counts, in processor time. Memory is what Python itself had to ask
for (tracemalloc). The floor of an allocation is an empty call, and its part of a record for its span. Exits 1
where a limit is passed.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from statistics import median

from verdicts import Verdicts

from allocator.common.throw import Throw
from allocator.common.types import Type
from allocator.contiguous.mspan import Spans
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.machines import config_of
from archcalc.machines.computer import system_of
from archcalc.profiles import platforms

CALLS = 200_000
ROUNDS = 7
# In empty method calls: an object of a span that is at hand, of which there are hundreds, and what is wanted.
RATIO, WANTED = 18.0, 15.0
# Of those of which a span has few, by size: how many, and the limit; a span itself costs 130 to 180 calls.
OBJECTS = {"512": (16, 20.0), "8192": (1, 250.0)}
BOOT = 0.005  # seconds
BOOTS_MEMORY = 40_000_000  # bytes, all platforms together
FILL = 10.0  # seconds for 512 GB
FILL_MEMORY = 200_000_000
OBJECT = 64 << 20


class Empty:
    """Something to call."""

    __slots__ = ()

    def call(self, size: int) -> int:
        """Nothing."""
        return 0


def best(run: Callable[[], object]) -> float:
    """Processor seconds of one run."""
    start = time.process_time()
    run()
    return time.process_time() - start


def mallocs() -> dict[str, float]:
    """What each kind of allocation costs, in empty method calls of the same run."""
    pair = Type.of_words("pair", "p.", 8)
    node = Type.of_words("node", "ppp.", 8)
    record = Type.of_words("record", "pp.p..", 8)
    kinds: dict[str, tuple[int, Type | None]] = {
        "8 bytes, no pointers (tiny)": (8, None),
        "64 bytes, no pointers": (64, None),
        "512 bytes, no pointers": (512, None),
        "16 bytes, a pointer": (pair.size, pair),
        "32 bytes, three pointers": (node.size, node),
        "48 bytes, three pointers": (record.size, record),
        "8192 bytes, no pointers": (8192, None),
    }

    def allocate(size: int, typ: Type | None) -> Callable[[], None]:
        malloc = boot("linux/amd64").malloc

        def run() -> None:
            for _ in range(CALLS):
                malloc(size, typ)

        return run

    ratios: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, (size, typ) in kinds.items():
            ratios[name].append(best(allocate(size, typ)) / best(empty))
    return {name: median(found) for name, found in ratios.items()}


def empty() -> None:
    """Calls that do nothing."""
    call = Empty().call
    for _ in range(CALLS):
        call(8)


def record_of_span() -> float:
    """What a new record of a span costs alone, all its fields written, in empty method calls."""

    def run() -> None:
        record = Spans([]).record
        for address in range(CALLS // 16):
            record(address)

    return median(16 * best(run) / best(empty) for _ in range(ROUNDS))


def boots() -> tuple[float, int]:
    """Seconds of the slowest platform's boot, each the best of several, and the memory of all together."""
    slowest = 0.0
    for name in platforms.names():
        target = figures.compute(platforms.load(name))
        boot(name)
        config = config_of(target)
        taken = min(best(partial(Runtime, config, system_of(target))) for _ in range(ROUNDS))
        slowest = max(slowest, taken)
    tracemalloc.start()
    machines = [boot(name) for name in platforms.names()]
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(machines) == 38
    return slowest, memory


def fill(rt: Runtime) -> int:
    """Fills the arena to its end with large objects; how many there were."""
    count = 0
    try:
        while True:
            rt.malloc(OBJECT)
            count += 1
    except Throw as dead:
        if dead.words != "out of memory" or count < (512 << 30) // OBJECT - 2:
            raise
        return count


def main() -> int:
    """Prints the table and says whether the limits hold."""
    print(f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} processors")
    verdicts = Verdicts()
    record = record_of_span()
    for name, ratio in mallocs().items():
        objects, limit = OBJECTS.get(name.partition(" ")[0], (0, RATIO))
        # A call, and its part of writing down the record of a span.
        floor = 1 + record / objects if objects else 1
        wanted = None if objects == 1 else WANTED
        verdicts.row(f"malloc of {name}, of an empty call", ratio, limit, wanted, floor)
    slowest, memory = boots()
    verdicts.row("the slowest boot", slowest * 1000, BOOT * 1000, unit="ms")
    verdicts.row("38 machines", memory / 1e6, BOOTS_MEMORY / 1e6, unit="MB")
    start = time.process_time()
    objects = fill(boot("linux/amd64"))
    taken = time.process_time() - start
    verdicts.row(f"{objects} objects of 64 MB", taken, FILL, unit="s")
    tracemalloc.start()
    fill(boot("linux/amd64"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    verdicts.row("the same", peak / 1e6, FILL_MEMORY / 1e6, unit="MB")
    return verdicts.exit_code


if __name__ == "__main__":
    sys.exit(main())
