"""Reading recordings: the header, the types, numbers, and files that are none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from recordings import lines_of

from archcalc.traces import reader
from archcalc.traces.reader import TraceFault, address, decimal, parse_header, parse_type, pieces

HEADER = {
    "format": "archtrace",
    "version": 1,
    "platform": "linux/386",
    "data_end": 157422560,
    "phys_page_size": 4096,
    "events": 17763,
}


def test_a_header_has_what_the_run_was() -> None:
    header = parse_header("x", lines_of("linux-386.ulimit-1g.off")[0])
    assert (header.platform, header.data_end, header.phys_page_size) == ("linux/386", 220799456, 4096)
    assert (header.events, header.workload, header.gomaxprocs) == (873, "exhaust", 1)
    assert (header.ulimit_v, header.collector_off) == (1024000000, True)


def test_what_a_header_may_leave_out_has_its_usual_value() -> None:
    header = parse_header("x", json.dumps(HEADER))
    assert (header.gomaxprocs, header.ulimit_v, header.collector_off) == (1, None, False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "trace"),
        ("version", 2),
        ("version", "1"),
        ("data_end", -1),
        ("data_end", "10"),
        ("events", 1.5),
        ("events", True),
        ("events", 1 << 64),
        ("phys_page_size", None),
        ("platform", 386),
        ("gc", []),
        ("gomaxprocs", "2"),
        ("ulimit_v", -4),
    ],
)
def test_a_header_that_says_nonsense_is_a_fault_of_line_1(key: str, value: object) -> None:
    with pytest.raises(TraceFault, match=r"^x:1:1: "):
        parse_header("x", json.dumps(HEADER | {key: value}))


@pytest.mark.parametrize("line", ["", "{", "[]", "1", '"archtrace"', "T 1 8 8 22 8 01", "[" * 100_000, "{}"])
def test_a_first_line_that_is_not_a_header_is_a_fault(line: str) -> None:
    with pytest.raises(TraceFault, match=r"^x:1:1: "):
        parse_header("x", line)


def test_the_types_of_a_recording_are_read() -> None:
    number, typ = parse_type('T 10 16 16 25 8 02 "struct { F uintptr; mk *func(int) *main.node }"', 8)
    assert number == 10
    assert (typ.size, typ.ptrdata, typ.kind, typ.align, typ.gcdata) == (16, 16, 25, 8, b"\x02")
    assert typ.name == "struct { F uintptr; mk *func(int) *main.node }"
    assert not typ.noscan


def test_the_header_of_a_defer_is_known_by_its_name() -> None:
    assert parse_type('T 1 48 48 25 8 38 "runtime._defer"', 8)[1].is_defer
    assert not parse_type('T 1 48 48 25 8 38 "main._defer"', 8)[1].is_defer


@pytest.mark.parametrize(
    "line",
    [
        "T 1 8 8 22 8 01",
        'T 1 8 8 22 8 0 "*T"',  # half a byte of mask
        'T 1 8 8 22 8 0A "*T"',
        "T 1 8 8 22 8 01 T",
        'T 1 8 8 22 8 01 "*T',
        'T 1 8 16 22 8 01 "*T"',  # pointers beyond the size
        'T 1 8 8 256 8 01 "*T"',
        'T 1 8 8 150 8 01 "*T"',  # kind says no pointers
        'T 1 8 0 22 8 01 "*T"',  # kind says pointers
        'T 1 800 800 22 8 01 "[100]*T"',  # a mask for eight words
        'T -1 8 8 22 8 01 "*T"',
        'T 1 8 8 22 8 - "*T"',
    ],
)
def test_a_type_that_contradicts_itself_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"expected"):
        parse_type(line, 8)


@pytest.mark.parametrize("text", ["0", "7", "10", str((1 << 64) - 1)])
def test_counts_are_decimal(text: str) -> None:
    assert decimal(text) == int(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "01", "1 ", "1_0", "0x1", "a", "٣", "1e3", str(1 << 64), "9" * 5000]
)
def test_what_is_not_a_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        decimal(text)


@pytest.mark.parametrize("text", ["0", "c420000000", "f" * 16])
def test_addresses_are_hexadecimal(text: str) -> None:
    assert address(text) == int(text, 16)


@pytest.mark.parametrize("text", ["", "0x1", "C420000000", "01", "-1", "g", "1 ", "1_0", "1" + "0" * 16])
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        address(text)


def read_all(path: Path) -> list[str]:
    return [line for lines in pieces(path) for line in lines]


def test_lines_come_whole_whatever_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"m {i} - n 0 é{i:x}" for i in range(500)]
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    for piece in (1, 2, 3, 7, 64, 1 << 20):
        monkeypatch.setattr(reader, "PIECE", piece)
        assert read_all(path) == lines


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"no gzip at all", 1, "not a recording"),
        (gzip.compress(b"a\nb\nc", mtime=0), 3, "a last line without a line end"),
        (gzip.compress(b"a\nb\n", mtime=0)[:-1], 3, "cut short"),
        (gzip.compress(b"a\nb\n", mtime=0)[:-6] + b"\0\0\0\0\0\0", 3, "damaged .*CRC check failed"),
        (gzip.compress(b"a\nb\xffc\n", mtime=0), 2, "0xff, which is not UTF-8"),
        (gzip.compress(b"a\n", mtime=0) + b"more", 2, "damaged .*Not a gzipped file"),
        (gzip.compress(b"a\n", mtime=0)[:10] + b"\xff" * 20, 1, "damaged .*invalid"),
    ],
)
def test_a_damaged_file_is_a_fault_with_its_line(data: bytes, line: int, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(data)
    with pytest.raises(TraceFault, match=words) as caught:
        read_all(path)
    (fault,) = caught.value.faults
    assert (fault.file, fault.line) == (str(path), line)


@pytest.mark.parametrize("name", ["missing.gz", "."])
def test_a_file_that_cannot_be_read_is_a_fault(name: str, tmp_path: Path) -> None:
    with pytest.raises(TraceFault, match="cannot be read"):
        read_all(tmp_path / name)
