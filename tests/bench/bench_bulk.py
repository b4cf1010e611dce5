"""What an object costs when many are allocated at once, beside the real runtime on the same machine.

    python tests/bench/bench_bulk.py [--objects N] [--rounds N] [--program FILE]

The real runtime is a program, built by the Go that is modelled, which times 10 million objects with the
collector off and prints nanoseconds an object: mixed sizes to 1 KB without pointers, then 8-byte objects
that are a pointer. FILE may be compressed with xz; without the option it is $ARCHCALC_BENCH_PROGRAM, or
shared/programs beside the project. Everything runs in turn, round after round, so that whatever else the
machine does falls on all alike; of each the best round counts, and the median is shown beside it. Exits 1
where a limit is passed.
"""

from __future__ import annotations

import argparse
import gc
import lzma
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from allocator.contiguous.bulk import use_compiled
from allocator.contiguous.bulk.engine import has_numba
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.workloads.driver import types_for

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "programs" / "bench-linux-amd64.xz"
SINGLE = 400_000  # objects one by one
SPANS = 250_000
WARM_UP = 2  # rounds

# The figure, what it is compared with, and how many times that it may be; reached for, where that is less.
LIMITS = (
    ("mixed sizes", "real mixed sizes", 1.0, 0.5),
    ("mixed sizes", "one by one", 1 / 40, None),
    ("8-byte pointers", "real 8-byte pointers", 1.0, 0.5),
    ("mixed types", "mixed sizes", 3.0, None),
)
SPANS_LIMIT = 0.5  # seconds


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--program", type=Path, default=os.environ.get("ARCHCALC_BENCH_PROGRAM"))
    return parser.parse_args()


def real_program(given: Path | None, folder: Path) -> Path | None:
    """The program, uncompressed; None where there is none or it cannot run."""
    source = given or (SHARED if SHARED.exists() else None)
    if source is None or (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return None
    if Path(source).suffix != ".xz":
        return Path(source)
    program = folder / "bench"
    program.write_bytes(lzma.decompress(Path(source).read_bytes()))
    program.chmod(0o700)
    return program


def workloads(n: int) -> dict[str, Callable[[Runtime], Any]]:
    """What is allocated, by name."""
    sizes = mixed(n)
    words = np.full(n, 8)
    types = [t for t in types_for(8) if t.size <= 1024]
    index = np.random.default_rng(2).integers(0, len(types), n)
    typed = np.array([t.size for t in types])[index]
    return {
        "mixed sizes": lambda rt: rt.malloc_many(sizes, noscan=True),
        "8-byte pointers": lambda rt: rt.malloc_many(words, noscan=False),
        "mixed types": lambda rt: rt.malloc_many(typed, typ=types, types=index),
    }


def seconds(work: Callable[[Runtime], Any]) -> float:
    """One run's time on a machine of its own."""
    rt = boot("linux/amd64")
    gc.collect()
    start = time.perf_counter()
    work(rt)
    return time.perf_counter() - start


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
    few = mixed(SINGLE).tolist()
    for turn in range(-WARM_UP, rounds):
        found: dict[tuple[str, str], float] = {}
        if program is not None:
            ran = subprocess.run([program, str(n)], check=True, capture_output=True, text=True)
            first, second = map(float, (ran.stdout or ran.stderr).split())
            found["real", "real mixed sizes"], found["real", "real 8-byte pointers"] = first, second
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
    with tempfile.TemporaryDirectory() as folder:
        program = real_program(options.program, Path(folder))
        if program is None:
            print("no program of the real runtime to compare with: see --help")
        times, spans_times = measure(options.objects, options.rounds, program, engines)
    for (engine, name), values in times.items():
        what = name if engine in ("real", "single") else f"{name}, {engine}"
        print(f"{min(values):8.1f} ({statistics.median(values):5.1f}) ns an object  {what}")
    figures = {key: min(values) for key, values in times.items()}
    spans = {engine: min(values) for engine, values in spans_times.items()}
    # Compiled code, where it is there, is what reaches for the limits.
    best = engines[-1]
    held = True
    for engine in engines:
        for name, other, limit, reach in LIMITS:
            base = next(
                (v for (e, f), v in figures.items() if f == other and e in ("real", "single", engine)), None
            )
            if base is None:
                continue
            ratio = figures[engine, name] / base
            verdict = "ok" if ratio <= limit else "TOO SLOW"
            if reach is not None and ratio <= limit:
                verdict += f", reaching for {reach}x" if ratio > reach else f", even {reach}x"
            held = held and (ratio <= limit or engine != best)
            print(f"{ratio:8.3f}x  {name}, {engine}, of {other} (at most {limit:.3g}x): {verdict}")
        verdict = "ok" if spans[engine] <= SPANS_LIMIT else "TOO SLOW"
        held = held and (spans[engine] <= SPANS_LIMIT or engine != best)
        print(f"{spans[engine]:8.3f} s  {SPANS:,} spans, {engine} (at most {SPANS_LIMIT} s): {verdict}")
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
