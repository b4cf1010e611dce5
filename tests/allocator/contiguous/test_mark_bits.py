"""The arenas of mark bits and their roles through the cycles (mheap.go)."""

from __future__ import annotations

import pytest

from allocator.contiguous.mark_bits import GcBitsArenas
from allocator.contiguous.runtime import Runtime

CHUNK = 64 << 10


@pytest.mark.parametrize(("nelems", "taken"), [(1, 8), (64, 8), (65, 16), (512, 64), (1024, 128)])
def test_bits_come_in_blocks_of_64(some_rt: Runtime, nelems: int, taken: int) -> None:
    arenas = GcBitsArenas(some_rt)
    arenas.new_bits(1)
    before = arenas.next_free
    arenas.new_bits(nelems)
    assert arenas.next_free - before == taken


def test_an_arena_is_asked_for_when_one_is_full(some_rt: Runtime) -> None:
    arenas = GcBitsArenas(some_rt)
    header = 2 * some_rt.config.ptr_size
    before = some_rt.stats.gc_sys
    count = (CHUNK - header) // 128  # as many as fit behind the header
    for _ in range(count):
        arenas.new_bits(1024)
    assert len(arenas.next) == 1 and some_rt.stats.gc_sys == before + CHUNK
    arenas.new_bits(1024)
    assert len(arenas.next) == 2 and some_rt.stats.gc_sys == before + 2 * CHUNK


def test_three_cycles_later_an_arena_is_used_again(some_rt: Runtime) -> None:
    arenas = GcBitsArenas(some_rt)
    arenas.new_bits(1)
    first = arenas.next[0]
    roles = []
    for _ in range(3):
        arenas.next_epoch()
        roles.append((list(arenas.current), list(arenas.previous), list(arenas.free)))
    assert roles == [([first], [], []), ([], [first], []), ([], [], [first])]
    before = some_rt.stats.gc_sys
    arenas.new_bits(1)
    assert arenas.next == [first] and some_rt.stats.gc_sys == before


def test_the_arena_filled_last_is_used_first(amd64: Runtime) -> None:
    arenas = GcBitsArenas(amd64)
    for _ in range(2 * (CHUNK // 128)):
        arenas.new_bits(1024)
    filled_last = arenas.next[-1]
    assert len(arenas.next) == 3
    for _ in range(3):
        arenas.next_epoch()
    arenas.new_bits(1)
    assert arenas.next == [filled_last]
