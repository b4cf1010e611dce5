"""Runs: the columnar form is replayed with the verdict, the words and the machine of the text form."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from effort import examples
from recordings import NAMES, TRACES, lines_of, replayed, write

from allocator.common.types import Type
from allocator.contiguous.runtime import Runtime
from archcalc import machines
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.profiles import platforms
from archcalc.traces import columnar, columns, runs, text_columns
from archcalc.traces.columns import InColumns
from archcalc.traces.outcome import GaveUp
from archcalc.traces.reader import TraceFault
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.replayer import Replayer
from archcalc.traces.runs import ColumnarReplayer
from archcalc.traces.text_columns import TextFile
from archcalc.traces.writer import Recorder
from archcalc.workloads import run as running

pytest.importorskip("pyarrow")


def in_columns(text: Path) -> Path:
    path = text.with_name(text.name.replace(".gz", ".parquet"))
    columnar.convert(text, path)
    return path


def machine(rt: Runtime) -> dict[str, Any]:
    """All of a machine that later events or anybody's questions depend on.

    Not mark_bits: what an allocation marks is replaced by what the recording has (b) before anybody looks.
    """
    rt.sync_caches()
    spans = rt.spans
    found: dict[str, Any] = {
        name: list(column) for name, column in spans.columns().items() if name != "mark_bits"
    }
    found["on_list"] = [None if on is None else on.name for on in spans.on_list]
    found["bits"] = [bytes(rt.bitmap(s)) if spans.state[s] == 1 else None for s in range(len(spans))]
    found["caches"] = [
        (
            [(c.span, c.next, c.end, c.base) for c in cache.alloc],
            cache.tiny, cache.tiny_offset, cache.local_scan, cache.local_nsmallfree, cache.stack_lists,
        )
        for cache in rt.caches
    ]  # fmt: skip
    found["tinyallocs"] = rt.stats.tinyallocs + sum(cache.local_tinyallocs for cache in rt.caches)
    found["running"] = rt.cache.id
    for name in rt.stats.__slots__:
        if name != "tinyallocs":
            found[f"stats.{name}"] = getattr(rt.stats, name)
    for name in ("specialfinalizeralloc", "specialprofilealloc", "spanalloc", "cachealloc"):
        alloc = getattr(rt, name)
        found[name] = (alloc.chunk, alloc.nchunk, alloc.inuse, list(alloc.free_list))
    return found


@pytest.fixture(autouse=True)
def text_goes_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """However large; otherwise columns would be compared with themselves."""
    monkeypatch.setattr(columns, "LARGE_TEXT", 1 << 60)
    monkeypatch.setattr(columns, "LARGE_WHERE_NUMPY_IS", 1 << 60)


def by_runs(path: Path) -> ColumnarReplayer:
    """A replay in columns, of either form."""
    file = TextFile(path) if path.suffix == ".gz" else columnar.ColumnarFile(path)
    return ColumnarReplayer(InColumns(path, file), lambda header: config_for(header, {}))


class Line:
    """A recording that was replayed line by line: what the replay told, and its machine."""

    def __init__(self, text: Path) -> None:
        self.replayer = Replayer(text, lambda header: config_for(header, {}))
        assert self.replayer.run().ok
        self.machine = machine(self.replayer.rt)

    def is_reached_by(self, in_runs: Path) -> None:
        """Whether runs tell the same of it and leave the same machine."""
        by_line, by_run = self.replayer, by_runs(in_runs)
        assert by_run.run().ok
        for key in ("events", "mismatches", "reported", "death", "by_record"):
            assert getattr(by_line.result, key) == getattr(by_run.result, key), key
        assert by_line.line == by_run.line
        assert by_line.records == by_run.records
        found = machine(by_run.rt)
        for key, value in self.machine.items():
            assert found[key] == value, key


def same(text: Path) -> None:
    Line(text).is_reached_by(in_columns(text))


@pytest.fixture(scope="module", params=NAMES)
def real(request: pytest.FixtureRequest) -> Line:
    """A recording of the real runtime."""
    return Line(TRACES / f"{request.param}.trace.gz")


def test_the_real_runtimes_recordings_leave_the_same_machine(real: Line, tmp_path: Path) -> None:
    path = tmp_path / real.replayer.path.name
    path.write_bytes(real.replayer.path.read_bytes())
    real.is_reached_by(in_columns(path))


def test_text_in_columns_leaves_the_same_machine(real: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_columns, "PART", 30_000)
    monkeypatch.setattr(text_columns, "PARTS", 5)
    real.is_reached_by(real.replayer.path)


def recorded(path: Path, platform: str, drive: Callable[[Runtime], None], **options: Any) -> Path:
    rt = boot(platform, record=True, **options)
    recorder = Recorder(rt)
    drive(rt)
    recorder.save(path, False, workload="test", gc="stw", gomaxprocs=len(rt.caches))
    return path


@pytest.mark.parametrize("workload", ["mixed", "tiny", "finalizers", "procs", "churn", "stacks", "large"])
@pytest.mark.parametrize("platform", ["linux/amd64", "windows/386", "linux/s390x", "solaris/amd64"])
def test_simulated_machines_leave_the_same_machine(workload: str, platform: str, tmp_path: Path) -> None:
    path = tmp_path / "x.trace.gz"
    target = figures.compute(platforms.load(platform))
    for seed in range(examples(1)):
        running.boot_and_run(
            machines.prepare(target, record=True), platform, workload, n=6000, seed=seed + 3, record=path
        )
        same(path)


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386"])
@pytest.mark.parametrize("procs", [1, 3])
def test_every_kind_of_bitmap_beside_every_other(platform: str, procs: int, tmp_path: Path) -> None:
    """Objects of one class with many types and with none, in spans that were swept, of several Ps."""
    ptr = 8 if platform.endswith("64") else 4

    def drive(rt: Runtime) -> None:
        rng = random.Random(5)
        kinds = [
            Type.of_words(f"t{i}", "".join(rng.choice("pp.") for _ in range(words)) + "p", ptr)
            for words in range(40)
            for i in range(3)
        ]
        kept: list[int] = []
        for turn in range(4):
            for _ in range(6000):
                p = rng.randrange(procs) if rng.random() < 0.3 else 0
                typ = rng.choice(kinds) if rng.random() < 0.7 else None
                size = typ.size if typ else rng.randrange(1, 40 * ptr)
                v = rt.malloc(size, typ, needzero=rng.random() < 0.5, p=p)
                if rng.random() < 0.4:
                    kept.append(v)
            rt.collect(kept, mode=("block", "force", "force", "block")[turn])
            kept = [v for v in kept if rng.random() < 0.7]

    same(recorded(tmp_path / "x.trace.gz", platform, drive, procs=procs))


def test_batches_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("linux-386.mixed.stw", "linux-mips.std.off"):
        line = Line(TRACES / f"{name}.trace.gz")
        for rows in (97, 1000, 4096):
            monkeypatch.setattr(columnar, "ROWS", rows)
            monkeypatch.setattr(columnar.ColumnarFile.batches, "__defaults__", (None, rows))
            path = tmp_path / f"{name}.{rows}.trace.gz"
            path.write_bytes((TRACES / f"{name}.trace.gz").read_bytes())
            line.is_reached_by(in_columns(path))


# What is not reproduced, and what cannot be read.


def told(path: Path, keep_going: bool = False) -> Any:
    """Everything that replaying a file tells, but for the file's name and the time."""
    try:
        result = replayed(path, keep_going)
    except TraceFault as fault:
        return [(f.found, f.expected, f.line, f.id) for f in fault.faults]
    first = result.first.to_dict() if result.first else None
    return result.events, result.mismatches, first, result.by_record, result.death, result.reported


def mutants(lines: list[str], rng: random.Random) -> list[str]:
    """The recording with one thing changed: a field, a line left out, doubled or moved, a foreign one."""
    lines = list(lines)
    at = rng.randrange(1, len(lines))
    kind = rng.randrange(8)
    if kind < 4:
        fields = lines[at].split(" ")
        field = rng.randrange(len(fields))
        text = fields[field]
        place = rng.randrange(len(text)) if text else 0
        fields[field] = text[:place] + rng.choice("0123456789abcdefnzth-") + text[place + 1 :]
        lines[at] = " ".join(fields)
    elif kind == 4:
        del lines[at]
    elif kind == 5:
        lines.insert(at, lines[at])
    elif kind == 6:
        other = rng.randrange(1, len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines.insert(
            at, rng.choice(("P 2", "g 4 0 0 0 0", "u 0", "y", "k 0", "f specialprofile 1", "z", "P 1"))
        )
    return lines


SMALL = (
    "linux-386.ulimit-1g.off",
    "linux-amd64.conflict.off",
    "windows-386.exhaust.off",
    "linux-arm.stacks.conc",
)


@pytest.mark.parametrize("name", SMALL)
def test_changed_recordings_are_reported_in_the_same_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "FEW_ROWS", 10)  # in runs, though there are few
    rng = random.Random(f"mutants of {name}")
    for _ in range(examples(40)):
        path = write(tmp_path / "x.trace.gz", mutants(list(lines_of(name)), rng))
        keep_going = rng.random() < 0.3
        expected = told(path, keep_going)
        assert told(in_columns(path), keep_going) == expected
        with monkeypatch.context() as patch:
            patch.setattr(columns, "LARGE_WHERE_NUMPY_IS", 0)
            assert told(path, keep_going) == expected


@pytest.mark.parametrize(
    "name",
    ["linux-386.mixed.stw", "linux-arm64.mixed-free.stw", "linux-mips.std.off", "linux-ppc64le.tiny.off"],
)
def test_changed_collections_are_reported_in_the_same_words(name: str, tmp_path: Path) -> None:
    rng = random.Random(f"mutants of {name}")
    lines = list(lines_of(name))
    events = [
        i for i, line in enumerate(lines) if line[:2] in ("g ", "u ", "b ", "L ", "P ", "w ", "k ", "y", "f ")
    ]
    for _ in range(examples(8)):
        changed = list(lines)
        at = rng.choice(events)
        what = rng.randrange(3)
        if what == 0:
            del changed[at]
        elif what == 1:
            other = at + rng.randrange(1, 40)
            changed[at], changed[other] = changed[other], changed[at]
        else:
            changed = mutants(changed, rng)
        path = write(tmp_path / "x.trace.gz", changed)
        assert told(in_columns(path)) == told(path)


def test_what_differs_makes_the_runs_give_up(tmp_path: Path) -> None:
    """Were they to accept it, the tests above would compare the text with itself."""
    lines = list(lines_of("linux-ppc64le.tiny.off"))
    rng = random.Random(11)
    mallocs = [i for i, line in enumerate(lines) if line.startswith("m ") and "h" not in line.split(" ")[3]]
    for at in rng.sample(mallocs, 10):
        changed = list(lines)
        fields = changed[at].split(" ")
        fields[5] = f"{int(fields[5], 16) + 8:x}"
        changed[at] = " ".join(fields)
        text = write(tmp_path / "x.trace.gz", changed)
        for path in (text, in_columns(text)):
            with pytest.raises(GaveUp):
                by_runs(path).run()


def test_a_wrong_bitmap_is_reported(tmp_path: Path) -> None:
    lines = list(lines_of("linux-amd64.std.stw"))
    at = max(i for i, line in enumerate(lines) if line.startswith("Zb "))
    lines[at] = lines[at][:-1] + ("1" if lines[at][-1] == "0" else "0")
    path = in_columns(write(tmp_path / "x.trace.gz", lines))
    result = replayed(path)
    assert result.first is not None and (result.first.record, result.first.line) == ("Zb", at + 1)


def test_an_interrupt_leaves_what_was_sure(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.gz"
    path.write_bytes((TRACES / "linux-386.mixed.stw.trace.gz").read_bytes())

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    result = by_runs(in_columns(path)).run(stop)
    assert result.interrupted and not result.ok and result.mismatches == 0
