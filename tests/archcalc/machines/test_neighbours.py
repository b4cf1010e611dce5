"""Maps of living Go programs: their own heap is known by its shape, in both eras, and is not in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from allocator.kernels.maps import parse_maps
from archcalc.boot import boot
from archcalc.machines.neighbours import GoHeap, foreign, go_heaps
from archcalc.reading.errors import UsageFault

DATA = Path(__file__).parents[2] / "data/maps"  # /proc/self/maps of real programs of 1.21 and 1.27

STACK = "7ffd3600f000-7ffd36030000 rw-p 00000000 00:00 0                          [stack]\n"
# A program of 2017 with a heap of 1 MB: the table of spans, the bitmap's end with the arena behind it.
OLD = (
    "00400000-00480000 r-xp 00000000 fd:01 99 /usr/bin/old\n"
    "c000000000-c000001000 rw-p 00000000 00:00 0 \n"
    "c41fff8000-c420100000 rw-p 00000000 00:00 0 \n"
    "7f0000000000-7f0000100000 rw-p 00000000 00:00 0 \n" + STACK
)
# An arena of glibc's malloc: 64 MB, aligned to as much, where the system puts all mappings.
MALLOC = (
    "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 \n"
    "7ffc00021000-7ffc04000000 ---p 00000000 00:00 0 \n" + STACK
)


@pytest.mark.parametrize(
    ("file", "heap"),
    [
        ("go1.21.txt", GoHeap(0xC000000000, 0xC008000000, "since 1.11")),
        ("go1.27.txt", GoHeap(0x6236C000000, 0x62378000000, "since 1.11")),
    ],
)
def test_the_heap_of_a_program_of_today(file: str, heap: GoHeap) -> None:
    mappings = parse_maps((DATA / file).read_text())
    assert go_heaps(mappings) == [heap]
    rest = foreign(mappings)
    assert not any(heap.start <= one.start < heap.end for one in rest)
    assert len(mappings) - len(rest) == sum(heap.start <= one.start < heap.end for one in mappings)


def test_the_heap_of_a_program_of_2017() -> None:
    assert go_heaps(parse_maps(OLD)) == [GoHeap(0xC000000000, 0xC420100000, "before 1.11")]
    assert [one.start for one in foreign(parse_maps(OLD))] == [0x400000, 0x7F0000000000, 0x7FFD3600F000]


def test_an_arena_of_cs_malloc_is_foreign() -> None:
    assert go_heaps(parse_maps(MALLOC)) == []


def test_a_small_mapping_at_a_hint_is_foreign_where_a_file_is_mapped() -> None:
    text = "c000000000-c000400000 rw-p 00000000 fd:01 7 /some/file\n"
    assert go_heaps(parse_maps(text)) == []


def test_a_machine_gets_the_hint_that_the_program_has(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text(OLD)
    for file in (tmp_path / "maps", DATA / "go1.21.txt"):
        assert boot("linux/amd64", maps=file).attempts[-1].answer == 0xC000000000


def test_maps_of_a_64_bit_process_are_none_of_a_32_bit_port() -> None:
    with pytest.raises(UsageFault, match="64-bit process"):
        boot("linux/386", maps=DATA / "go1.21.txt")
