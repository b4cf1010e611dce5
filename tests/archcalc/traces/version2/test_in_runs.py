"""Runs of a recording of version 2: the verdict and the machine are those of the replay line by line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from effort import examples
from recordings import write
from recordings2 import RECORDINGS, lines_of, other
from whole_state import whole_state

pytest.importorskip("numpy")

from archcalc.reading.errors import UsageFault
from archcalc.traces import columnar, text_columns
from archcalc.traces.columns import InColumns
from archcalc.traces.outcome import GaveUp
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.text_columns import TextFile
from archcalc.traces.version2 import runs
from archcalc.traces.version2.replayer import SparseReplayer
from archcalc.traces.version2.runs import RunsReplayer

# What follows the machine knows the recording's lines; plans are found when they are needed first.
NO_STATE = frozenset(("steps", "config", "plans", "system", "kernel", "os"))
RESULT = ("events", "mismatches", "death", "memstats", "unordered", "by_record")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "FEW_ROWS", 20)
    monkeypatch.setattr(runs, "AT_FIRST", 64)
    monkeypatch.setattr(text_columns, "PART", 9_000)
    monkeypatch.setattr(text_columns, "PARTS", 3)


def by_line(path: Path, keep_going: bool = False) -> SparseReplayer:
    replayer = SparseReplayer(path, lambda header: config_for(header, {}), keep_going)
    replayer.run()
    return replayer


def by_runs(path: Path) -> RunsReplayer:
    file = columnar.ColumnarFile(path) if path.suffix == ".parquet" else TextFile(path)
    replayer = RunsReplayer(InColumns(path, file), lambda header: config_for(header, {}))
    replayer.run()
    return replayer


def same(lined: SparseReplayer, in_runs: RunsReplayer) -> None:
    for name in RESULT:
        assert getattr(lined.result, name) == getattr(in_runs.result, name), name
    assert lined.line == in_runs.line
    machines = [replayer.core for replayer in (lined, in_runs)]
    for core in machines:
        assert core is not None
        core.sync_caches()
    states = [whole_state(core, NO_STATE) for core in machines]
    for one, two in zip(*states, strict=True):
        assert one == two


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_text_leaves_the_same_machine(path: Path) -> None:
    same(by_line(path), by_runs(path))


@pytest.mark.parametrize("path", RECORDINGS[::4], ids=lambda path: path.name)
def test_columns_leave_the_same_machine(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    columns = tmp_path / "x.parquet"
    columnar.convert(path, columns)
    same(by_line(path), by_runs(columns))


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_what_is_changed_is_accepted_only_where_it_is_line_by_line(path: Path, tmp_path: Path) -> None:
    draw = random.Random(path.name)
    lines = list(lines_of(path))
    changed = tmp_path / "x.trace.gz"
    for _ in range(examples(8)):
        at = draw.randrange(1, len(lines))
        how = draw.randrange(4)
        mine = lines[:]
        if how == 0:
            del mine[at]
        elif how == 1:
            mine.insert(at, mine[at])
        elif how == 2 and at + 1 < len(mine):
            mine[at], mine[at + 1] = mine[at + 1], mine[at]
        else:
            mine[at] = other(mine[at]) or mine[at]
        write(changed, mine)
        try:
            in_runs = by_runs(changed)
        except (GaveUp, UsageFault):
            continue
        same(by_line(changed), in_runs)
