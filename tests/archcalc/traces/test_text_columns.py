"""Text in columns: row by row what the columnar form has of the same lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import NAMES, TRACES, lines_of

from archcalc.traces.columnar import CODE, Rows
from archcalc.traces.outcome import GaveUp
from archcalc.traces.reader import TraceFault

np = pytest.importorskip("numpy")
from archcalc.traces import text_columns  # noqa: E402
from archcalc.traces.text_columns import TextColumns, TextFile, Words  # noqa: E402

WITH_REQUEST = {CODE["m"], CODE["f"]}
Row = tuple[int, str | None, int]


def rows_of(lines: list[str]) -> list[Row]:
    """Record, request and address of each line, as the columnar form has them."""
    rows = Rows()
    for line in lines:
        rows.add(line)
    words = list(rows._requests)
    return [
        (code, words[request], address)
        if request is not None and address is not None and code in WITH_REQUEST
        else (code, None, 0)
        for code, request, address in zip(rows.record, rows.request, rows.address, strict=True)
    ]


def rows_in(columns: TextColumns) -> list[Row]:
    words = [columns.words[number] for number in columns.request.tolist()]
    return list(zip(columns.code.tolist(), words, columns.address.tolist(), strict=True))


def piece(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


addresses = st.integers(0, (1 << 64) - 1).map("{:x}".format) | st.sampled_from(
    ["0", "00", "0c000", "C000", "c00g", "c000_0000", "1" * 17, "f" * 16, "c0\x0000", "c000\t", "-1", "", "٣"]
)
requests = st.sampled_from(
    ["8 - n 0", "48 3 z 0", "48 3 z\x00", "48 3 z", "", " ", "\x00", "specialfinalizer", "mcache", "1 é . 0"]
) | st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30)
records = st.sampled_from(["m", "f", "Z", "Zs", "Zb", "?", "H", "", "S", "mm", "é", "m\t", "\x00", "T"])
lines = st.builds("{} {} {}".format, records, requests, addresses)
anything = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)


@settings(max_examples=examples(200), phases=phases())
@given(st.lists(st.lists(lines | anything, min_size=1, max_size=12), min_size=1, max_size=4))
def test_rows_are_those_of_the_columnar_form(pieces: list[list[str]]) -> None:
    words = Words()
    for _ in range(2):  # with requests that are new, and with all of them known
        columns = TextColumns([piece(one) for one in pieces], words)
        every = [line for one in pieces for line in one]
        assert rows_in(columns) == rows_of(every)
        assert columns.lines(np.arange(len(every))) == every
        assert [columns.line(row) for row in range(len(every))] == every


@settings(max_examples=examples(100), phases=phases())
@given(st.lists(st.integers(0, 255), min_size=1, max_size=16))
def test_addresses_are_read_as_numbers_only_where_they_are_written_so(characters: list[int]) -> None:
    """Any bytes, so that what eight characters have in common with digits is told apart from them."""
    raw = bytes(c for c in characters if c != 10)
    try:
        line = f"m 8 - n 0 {raw.decode()}"
    except UnicodeDecodeError:
        return
    assert rows_in(TextColumns([piece([line])], Words())) == rows_of([line])


def test_requests_that_share_a_slot_are_distinguished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_columns, "SLOTS", 1)
    lines = [f"m {size} - n 0 c000{size:03x}" for size in range(1, 200)] * 2
    assert rows_in(TextColumns([piece(lines)], Words())) == rows_of(lines)


@pytest.mark.parametrize("name", NAMES)
def test_recordings_are_taken_apart_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_columns, "PART", 50_000)
    file = TextFile(TRACES / f"{name}.trace.gz")
    assert file.header_line == lines_of(name)[0]
    found = [row for columns in file.batches() for row in rows_in(columns)]
    assert found == rows_of(list(lines_of(name)[1:]))


def test_words_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(text_columns, "MAX_WORDS", 4)
    monkeypatch.setattr(text_columns, "PART", 1)
    monkeypatch.setattr("archcalc.traces.reader.PIECE", 64)
    lines = [f"m {size} - n 0 c000{size:03x}" for size in range(1, 100)]
    (tmp_path / "x.trace").write_bytes(b'{"format": "archtrace"}\n' + piece(lines))
    columns = list(TextFile(tmp_path / "x.trace").batches())
    assert [row for one in columns for row in rows_in(one)] == rows_of(lines)
    assert max(len(one.words) for one in columns) < 50


def test_what_is_hardly_a_recording_is_given_up() -> None:
    """Short lines, or letters that are not a record's, in such numbers that arrays of them do not pay."""
    for line in ("", "ab 1"):
        with pytest.raises(GaveUp):
            TextColumns([piece([line] * 5000)], Words())


def test_what_is_not_a_text_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "x.trace").write_bytes(b'{"format": "archtrace"}\nm \xff - n 0 c000\n')
    with pytest.raises(TraceFault, match=r"x\.trace:2"):
        list(TextFile(tmp_path / "x.trace").batches())
