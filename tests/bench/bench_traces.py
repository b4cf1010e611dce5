"""How fast recordings are replayed, as text and in columns, and what ten million events cost.

    python tests/bench/bench_traces.py [--scale]

Every recording of tests/data/traces is replayed as text and in columns, in turn, so that whatever
else the machine does falls on both alike; the best of several rounds counts, in processor time.
--scale also makes recordings of 10^5 and 10^7 events (that takes minutes) and compares the cost of
an event, each replay in a process of its own, whose memory is measured. Exits 1 where a limit is
missed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from allocator.heap_bitmap import Type
from archcalc.boot import boot
from archcalc.cli.replay import config_for
from archcalc.traces import columnar
from archcalc.traces.replay import replay
from archcalc.traces.writer import Recorder

TRACES = Path(__file__).parents[1] / "data" / "traces"
ORDINARY = ("std", "tiny")  # the programs that the limits are for
TEXT, COLUMNS = 600_000, 3_000_000  # events a second
ROUNDS = 5
SCALE = 1.3  # what an event may cost at 10^7, where it costs 1 at 10^5
MEMORY = 1_500_000_000  # bytes


def seconds(path: Path) -> tuple[int, float]:
    """Events of a recording, and the processor time of a replay that must reproduce it."""
    gc.collect()
    start = time.process_time()
    result = replay(path, lambda header: config_for(header, {}))
    taken = time.process_time() - start
    if not result.ok:
        sys.exit(f"{path}: {result.first}")
    return result.events, taken


def forms(folder: Path) -> bool:
    """The table of both forms; whether the limits hold."""
    totals = {"text": [0, 0.0], "columns": [0, 0.0]}
    print(f"{'recording':36} {'events':>8} {'text':>10} {'columns':>10}  events a second; columns : text")
    for text in sorted(TRACES.glob("*.trace.gz")):
        name = text.name.removesuffix(".trace.gz")
        columns = folder / f"{name}.trace.parquet"
        columnar.convert(text, columns)
        best = {"text": float("inf"), "columns": float("inf")}
        events = 0
        for _ in range(ROUNDS):
            for form, path in (("text", text), ("columns", columns)):
                events, taken = seconds(path)
                best[form] = min(best[form], taken)
        if name.split(".")[1] in ORDINARY:
            for form, taken in best.items():
                totals[form][0] += events
                totals[form][1] += taken
        ratio = best["text"] / best["columns"]
        rates = " ".join(f"{events / best[form]:10,.0f}" for form in best)
        print(f"{name:36} {events:8} {rates}  {ratio:4.1f} : 1")
    held = True
    for form, limit in (("text", TEXT), ("columns", COLUMNS)):
        rate = totals[form][0] / totals[form][1]
        held &= rate >= limit
        verdict = "ok" if rate >= limit else "TOO SLOW"
        print(f"{'*.std.*, *.tiny.*':36} {form}: {rate:,.0f} events a second (at least {limit:,}): {verdict}")
    return held


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


def scale(folder: Path) -> bool:
    """What an event costs at 10^5 and at 10^7, and how much memory the latter takes."""
    held = True
    cost: dict[tuple[str, int], float] = {}
    for events in (100_000, 10_000_000):
        text = folder / f"{events}.trace.gz"
        make(text, events)
        columns = folder / f"{events}.trace.parquet"
        columnar.convert(text, columns)
        for form, path in (("text", text), ("columns", columns)):
            rounds = [apart(path) for _ in range(ROUNDS if events < 1_000_000 else 1)]
            count, taken, memory = min(rounds, key=lambda found: found[1])
            cost[form, events] = taken / count
            line = f"{form:8} {count:10,} events {taken:7.2f} s {count / taken:10,.0f} a second"
            line += f" {memory >> 20:6} MB"
            if events >= 1_000_000:
                ratio = cost[form, events] / cost[form, 100_000]
                good = ratio <= SCALE and memory < MEMORY
                held &= good
                line += f"  an event costs {ratio:.2f} (at most {SCALE}): {'ok' if good else 'TOO MUCH'}"
            print(line)
    return held


def apart(path: Path) -> tuple[int, float, int]:
    """Events, processor time and peak memory of a replay in a process of its own."""
    words = [sys.executable, __file__, "--one", str(path)]
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    count, taken, memory = json.loads(out)
    return count, taken, memory


def main() -> int:
    """Prints the tables and says whether the limits hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        import resource

        warm_up = TRACES / "linux-amd64.conflict.off.trace.gz"
        columnar.convert(warm_up, asked.one.with_name("warm.parquet"))
        for path in (warm_up, asked.one.with_name("warm.parquet")):
            seconds(path)
        count, taken = seconds(asked.one)
        print(json.dumps([count, taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
        return 0
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "pyarrow"))
    print(
        f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} processors; {versions}"
    )
    with tempfile.TemporaryDirectory() as folder:
        held = forms(Path(folder))
        if asked.scale:
            held &= scale(Path(folder))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
