"""The columnar form: nothing is lost either way, and other files are refused."""

from __future__ import annotations

import gzip
import json
import os
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import NAMES, TRACES, lines_of, replayed, write

from archcalc.reading.errors import UsageFault
from archcalc.traces import columnar
from archcalc.traces.columns import Columns
from archcalc.traces.reader import TraceFault
from archcalc.traces.records import version2, version3

np = pytest.importorskip("numpy")
pytest.importorskip("pyarrow")

VERSION_2 = [path for path in sorted((TRACES.parent / "version2").glob("*.trace.gz")) if "386" in path.name]
HEADER = lines_of("linux-386.mixed.stw")[0]


def text_of(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def flat(path: Path) -> list[str]:
    return [line for piece in columnar.lines(path) for line in piece]


def there_and_back(source: Path, folder: Path) -> bytes:
    count = columnar.convert(source, folder / "x.trace.parquet")
    assert columnar.is_columnar(folder / "x.trace.parquet")
    assert columnar.convert(folder / "x.trace.parquet", folder / "back.trace.gz") == count
    return text_of(folder / "back.trace.gz")


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_comes_back_byte_for_byte(name: str, tmp_path: Path) -> None:
    source = TRACES / f"{name}.trace.gz"
    assert there_and_back(source, tmp_path) == text_of(source)


@pytest.mark.parametrize("name", ["linux-amd64.std.stw", "linux-386.mixed.stw"])
def test_ordinary_allocations_stand_in_columns(name: str, tmp_path: Path) -> None:
    columnar.convert(TRACES / f"{name}.trace.gz", tmp_path / "x.parquet")
    rows = [
        row for batch in columnar.ColumnarFile(tmp_path / "x.parquet").batches() for row in batch.to_pylist()
    ]
    lines = lines_of(name)[1:]
    assert len(rows) == len(lines)
    for line, row in zip(lines, rows, strict=True):
        if line.startswith("m "):
            _, *request, address = line.split(" ")
            assert row == {
                "record": "m", "request": " ".join(request), "address": int(address, 16), "text": None,
            }  # fmt: skip


def test_text_may_be_plain(tmp_path: Path) -> None:
    text = text_of(TRACES / "linux-arm.stacks.conc.trace.gz")
    (tmp_path / "x.trace").write_bytes(text)
    assert there_and_back(tmp_path / "x.trace", tmp_path) == text
    columnar.convert(tmp_path / "x.trace.parquet", tmp_path / "back.trace")
    assert (tmp_path / "back.trace").read_bytes() == text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("form", ["gz", "parquet"])
def test_a_pipe_is_written_to_and_stays_one(form: str, tmp_path: Path) -> None:
    """As /dev/null needs: nothing replaces what is not a regular file."""
    source = TRACES / "linux-arm.stacks.conc.trace.gz"
    pipe = tmp_path / f"pipe.{form}"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as beside:
        came = beside.submit(pipe.read_bytes)
        columnar.convert(source, pipe)
        (tmp_path / f"came.{form}").write_bytes(came.result(timeout=60))
    assert pipe.is_fifo()
    assert flat(tmp_path / f"came.{form}") == flat(source)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_read_once_from_its_beginning(tmp_path: Path) -> None:
    source = TRACES / "linux-arm.stacks.conc.trace.gz"
    columnar.convert(source, tmp_path / "x.parquet")
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as beside:
        beside.submit((tmp_path / "pipe").write_bytes, source.read_bytes())
        columnar.convert(tmp_path / "pipe", tmp_path / "y.parquet")
        assert (tmp_path / "y.parquet").read_bytes() == (tmp_path / "x.parquet").read_bytes()
        beside.submit((tmp_path / "pipe").write_bytes, source.read_bytes())
        assert replayed(tmp_path / "pipe").ok
        beside.submit((tmp_path / "pipe").write_bytes, (tmp_path / "x.parquet").read_bytes())
        with pytest.raises(TraceFault, match="a file, not a pipe"):
            list(columnar.lines(tmp_path / "pipe"))


ODD = [
    *("", " ", "m", "m ", "m  ", "m 1", "m  1", "m c000", "m 8 - n 0", "m 8 - n 0 ", "m 8 - n 0 0c000"),
    *("m 8 - n 0 C000", "m 8 - n 0 c000 ", "m 8 - n 0 10000000000000000", "m 8 - n 0 1_0", "m 8 - n 0 ٣"),
    *(
        "m 8 - n 0 0",
        "m 8 - n 0 +1",
        "m 8 - n 0 -1",
        "m 8 - n 0 c000\r",
        "\r",
        "\x00",
        "m\t8",
        "µ",
        "? a",
        "?",
        "?? 1",
        "Zz 1",
    ),
    *("S", "S ", "S c000", "S c000 ", "S c000 2048 0", "S 0x1 2048 0", "S  2048 0", "s 2048 - c000"),
    *(
        "f x",
        "f  y",
        "f x 1",
        "z",
        "z ",
        "z 1",
        "Q span c000",
        "Q c000",
        "Zs 1",
        "! {}",
        "q 1 2 gc_sys G c000",
    ),
]
TEXT = st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)))
SHAPED = st.from_regex(r"[mSsfxpqQX]( [0-9a-f-]{0,6}){0,6}", fullmatch=True)


def test_lines_that_are_written_unusually_come_back_as_they_are(tmp_path: Path) -> None:
    source = write(tmp_path / "odd.trace.gz", [HEADER, *ODD])
    assert there_and_back(source, tmp_path) == text_of(source)


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.one_of(TEXT, SHAPED, st.sampled_from(ODD)), max_size=40))
def test_any_lines_come_back(lines: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source = write(Path(folder) / "any.trace.gz", [HEADER, *lines])
        assert there_and_back(source, Path(folder)) == text_of(source)


NEWER = sorted({record.letters for record in (*version2.RECORDS, *version3.RECORDS)} | {"Za", "Zv"})
FIELD = st.one_of(
    st.integers(0, 1 << 64).map(str),
    st.integers(0, 1 << 64).map("{:x}".format),
    st.sampled_from(["-", "rw", "tc"]),
)
RECORD = st.tuples(st.sampled_from(NEWER), st.lists(FIELD, max_size=8)).map(lambda r: " ".join((r[0], *r[1])))


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(RECORD, max_size=40), st.sampled_from([2, 3]))
def test_records_of_newer_versions_have_codes_and_come_back(lines: list[str], version: int) -> None:
    import tempfile

    header = json.dumps({**json.loads(HEADER), "version": version, "go": "go1.27", "ticks_per_second": 1})
    with tempfile.TemporaryDirectory() as folder:
        source = write(Path(folder) / "any.trace.gz", [header, *lines])
        assert there_and_back(source, Path(folder)) == text_of(source)
        for batch in columnar.ColumnarFile(Path(folder) / "x.trace.parquet").batches(["record"]):
            assert "?" not in batch.column(0).to_pylist()


@pytest.mark.parametrize("path", VERSION_2, ids=lambda path: path.name)
def test_a_recording_of_today_comes_back_byte_for_byte(path: Path, tmp_path: Path) -> None:
    assert there_and_back(path, tmp_path) == text_of(path)


def test_rows_are_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "ROWS", 1000)
    import pyarrow.parquet as pq

    source = TRACES / "linux-386.mixed.stw.trace.gz"
    assert there_and_back(source, tmp_path) == text_of(source)
    found = pq.ParquetFile(tmp_path / "x.trace.parquet").metadata
    assert found.num_row_groups == -(-found.num_rows // 1000)


def test_converting_takes_no_more_memory_for_more_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "ROWS", 20_000)

    def peak(n: int) -> int:
        path = tmp_path / f"{n}.trace.gz"
        line = b"m 16 12 z 0 c420010"
        with gzip.open(path, "wb", 1) as file:
            file.write(HEADER.encode() + b"\n")
            for i in range(0, n, 1000):
                file.write(b"".join(line + f"{i + k:06x}\n".encode() for k in range(1000)))
        tracemalloc.start()
        try:
            columnar.convert(path, tmp_path / "x.parquet")
            columnar.convert(tmp_path / "x.parquet", tmp_path / "y.gz")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(20_000)
    assert peak(240_000) < 1.5 * peak(60_000)


@pytest.mark.parametrize("form", ["trace.gz", "parquet"])
def test_kinds_are_those_of_the_lines(form: str, tmp_path: Path) -> None:
    lines = [*lines_of("linux-amd64.gcprog.stw")[1:], *ODD]
    write(tmp_path / "x.trace.gz", [HEADER, *lines])
    columnar.convert(tmp_path / "x.trace.gz", tmp_path / "x.parquet")
    header, some = columnar.kinds(tmp_path / f"x.{form}")
    assert header.platform == "linux/386"
    assert sum(some, Counter()) == Counter(line.partition(" ")[0] for line in lines)


# What is not a columnar recording.


def test_a_parquet_file_of_something_else_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"record": ["m"]}), tmp_path / "x.parquet")
    with pytest.raises(TraceFault, match="a Parquet file that is not a recording"):
        columnar.ColumnarFile(tmp_path / "x.parquet")


def test_columns_of_another_version_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    batch = pa.RecordBatch.from_pylist([], schema=columnar.schema(HEADER))
    later = {**batch.schema.metadata, columnar.FORM_KEY: b"2"}
    pq.write_table(pa.Table.from_batches([batch]).replace_schema_metadata(later), tmp_path / "x.parquet")
    with pytest.raises(TraceFault, match=r"x\.parquet: columns of version 2; expected version 1"):
        columnar.ColumnarFile(tmp_path / "x.parquet")


def test_the_columns_are_those_that_are_reported() -> None:
    assert columnar.schema().names == list(columnar.COLUMNS)


def test_damage_is_reported_with_the_file(tmp_path: Path) -> None:
    columnar.convert(TRACES / "linux-386.mixed.stw.trace.gz", tmp_path / "x.parquet")
    data = (tmp_path / "x.parquet").read_bytes()

    def read(changed: bytes) -> Iterator[list[str]]:
        path = tmp_path / "bad.parquet"
        path.write_bytes(changed)
        return columnar.lines(path)

    good = [line for piece in columnar.lines(tmp_path / "x.parquet") for line in piece]
    told = 0
    for cut in (4, 5, 100, len(data) // 2, len(data) - 1):
        with pytest.raises(TraceFault, match=r"bad\.parquet(:\d+:1)?: a Parquet file that is damaged"):
            list(read(data[:cut]))
    for at in range(4, len(data), len(data) // 150):
        changed = bytearray(data)
        changed[at] ^= 0x55
        try:
            found = [line for piece in read(bytes(changed)) for line in piece]
        except TraceFault:
            told += 1
        else:
            # What nothing reads may change: statistics, say.
            assert found == good
    assert told > 100


def test_what_text_cannot_be_read_is_reported_as_for_replay(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.gz"
    path.write_bytes((TRACES / "linux-386.mixed.stw.trace.gz").read_bytes()[:-1000])
    with pytest.raises(TraceFault, match=r"x\.trace\.gz:\d+:1: gzip data that is damaged or cut short"):
        columnar.convert(path, tmp_path / "y.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["x.trace.gz"]


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageFault, match=r"archcalc\[bulk\]"):
        columnar.convert(TRACES / "linux-386.mixed.stw.trace.gz", tmp_path / "x.parquet")


@pytest.mark.parametrize("name", NAMES)
def test_rows_say_what_their_lines_do(name: str, tmp_path: Path) -> None:
    """Those that the replayer takes without lines have the same fields and address."""
    path = tmp_path / "x.trace.parquet"
    columnar.convert(TRACES / f"{name}.trace.gz", path)
    for batch in columnar.ColumnarFile(path).batches():
        columns = Columns(batch, np)
        rows = zip(*columns.parted(), strict=True)
        made = [line or f"{fields} {address:x}" for line, (fields, _, address) in rows]
        assert made == columns.lines(np.arange(len(columns))) == columnar.lines_of(batch)
