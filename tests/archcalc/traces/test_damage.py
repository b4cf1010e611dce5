"""Damaged recordings: a message with its line or a difference, never a traceback, a hang or a heap of memory.

The property test at the end makes damage of every sort; with few examples and always the same ones unless
ARCHCALC_EFFORT says otherwise. A long run, to be made after changes to the replay:

    ARCHCALC_EFFORT=100 pytest tests/archcalc/traces/test_damage.py
"""

from __future__ import annotations

import gzip
import random
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import TRACES, lines_of, outcome, replayed, write

from archcalc.traces.reader import TraceFault

SMALL = ("linux-amd64.conflict.off", "windows-386.exhaust.off", "linux-386.ulimit-1g.off")
OWN = frozenset("MOUVqQXHKDELb")


@pytest.mark.parametrize("name", SMALL)
def test_a_file_cut_short_anywhere_is_not_a_recording(name: str, tmp_path: Path) -> None:
    data = (TRACES / f"{name}.trace.gz").read_bytes()
    path = tmp_path / "x.trace.gz"
    for length in [*range(30), *range(30, len(data), 97), *range(len(data) - 10, len(data))]:
        path.write_bytes(data[:length])
        assert outcome(path) == "fault", length


def test_a_recording_cut_short_at_any_line_is_not_whole(full_recording: Path, tmp_path: Path) -> None:
    lines = gzip.decompress(full_recording.read_bytes()).decode().split("\n")[:-1]
    for length in [*range(0, len(lines), 7), *range(len(lines) - 80, len(lines))]:
        path = write(tmp_path / "x.trace.gz", lines[:length])
        assert outcome(path) in ("fault", "differs"), lines[length]


@pytest.mark.parametrize("name", SMALL)
def test_a_changed_byte_of_the_compressed_file_never_passes(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.trace.gz", lines_of(name))
    data = path.read_bytes()
    rng = random.Random(name)
    # Nothing depends on bytes 3 to 9: gzip's flags, the time, the level and the system.
    places = [*range(3), *range(10, 20), *range(len(data) - 8, len(data))]
    for at in [*places, *(rng.randrange(20, len(data) - 8) for _ in range(60))]:
        damaged = bytearray(data)
        damaged[at] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        assert outcome(path) in ("fault", "differs"), at


@pytest.mark.parametrize("kind", sorted(set("mspfMqQXHKLYRISZ!F")))
def test_a_line_missing_or_twice_never_passes(kind: str, tmp_path: Path) -> None:
    lines = lines_of("linux-amd64.conflict.off")
    places = [at for at, line in enumerate(lines) if at and line.split(" ")[0] == kind]
    for at in {places[0], places[len(places) // 2], places[-1]}:
        for damaged in ([*lines[:at], *lines[at + 1 :]], [*lines[: at + 1], *lines[at:]]):
            path = write(tmp_path / "x.trace.gz", damaged)
            assert outcome(path) in ("fault", "differs"), lines[at]


@pytest.mark.parametrize("kind", ["T", "Z", "Zs", "Zb"])
def test_a_line_missing_twice_or_swapped_outside_the_events_never_passes(kind: str, tmp_path: Path) -> None:
    lines = lines_of("linux-arm.stacks.conc")
    places = [at for at, line in enumerate(lines) if line.split(" ")[0] == kind]
    for at in {places[0], places[-1]}:
        for damaged in (
            [*lines[:at], *lines[at + 1 :]],
            [*lines[: at + 1], *lines[at:]],
            [*lines[: at - 1], lines[at], lines[at - 1], *lines[at + 1 :]],
        ):
            path = write(tmp_path / "x.trace.gz", damaged)
            assert outcome(path) in ("fault", "differs"), lines[at]


def commute(first: str, second: str) -> bool:
    """Whether two neighbouring records are of things that do not touch each other, so that either order is a
    history that the runtime could have had: allocations of different classes, an OS answer and an event that
    does not ask, a profile record and the allocation that it stands in front of."""
    kinds = {first[0], second[0]}
    if kinds <= OWN:
        return False
    return bool(kinds & set("RYFpfsS")) or kinds == {"m"}


def test_swapped_neighbours_pass_only_where_either_order_could_have_been(tmp_path: Path) -> None:
    lines = lines_of("windows-386.exhaust.off")
    path = tmp_path / "x.trace.gz"
    swapped = 0
    for at in range(1, len(lines) - 1):
        first, second = lines[at], lines[at + 1]
        if first == second or commute(first, second):
            continue
        swapped += 1
        write(path, [*lines[:at], second, first, *lines[at + 2 :]])
        assert outcome(path) in ("fault", "differs"), (first, second)
    assert swapped > 300


@pytest.mark.parametrize("name", SMALL)
def test_allocations_of_one_kind_cannot_be_swapped(name: str, tmp_path: Path) -> None:
    lines = lines_of(name)
    pairs = [
        at
        for at in range(len(lines) - 1)
        if lines[at].startswith("m ")
        and lines[at].split(" ")[:5] == lines[at + 1].split(" ")[:5]
        and lines[at] != lines[at + 1]
    ]
    assert pairs
    for at in pairs:
        path = write(tmp_path / "x.trace.gz", [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]])
        assert outcome(path) == "differs"


FOREIGN_LINES = (
    *("", " ", "hello", "\0", "J 1", "mm 8 1 z 0 0", "m", "m 8", "m 8 1 z 0 0 0", "m 1 \u0661 . 0 0"),
    *("m 18446744073709551615 - n 0 0", "P 3", "z 1", "y 1", "u 9", "k -", "w", "w many", "v 1", "e 1"),
    *("r 0x1.0000000000000p+999", "r inf", "r nan", "r 1.5", "b 0 0 0 0 0", "b zz 1 1 0 0"),
    *("f span 0", "x mcache 0", "F sysFree 0 1 -", "F sysMap 0 1 12", "Y 1 0 heap", "R 0 1 0 2"),
    *("S 0 2048 0", "S 0 2048 -", "s 0 0 0", "s 3 0 0", "p 0 8 gc_sys G 0"),
    *("q 8 3 gc_sys G 0", "q 8 16384 gc_sys G 0", 'T 1 8 8 22 8 01 "late"'),
    *("Zs", "Zb 0", "Z", "Z 1", "Z " + "[" * 10000, "! 1", "! {}"),
    "b c420000000 22 20 0 " + ",".join(["ffffffffffffffff"] * 20000),
)


@pytest.mark.parametrize("line", FOREIGN_LINES, ids=lambda line: line[:30])
@pytest.mark.parametrize("where", ["before the arena", "among the events", "after the end"])
def test_a_foreign_line_never_passes(line: str, where: str, tmp_path: Path) -> None:
    lines = list(lines_of("linux-amd64.conflict.off"))
    if where == "before the arena":
        at = next(at for at, text in enumerate(lines) if text.startswith("R "))
    elif where == "among the events":
        at = max(at for at, text in enumerate(lines) if text.startswith("m ")) + 1
    else:
        at = len(lines)
    lines.insert(at, line)
    assert outcome(write(tmp_path / "x.trace.gz", lines)) in ("fault", "differs")


@pytest.mark.parametrize(
    "number", ["18446744073709551615", "18446744073709551616", "4294967296", "-1", "1e9", "00"]
)
def test_an_absurd_number_anywhere_gives_an_answer_at_once(number: str, tmp_path: Path) -> None:
    lines = list(lines_of("linux-386.ulimit-1g.off"))
    rng = random.Random(number)
    for kind in sorted({line.split(" ")[0] for line in lines[1:]}):
        at = rng.choice([at for at, line in enumerate(lines) if at and line.split(" ")[0] == kind])
        parts = lines[at].split(" ")
        for field in range(1, len(parts)):
            changed = " ".join([*parts[:field], number, *parts[field + 1 :]])
            # Whatever the result (some numbers are inputs that nothing contradicts), it is an outcome.
            outcome(write(tmp_path / "x.trace.gz", [*lines[:at], changed, *lines[at + 1 :]]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"linux/amd64"', '"linux/alpha"'),
        ('"linux/amd64"', '"../linux/amd64"'),
        ('"linux/amd64"', '"linux/*"'),
        ('"linux/amd64"', '""'),
        ('"events": 976', '"events": 975'),
        ('"events": 976', '"events": 977'),
        ('"phys_page_size": 4096', '"phys_page_size": 0'),
        ('"phys_page_size": 4096', '"phys_page_size": 4097'),
        ('"version": 1', '"version": 0'),
        ('{"format"', '{"Format"'),
        ("{", ""),
    ],
)
def test_a_wrong_header_never_passes(old: str, new: str, tmp_path: Path) -> None:
    lines = list(lines_of("linux-amd64.conflict.off"))
    assert old in lines[0]
    lines[0] = lines[0].replace(old, new, 1)
    assert outcome(write(tmp_path / "x.trace.gz", lines)) in ("fault", "differs")


def test_another_platforms_recording_differs(tmp_path: Path) -> None:
    lines = list(lines_of("linux-amd64.conflict.off"))
    lines[0] = lines[0].replace("linux/amd64", "linux/386")
    assert outcome(write(tmp_path / "x.trace.gz", lines)) in ("fault", "differs")


def test_an_empty_recording_is_a_fault_of_line_1(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.gz"
    for data in (b"", gzip.compress(b"")):
        path.write_bytes(data)
        with pytest.raises(TraceFault, match=":1:1: an empty file"):
            replayed(path)


def test_bytes_that_are_no_utf8_are_reported_with_their_line(tmp_path: Path) -> None:
    lines = list(lines_of("linux-amd64.conflict.off"))
    lines[700] = lines[700] + "\udcff"
    with pytest.raises(TraceFault, match=r":701:1: byte 0xff"):
        replayed(write(tmp_path / "x.trace.gz", lines))


# Files that unpack to far more than they are.


def packed(path: Path, parts: Iterator[bytes]) -> Path:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    with path.open("wb") as out:
        for part in parts:
            out.write(packer.compress(part))
        out.write(packer.flush())
    return path


def repeated(part: bytes, times: int, first: bytes = b"") -> Iterator[bytes]:
    yield first
    for _ in range(times):
        yield part


def header_and_arena() -> bytes:
    lines = lines_of("linux-amd64.conflict.off")
    end = next(at for at, line in enumerate(lines) if line.startswith("f mcache")) + 1
    return "".join(f"{line}\n" for line in lines[:end]).encode()


BOMBS: dict[str, Callable[[], Iterator[bytes]]] = {
    "zeros": lambda: repeated(bytes(1 << 20), 256),
    "one line": lambda: repeated(b"m" * (1 << 20), 256, header_and_arena()),
    "empty lines": lambda: repeated(b"\n" * (1 << 20), 64, header_and_arena()),
    "answers": lambda: repeated(b"Y 65536 7f7000000000 gc_sys\n" * 40000, 64, header_and_arena()),
    "own records": lambda: repeated(b"Q span 7f7000000000\n" * 50000, 64, header_and_arena()),
    "events": lambda: repeated(b"z\n" * 500000, 64, header_and_arena()),
    "mcaches": lambda: repeated(b"f mcache 7f7000000000\n" * 50000, 16, header_and_arena()),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_that_unpacks_without_end_takes_little_memory(
    bomb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archcalc.traces.replayer.MAX_PENDING", 1 << 16)  # a sixteenth, to be quick
    path = packed(tmp_path / "x.trace.gz", BOMBS[bomb]())
    tracemalloc.start()
    try:
        assert outcome(path) in ("fault", "differs")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 120 << 20


def test_a_type_of_a_program_without_end_takes_little_memory(tmp_path: Path) -> None:
    lines = list(lines_of("linux-amd64.conflict.off"))
    at = max(at for at, line in enumerate(lines) if line.startswith("T ")) + 1
    # One pointer, repeated 2^34 times: 128 GB of pointers, which fit the arena.
    lines.insert(at, f'T {at} {1 << 37} {1 << 37} 81 8 010181ffffffff3f00 "[17179869184]*T"')
    last = max(at for at, line in enumerate(lines) if line.startswith("m ")) + 1
    lines.insert(last, f"m {1 << 37} {at} zh 0 c430000000")
    tracemalloc.start()
    try:
        assert outcome(write(tmp_path / "x.trace.gz", lines)) in ("fault", "differs")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 120 << 20


# Damage of every sort at once.

TEXTS = (
    "18446744073709551615",
    "ffffffffffffffff",
    "0",
    "1",
    "-",
    "",
    "-1",
    "65536",
    "8192",
    "zh",
    "é",
    "\0",
    "done",
)
FILES = (*SMALL, "linux-arm.stacks.conc", "linux-s390x.large.conc", "linux-amd64.gcprog.stw")
FOREIGN = [line for name in FILES for line in lines_of(name)[1::37]]


def damage(lines: list[str], rng: random.Random) -> None:
    """One more damage to the lines."""
    kinds = sorted({line.split(" ")[0] for line in lines})
    kind = rng.choice(kinds)
    at = rng.choice([at for at, line in enumerate(lines) if line.split(" ")[0] == kind])
    match rng.randrange(8):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines.insert(at, rng.choice(FOREIGN))
        case 4 | 5:
            parts = lines[at].split(" ")
            parts[rng.randrange(len(parts))] = rng.choice(TEXTS)
            lines[at] = " ".join(parts)
        case 6:
            i = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:i] + rng.choice("0123456789abcdef T{\udcff\n") + lines[at][i + 1 :]
        case 7:
            del lines[at : at + rng.randrange(1, 200)]


@settings(max_examples=examples(150))
@given(
    name=st.sampled_from(FILES),
    seed=st.integers(0, 1 << 32),
    times=st.integers(1, 5),
    keep_going=st.booleans(),
)
def test_whatever_is_done_to_a_recording_has_an_outcome(
    name: str, seed: int, times: int, keep_going: bool
) -> None:
    rng = random.Random(seed)
    lines = list(lines_of(name))
    for _ in range(times):
        if lines:
            damage(lines, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "x.trace.gz", lines)
        try:
            result = replayed(path, keep_going)
        except TraceFault as broken:
            assert all(fault.file == str(path) and fault.line >= 1 for fault in broken.faults)
        else:
            assert result.ok == (result.first is None)
