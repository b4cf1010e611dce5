"""How fast recordings are replayed, as text and in columns, and what ten million events cost.

    python tests/bench/bench_traces.py [--scale]

Every recording of tests/data/traces is replayed as text and in columns, in turn, so that whatever
else the machine does falls on both alike; the best of several rounds counts, in processor time.
Beside it stands the floor: reading the same file, and the time that a replay spends in the machine,
which takes and sweeps spans there as it does one by one. A replay may cost some times that. Ordinary
programs and those with large objects, stacks and bitmaps, which take a span every ten to twenty events,
are told apart. All are replayed a third time by a straightforward model: each line split at its spaces,
each allocation through mallocgc, each answer written out and compared.

--scale also makes recordings of 10^5 and 10^7 events (that takes two minutes) and compares the cost of
an event, each replay in a process of its own, whose memory is measured, and has the larger one counted
(`trace stats`), whose floor is reading it. Rows as in verdicts.py; exits 1 where something is too slow.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest import mock

from verdicts import Verdicts

from allocator.common.cycles import no_garbage_collection
from allocator.common.types import Type
from allocator.contiguous.config import Config
from allocator.contiguous.mcache import MCache
from allocator.contiguous.sweep import Sweeper
from archcalc.boot import boot
from archcalc.traces import columnar
from archcalc.traces.columns import InColumns
from archcalc.traces.machine import ReplayedRuntime
from archcalc.traces.outcome import Replay
from archcalc.traces.reader import Header, pieces
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.replay import replay
from archcalc.traces.replayer import OWN, Replayer
from archcalc.traces.stats import stats
from archcalc.traces.writer import Recorder

TRACES = Path(__file__).parents[1] / "data" / "traces"
ORDINARY = ("std", "tiny")  # programs that rarely take a span
GROUPS = "ordinary", "others", "short"
FLOORS = 4  # times the floor
WANTED = {
    "ordinary": {"text": 1.5, "columns": 10},
    "others": {"text": 1, "columns": 3},
}  # events a microsecond
STRAIGHTFORWARD = {"ordinary": 1 / 5, "others": 1 / 1.5}  # of what that model takes, in either form
SHORT = 2000  # events of a recording that is mostly the making of a machine
SHORT_COLUMNS = 1.5  # what such a one may cost in columns where it costs 1 as text
SHORT_APART = 1.25  # the same apart from reading
COUNTING = {"text": 6, "columns": 17}  # times reading alone, for counting what is in it
COUNTING_WANTED = 0.4  # microseconds an event
ROUNDS = 9
SCALE = 1.6  # what an event may cost at 10^7, where collections sweep, if it costs 1 at 10^5 without one
SCALE_WANTED = 1.1
MEMORY = 1_500_000_000  # bytes


class Straightforward(Replayer):
    """Every line split, every allocation through mallocgc, every answer written out; nothing remembered."""

    def feed(self, lines: list[str]) -> None:
        self.lines, self.first = lines, self.line + 1
        for line in lines:
            self.line += 1
            if line[:1] in OWN:
                self._own(line)
            else:
                self.carry_out(line)


def machine_of(header: Header) -> Config:
    """The machine that a recording was made on."""
    return config_for(header, {})


def straightforward(path: Path) -> Replay:
    """A replay without any short way."""
    with no_garbage_collection():
        return Straightforward(path, machine_of).run()


def seconds(path: Path, how: Callable[[Path], Replay]) -> tuple[int, float]:
    """Events of a recording, and the processor time of a replay that must reproduce it."""
    gc.collect()
    start = time.process_time()
    result = how(path)
    taken = time.process_time() - start
    if not result.ok:
        sys.exit(f"{path}: {result.first}")
    return result.events, taken


def ordinarily(path: Path) -> Replay:
    """A replay as anybody has it."""
    return replay(path, machine_of)


def reading(path: Path) -> Replay:
    """No replay: the file is read, to lines or to columns."""
    if columnar.is_columnar(path):
        for batch in InColumns(path, columnar.ColumnarFile(path)).batches():
            _ = batch.code, batch.request, batch.address  # made when they are asked for
    else:
        for _ in pieces(path):
            pass
    return Replay(str(path), "")


# What a replay asks of the machine: making one, what allocates and frees, what takes spans, and what sweeps.
ASKED: dict[type, tuple[str, ...]] = {
    ReplayedRuntime: (
        "__init__", "boot", "mallocgc", "stack_alloc", "stack_free", "free_stack_spans", "release_cache",
        "clear_stack_cache", "new_mcache", "fix_alloc", "fix_free", "open_sweep_phase", "scavenge",
    ),
    MCache: ("next_free",),
    Sweeper: ("sweep_on", "ensure_swept"),
}  # fmt: skip


def in_the_machine(path: Path) -> float:
    """The processor time that a replay spends in the machine itself."""
    spent = 0.0
    inside = False  # the machine asks itself, too
    clock = time.thread_time

    def timed(work: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            nonlocal spent, inside
            if inside:
                return work(*arguments, **named)
            inside = True
            start = clock()
            try:
                return work(*arguments, **named)
            finally:
                spent += clock() - start
                inside = False

        return ask

    with contextlib.ExitStack() as put_back:
        for owner, names in ASKED.items():
            for name in names:
                put_back.enter_context(mock.patch.object(owner, name, timed(getattr(owner, name))))
        seconds(path, ordinarily)
    return spent


class Costs:
    """Events and seconds of several recordings, by the form they are replayed in."""

    def __init__(self) -> None:
        self.events = 0
        self.seconds: Counter[str] = Counter()

    def add(self, events: int, best: dict[str, float]) -> None:
        """One recording more."""
        self.events += events
        self.seconds.update(best)

    def each(self, form: str) -> float:
        """Microseconds an event."""
        return self.seconds[form] / self.events * 1e6


def measure(text: Path, columns: Path) -> tuple[int, dict[str, float]]:
    """Events of a recording, and the least seconds that each form takes."""
    ways = {"text": (text, ordinarily), "columns": (columns, ordinarily)}
    ways["straightforward"] = (text, straightforward)
    ways |= {"reading text": (text, reading), "reading columns": (columns, reading)}
    best = dict.fromkeys(ways, float("inf"))
    events = 0
    for _ in range(ROUNDS):
        for form, (path, how) in ways.items():
            found, taken = seconds(path, how)
            events = found or events
            best[form] = min(best[form], taken)
    machine = min(in_the_machine(columns) for _ in range(ROUNDS))
    for form in ("text", "columns"):
        best[f"floor {form}"] = best[f"reading {form}"] + machine
    return events, best


def forms(folder: Path, verdicts: Verdicts) -> None:
    """The table of all recordings, and a row for each kind of them."""
    groups = {name: Costs() for name in GROUPS}
    print(f"{'recording':36} {'events':>8} {'text':>10} {'columns':>10}  events a second; columns : text")
    for text in sorted(TRACES.glob("*.trace.gz")):
        name = text.name.removesuffix(".trace.gz")
        columns = folder / f"{name}.trace.parquet"
        columnar.convert(text, columns)
        ordinary = name.split(".")[1] in ORDINARY
        events, best = measure(text, columns)
        groups["ordinary" if ordinary else "short" if events < SHORT else "others"].add(events, best)
        rates = " ".join(f"{events / best[form]:10,.0f}" for form in ("text", "columns"))
        print(f"{name:36} {events:8} {rates}  {best['text'] / best['columns']:4.1f} : 1")
    for name, wanted in WANTED.items():
        costs = groups[name]
        for form, rate in wanted.items():
            taken, floor = costs.each(form), costs.each(f"floor {form}")
            what = f"an event of {name} as {form}: {1 / taken:.2f} million a second"
            verdicts.row(what, taken, FLOORS * floor, 1 / rate, floor, "us")
            ratio = taken / costs.each("straightforward")
            verdicts.row("the same, of a straightforward model", ratio, STRAIGHTFORWARD[name])
    costs = groups["short"]
    whole = costs.each("columns") / costs.each("text")
    verdicts.row("short ones in columns, of the same as text", whole, SHORT_COLUMNS, 1.0)
    apart = (costs.each(form) - costs.each(f"reading {form}") for form in ("columns", "text"))
    verdicts.row("the same apart from reading", next(apart) / next(apart), SHORT_APART, 1.0)


def make(path: Path, events: int) -> None:
    """A recording of about so many events of an ordinary program, with collections now and then."""
    rt = boot("linux/amd64", record=True)
    recorder = Recorder(rt)
    rng = random.Random(1)
    types = [Type.of_words(f"t{i}", "".join(rng.choice("p.") for _ in range(i)) + "p", 8) for i in range(24)]
    recent: list[int] = []
    for i in range(events):
        kind = rng.random()
        if kind < 0.4:
            v = rt.malloc(rng.randrange(1, 24))
        elif kind < 0.95:
            typ = rng.choice(types)
            v = rt.malloc(typ.size, typ)
        else:
            v = rt.malloc(rng.randrange(24, 2048))
        if i % 50 == 0:
            recent.append(v)
        if i % 4096 == 4095:
            recorder.flush()
        if i % 400_000 == 399_999:
            recent = recent[-20_000:]
            rt.collect(recent)
    recorder.save(path, False, workload="bench", n=events, seed=1, gc="stw", gomaxprocs=1)


def scale(folder: Path, verdicts: Verdicts) -> None:
    """What an event costs at 10^5 and at 10^7, in time and memory, and what counting them does."""
    small, large = 100_000, 10_000_000
    cost: dict[tuple[str, int], float] = {}
    for events in (small, large):
        text = folder / f"{events}.trace.gz"
        make(text, events)
        columns = folder / f"{events}.trace.parquet"
        columnar.convert(text, columns)
        for form, path in (("text", text), ("columns", columns)):
            count, taken, memory = min(
                (apart(path) for _ in range(ROUNDS if events == small else 2)), key=by_time
            )
            cost[form, events] = taken / count
            print(f"{form:8} {count:10,} events {taken:7.2f} s {count / taken:10,.0f} a second", flush=True)
            if events == small:
                continue
            ratio = cost[form, large] / cost[form, small]
            verdicts.row(f"an event among 10^7, of one among 10^5, as {form}", ratio, SCALE, SCALE_WANTED)
            verdicts.row("the memory that takes", memory / 1e6, MEMORY / 1e6, unit="MB")
            counted, read = (process_time(partial(work, path)) / count * 1e6 for work in (counting, reading))
            what = f"an event, counted from {form}"
            verdicts.row(what, counted, COUNTING[form] * read, COUNTING_WANTED, read, "us")


def by_time(found: tuple[int, float, int]) -> float:
    """Orders replays by the time that they took."""
    return found[1]


def process_time(work: Callable[[], object]) -> float:
    """The least processor time of some runs."""
    found = []
    for _ in range(3):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def counting(path: Path) -> object:
    """What `trace stats` does."""
    return stats(path, machine_of)


def apart(path: Path) -> tuple[int, float, int]:
    """Events, processor time and peak memory of a replay in a process of its own."""
    words = [sys.executable, __file__, "--one", str(path)]
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    count, taken, memory = json.loads(out)
    return count, taken, memory


def main() -> int:
    """Prints the tables and says whether anything is too slow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        import resource

        warm_up = TRACES / "linux-amd64.conflict.off.trace.gz"
        columnar.convert(warm_up, asked.one.with_name("warm.parquet"))
        for path in (warm_up, asked.one.with_name("warm.parquet")):
            seconds(path, ordinarily)
        count, taken = seconds(asked.one, ordinarily)
        print(json.dumps([count, taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
        return 0
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "pyarrow"))
    print(
        f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} processors; {versions}"
    )
    verdicts = Verdicts()
    with tempfile.TemporaryDirectory() as folder:
        forms(Path(folder), verdicts)
        if asked.scale:
            scale(Path(folder), verdicts)
    return verdicts.exit_code


if __name__ == "__main__":
    sys.exit(main())
