"""Statistics: counted again from the lines, and from a machine that was watched."""

from __future__ import annotations

import random
import re
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import NAMES, TRACES, lines_of, write

from allocator.common.types import Type
from archcalc.boot import boot
from archcalc.traces import columnar, reader
from archcalc.traces.columnar import ColumnarFile
from archcalc.traces.columns import InColumns
from archcalc.traces.counting import Stats
from archcalc.traces.reader import TraceFault
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.stats import document, head, line_by_line, stats
from archcalc.traces.writer import Recorder


def counted(path: Path) -> Stats:
    return stats(path, lambda header: config_for(header, {}))


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_those_of_the_lines(name: str) -> None:
    found = counted(TRACES / f"{name}.trace.gz")
    mallocs = [line.split(" ") for line in lines_of(name) if line.startswith("m ")]
    kinds = Counter(line.partition(" ")[0] for line in lines_of(name)[1:])
    assert found.events == found.header.events
    assert found.allocations == len(mallocs)
    assert found.bytes == sum(int(fields[1]) for fields in mallocs)
    assert found.records == kinds
    assert found.collections == kinds["g"]
    by_type = Counter(fields[2] for fields in mallocs)
    assert {number: share.allocations for number, share in found.by_type.items()} == by_type
    assert sum(share.allocations for share in found.by_class.values()) == len(mallocs) - found.zero_sized
    assert found.unplaced == 0
    assert found.rounded >= found.bytes
    assert found.live[-1] == (found.events, found.live_bytes)


@pytest.mark.parametrize("name", ["linux-arm64.mixed-free.stw", "linux-s390x.large.conc"])
def test_both_forms_have_the_same_figures(name: str, tmp_path: Path) -> None:
    source = TRACES / f"{name}.trace.gz"
    columnar.convert(source, tmp_path / "x.parquet")
    found = counted(tmp_path / "x.parquet")
    found.path = str(source)
    assert document(found) == document(counted(source))


def in_groups(path: Path) -> Stats:
    """Counted in groups of rows, whatever the file's size; it must not need to give up."""
    from archcalc.traces.stats_in_columns import at_once
    from archcalc.traces.text_columns import TextFile

    file = ColumnarFile(path) if path.suffix == ".parquet" else TextFile(path)
    return at_once(InColumns(path, file), lambda header: config_for(header, {}))


VERSION2 = TRACES.parent / "version2"
ALL = [TRACES / f"{name}.trace.gz" for name in NAMES] + sorted(VERSION2.glob("*.trace.gz"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name.removesuffix(".trace.gz"))
def test_in_groups_and_line_by_line_are_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = line_by_line(path, lambda header: config_for(header, {}))
    assert document(in_groups(path)) == document(one_by_one)
    monkeypatch.setattr("archcalc.traces.text_columns.PART", 20_000)
    monkeypatch.setattr("archcalc.traces.text_columns.PARTS", 1)
    monkeypatch.setattr("archcalc.traces.reader.PIECE", 5000)
    assert document(in_groups(path)) == document(one_by_one)


@settings(max_examples=examples(25), phases=phases())
@given(st.integers(0, 1 << 32), st.sampled_from(["linux/amd64", "linux/386"]), st.integers(1, 40))
def test_machines_are_counted_alike_however_their_recordings_are_cut(
    tmp_path_factory: pytest.TempPathFactory, seed: int, platform: str, part: int
) -> None:
    """Spans that are swept several times in a group, go, and come again as others."""
    rng = random.Random(seed)
    rt = boot(platform, record=True, procs=2)
    recorder = Recorder(rt)
    live: list[int] = []
    pointer = Type.of_words("node", "p.p", rt.config.ptr_size)
    for _ in range(rng.randrange(1, 12)):
        for _ in range(rng.randrange(1, 120)):
            size = rng.choice([1, 5, 8, 16, 24, 100, 3000, 9000, 40_000])
            typ = pointer if size == pointer.size else None
            live.append(rt.malloc(size, typ, p=rng.randrange(2)))
        if rng.random() < 0.6:
            live = rng.sample(live, rng.randrange(len(live)))
            rt.collect(live, mode=rng.choice(["block", "force"]))
    path = tmp_path_factory.mktemp("counted") / "x.trace.gz"
    recorder.save(path, False, workload="test", gc="stw", gomaxprocs=2)
    one_by_one = line_by_line(path, lambda header: config_for(header, {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("archcalc.traces.text_columns.PART", part * 100)
        patch.setattr("archcalc.traces.text_columns.PARTS", 1)
        patch.setattr("archcalc.traces.reader.PIECE", 1 << 10)
        assert document(in_groups(path)) == document(one_by_one)


def test_frees_and_lifetimes_are_those_of_the_machine(tmp_path: Path) -> None:
    """linux/amd64: 100 objects of 64 bytes, 60 of which die; three tiny ones of a block die with it."""
    rt = boot("linux/amd64", record=True)
    recorder = Recorder(rt)
    record = Type.of_words("record", "p.......", 8)
    objects = [rt.malloc(64, record) for _ in range(100)]
    for _ in range(3):
        rt.malloc(4)
    large = rt.malloc(100_000)
    rt.malloc(0)
    rt.collect([*objects[:40], large], mode="block")
    rt.collect([*objects[:40]], mode="block")
    path = tmp_path / "x.trace.gz"
    recorder.save(path, False, workload="test", gc="stw", gomaxprocs=1)
    found = counted(path)
    assert found.allocations == 100 + 3 + 1  # of size 0 nothing is allocated, nor recorded
    assert found.bytes == 6400 + 12 + 100_000
    assert (found.frees, found.freed_bytes) == (60 + 3 + 1, 60 * 64 + 12 + 100_000)
    assert found.live_bytes == 40 * 64
    assert found.collections == 2
    assert {c: (s.allocations, s.bytes) for c, s in found.by_class.items()} == {
        0: (1, 100_000), 2: (3, 12), 5: (100, 6400),
    }  # fmt: skip
    assert found.rounded == 6400 + 12 + 106_496
    assert sum(share.allocations for share in found.lifetimes.values()) == found.frees
    (entry,) = (t for t in document(found)["by_type"] if t["name"] == "record")
    assert (entry["allocations"], entry["bytes"]) == (100, 6400)


def test_a_lifetime_is_counted_in_events(tmp_path: Path) -> None:
    rt = boot("linux/amd64", record=True)
    recorder = Recorder(rt)
    rt.malloc(64)
    kept = [rt.malloc(256) for _ in range(1000)]
    rt.collect(kept, mode="block")
    path = tmp_path / "x.trace.gz"
    recorder.save(path, False, workload="test", gc="stw", gomaxprocs=1)
    lifetimes = counted(path).lifetimes
    assert {power: share.allocations for power, share in lifetimes.items()} == {10: 1}  # 1024 to 2047


@pytest.mark.parametrize("suffix", [".trace.gz", ".trace.parquet"])
def test_what_cannot_be_counted_is_reported_with_its_line(tmp_path: Path, suffix: str) -> None:
    lines = list(lines_of("linux-386.ulimit-1g.off"))
    at = next(i for i, line in enumerate(lines) if line.startswith("m "))
    for changed in ("m 8 7000 z 0 c000", "m 8 - n 0", "m x - n 0 c000", "m 8 - n 0 xyz", "H 1 900 c000 0"):
        text = write(tmp_path / "text.trace.gz", [*lines[:at], changed, *lines[at + 1 :]])
        columnar.convert(text, path := tmp_path / f"x{suffix}")
        with pytest.raises(TraceFault, match=rf"x{re.escape(suffix)}:{at + 1}:1: '{changed}'"):
            counted(path)


def test_lines_written_unusually_are_counted_alike(tmp_path: Path) -> None:
    """An address in capital letters stands as text among the rows; it is an allocation all the same."""
    plain_lines = lines_of("linux-amd64.std.stw")
    lines = [
        f"{line[:-10]}{line[-10:].upper()}" if line.startswith("m ") and line.endswith("0") else line
        for line in plain_lines
    ]
    assert lines != list(plain_lines)
    text = write(tmp_path / "x.trace.gz", lines)
    columnar.convert(text, tmp_path / "x.parquet")
    found, plain = counted(tmp_path / "x.parquet"), counted(TRACES / "linux-amd64.std.stw.trace.gz")
    found.path = plain.path
    assert document(found) == document(plain)


def test_what_no_span_can_have_is_reported(tmp_path: Path) -> None:
    """linux/386: a span of class 1 is one page of 1024 objects of 8 bytes; of class 44, three of 4864."""
    header = lines_of("linux-386.mixed.stw")[0]
    for lines, words in (
        (["H 9999999999 1 10000000 0"], "spans of class 1 have 1 page"),
        (["H 3 44 10000000 0", "m 4800 - n 0 10005fff"], "no object lies there"),
    ):
        path = write(tmp_path / "x.trace.gz", [header, *lines])
        with pytest.raises(TraceFault, match=rf"x\.trace\.gz:{len(lines) + 1}:1: .*{words}"):
            counted(path)


def test_memory_is_that_of_the_places_in_spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording without a collection, all of whose objects stay alive: bytes by place, none by object."""

    # In columns a group's lines are held, however few objects there are.
    monkeypatch.setattr(reader, "PIECE", 1 << 12)
    monkeypatch.setattr("archcalc.traces.text_columns.PART", 1 << 14)
    monkeypatch.setattr("archcalc.traces.text_columns.PARTS", 1)
    pointer = Type.of_words("p", "p", 8)

    def peak(n: int) -> int:
        rt = boot("linux/amd64", record=True)
        recorder = Recorder(rt)
        for _ in range(n):
            rt.malloc(8, pointer)
        path = tmp_path / "x.trace.gz"
        recorder.save(path, False, workload="test", gc="off", gomaxprocs=1)
        tracemalloc.start()
        try:
            counted(path)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1000)
    assert (peak(60_000) - peak(20_000)) / 40_000 < 30  # born, count and bytes


def test_head_has_the_first_records_with_their_lines() -> None:
    header, found = head(TRACES / "linux-386.mixed.stw.trace.gz", 3, types=True)
    assert header.platform == "linux/386"
    assert found == list(zip((2, 3, 4), lines_of("linux-386.mixed.stw")[1:4], strict=True))
    _, found = head(TRACES / "windows-386.std.conc.trace.gz", 200_000, types=True)
    assert found == list(enumerate(lines_of("windows-386.std.conc")[1:200_001], start=2))
    _, found = head(TRACES / "linux-amd64.conflict.off.trace.gz", 10**6, types=True)
    assert len(found) == len(lines_of("linux-amd64.conflict.off")) - 1
    assert head(TRACES / "linux-amd64.conflict.off.trace.gz", 0)[1] == []
