"""The raw log: chunks of threads, in either byte order, and what a kill leaves of it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from archcalc.reading.errors import UsageFault
from archcalc.recorder.rawlog import MAGIC, RawLog

MACHINES = [(8, "<"), (4, "<"), (8, ">"), (4, ">")]


def chunk(order: str, word: int, thread: int, *records: tuple[int, str, int, tuple[int, ...]]) -> bytes:
    body = b""
    for number, kind, p, words in records:
        body += struct.pack(f"{order}2I", number, ord(kind) | len(words) << 8 | p + 1 << 16)
        body += struct.pack(f"{order}{len(words)}{'Q' if word == 8 else 'I'}", *words)
        body += bytes(-len(body) % 8)
    return struct.pack(f"{order}4I", MAGIC, thread, len(body) + 16, 0) + body


@pytest.mark.parametrize(("word", "order"), MACHINES)
def test_records_come_in_the_order_of_their_numbers(tmp_path: Path, word: int, order: str) -> None:
    first = [(1, "m", 0, (1, 2, 3)), (4, "e", -1, ())]
    second = [(2, "s", 1, (7,)), (3, "P", 1, (1,))]
    last = [(5, "m", 0, (9, 8, 7))]
    path = tmp_path / "log"
    path.write_bytes(
        chunk(order, word, 0, *first) + chunk(order, word, 3, *second) + chunk(order, word, 0, *last)
    )
    found = list(RawLog(path, word, order).records())
    assert [(number, thread, kind, p, words) for number, thread, kind, p, words in found] == [
        (1, 0, "m", 0, (1, 2, 3)),
        (2, 3, "s", 1, (7,)),
        (3, 3, "P", 1, (1,)),
        (4, 0, "e", -1, ()),
        (5, 0, "m", 0, (9, 8, 7)),
    ]


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_record_that_was_cut_short_is_left_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "log"
    whole = chunk("<", 8, 0, (1, "m", 0, (1, 2, 3)), (2, "m", 0, (1, 2, 3)))
    path.write_bytes(whole[:-cut])
    assert [number for number, *_ in RawLog(path, 8, "<").records()] == [1]


def test_what_is_not_a_log_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"something else that is long enough")
    with pytest.raises(UsageFault, match="no raw log at byte 0"):
        RawLog(path, 8, "<")


@pytest.mark.parametrize(
    ("last", "kept", "cut"),
    [((7, "m", 0, (1,)), [1, 2], True), ((7, "!", 0, (100, 2)), [1, 2, 4, 7], False)],
    ids=["killed", "ended"],
)
def test_what_a_kill_took_is_not_told_around(
    tmp_path: Path, last: tuple[int, str, int, tuple[int, ...]], kept: list[int], cut: bool
) -> None:
    """Number 3 is missing: it was still in a thread's buffer, or the end had begun when it was drawn."""
    path = tmp_path / "log"
    path.write_bytes(
        chunk("<", 8, 0, (1, "m", 0, (1,)), (4, "m", 0, (1,)))
        + chunk("<", 8, 2, (2, "m", 1, (1,)))
        + chunk("<", 8, 0, last)
    )
    log = RawLog(path, 8, "<")
    assert [number for number, *_ in log.records()] == kept
    assert log.cut is cut
