"""Maps of living Go programs: their own heap is known by its shape, in both eras, and is not in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from allocator.kernels.address_space import MAPPED, RESERVED, TAKEN
from allocator.kernels.maps import parse_maps
from archcalc.boot import boot
from archcalc.machines.computer import maps_lines
from archcalc.machines.neighbours import GoHeap, foreign, go_heaps
from archcalc.reading.errors import UsageFault

DATA = Path(__file__).parents[2] / "data/maps"  # /proc/self/maps of real programs of 1.21 and 1.27

STACK = "7ffd3600f000-7ffd36030000 rw-p 00000000 00:00 0                          [stack]\n"
# A program of 2017 with a heap of 1 MB: the table of spans, the bitmap's end with the arena after it.
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


@pytest.mark.parametrize(
    ("file", "heap"),
    [
        ("go1.21-386.txt", GoHeap(0xA400000, 0x2A800000, "since 1.11")),
        ("go1.27-386.txt", GoHeap(0x9400000, 0x29800000, "since 1.11")),
    ],
)
def test_the_heap_of_a_32_bit_program_of_today(file: str, heap: GoHeap) -> None:
    """Behind the break, which Linux draws at random; grown by an arena beyond the reservation."""
    mappings = parse_maps((DATA / file).read_text())
    assert go_heaps(mappings) == [heap]
    assert not any(heap.start <= one.start < heap.end for one in foreign(mappings))
    for go in ("7aefdfded", "1.27"):
        free, taken = (boot("linux/386", go=go, maps=maps) for maps in (None, DATA / file))
        assert taken.attempts[0].answer == free.attempts[0].answer


# What somebody else has: nothing; the hint, so that it comes to lie elsewhere; and what leaves lower rungs.
LADDER = [
    (),
    ((0x20000000, 0x40000000),),
    ((0x10000000, 0x40000000), (0x60000000, 0xD7000000)),
    ((0x10000000, 0x40000000), (0x50000000, 0xE0000000)),
    ((0x10000000, 0x40000000), (0x50000000, 0xE6000000)),
]


@pytest.mark.parametrize(
    ("platform", "taken"), [("linux/arm", ()), ("android/arm", ()), *(("linux/386", one) for one in LADDER)]
)
def test_the_heap_of_a_32_bit_program_of_2017(platform: str, taken: tuple[tuple[int, int], ...]) -> None:
    """Whichever rung of mallocinit's ladder it stands on, as the machine itself leaves its process."""
    rt = boot(platform, taken=taken)
    for _ in range(40):
        rt.malloc(1 << 20, noscan=True)
    kinds = {TAKEN: "r-xp", RESERVED: "---p", MAPPED: "rw-p"}
    lines = [
        f"{start:08x}-{end:08x} {kinds[kind]} 00000000 00:00 0 {f'/bin/{start}' * (kind == TAKEN)}\n"
        for start, end, kind in rt.kernel.space
    ]
    (heap,) = go_heaps(parse_maps("".join(lines)))
    regions = rt.regions()
    assert heap.start <= regions[0].base and heap.era == "before 1.11"
    assert heap.end >= max(region.end for region in regions)


@pytest.mark.parametrize("size", [64 << 20, (128 << 20) + 4096, 512 << 20])
def test_a_large_mapping_elsewhere_in_a_32_bit_process_is_foreign(size: int) -> None:
    text = (
        "08048000-08100000 r-xp 00000000 fd:01 99 /usr/bin/java\n"
        f"{0x50000000:08x}-{0x50000000 + size:08x} rw-p 00000000 00:00 0 \n"
    )
    assert go_heaps(parse_maps(text)) == []


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


def test_a_maps_file_is_read_once_while_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "maps"
    file.write_text(OLD)
    read = Path.read_text
    times = []

    def counted(path: Path, *args: Any, **kwargs: Any) -> str:
        times.append(path)
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", counted)
    assert maps_lines(file) == maps_lines(file) == parse_maps(OLD)
    boot("linux/amd64", maps=file)
    assert times.count(file) == 1
    file.write_text(OLD + "7ffe00000000-7ffe00001000 r--p 00000000 00:00 0\n")
    assert len(maps_lines(file)) == len(parse_maps(OLD)) + 1
