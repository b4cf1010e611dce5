"""User arenas: what lies where in a chunk, and how a freed chunk comes back."""

from __future__ import annotations

import pytest

from allocator.common.throw import GoPanic, Throw
from allocator.common.types import Type
from allocator.sparse.gc import MARK_TERMINATION
from allocator.sparse.specials import PROFILE
from tests.support.sparse_heap import heap

PAIR = Type.of_words("pair", "p.", 8)
PLAIN = Type.of_words("plain", "..", 8)
CHUNK = 8 << 20


def test_pointers_come_from_the_front_and_the_rest_from_the_back() -> None:
    rt = heap()
    arena = rt.new_user_arena()
    first = arena.new(PAIR)
    assert first % CHUNK == 0
    assert arena.new(PAIR) == first + 16
    room = CHUNK - CHUNK // 64 - 48  # heap bits, and a type
    assert arena.new(PLAIN) == first + room - 16
    assert arena.slice(PLAIN, 10) == first + room - 16 - 160
    assert arena.slice(PAIR, 0) == rt.zerobase
    assert rt.audit() == []


def test_what_is_larger_than_a_quarter_of_a_chunk_is_an_object_of_its_own() -> None:
    rt = heap()
    arena = rt.new_user_arena()
    v = arena.slice(PLAIN, CHUNK // 4 // 16 + 1)
    s = rt.heap.span_of_heap(v)
    assert s is not None and not s.is_user_arena_chunk


def test_a_freed_chunk_waits_in_quarantine_for_a_sweep() -> None:
    rt = heap()
    arena = rt.new_user_arena()
    first = arena.new(PAIR)
    for _ in range(5):
        arena.slice(PAIR, 120_000)  # fills the first chunk
    assert len(rt.user_arenas.chunks) == 2
    in_use = rt.memstats()["HeapInuse"]
    arena.free()
    assert rt.memstats()["HeapInuse"] == in_use - CHUNK
    assert [s.base for s in rt.user_arenas.quarantine] == [first]
    assert rt.audit() == []
    rt.collect([])
    assert list(rt.user_arenas.quarantine) == []
    assert first in {s.base for s in rt.user_arenas.ready}
    assert rt.audit() == []
    again = rt.new_user_arena()  # goes on with the chunk that was not full
    for _ in range(6):
        again.slice(PAIR, 120_000)
    assert first in {s.base for s in rt.user_arenas.chunks}
    assert rt.audit() == []
    rt.memstats()


def test_pointers_in_an_arena_are_followed() -> None:
    rt = heap()
    arena = rt.new_user_arena()
    holder, target = arena.new(PAIR), rt.malloc(64)
    rt.store(holder, target)
    other = rt.malloc(64)
    rt.store(holder + 8, other)  # no pointer
    rt.collect(roots=[])
    assert rt.totals().objects == 2  # the chunk, and what it points to
    assert any(run.base == holder for run in rt.runs())
    assert rt.audit() == []


def test_a_chunk_freed_while_marking_faults_afterwards() -> None:
    rt = heap(gogc=100)
    arena = rt.new_user_arena()
    for _ in range(5):
        arena.slice(PAIR, 120_000)
    rt.begin_mark(live=[])
    arena.free()
    assert len(rt.user_arenas.to_fault) == 1
    rt.finish_mark()
    assert not rt.user_arenas.to_fault
    assert rt.audit() == []


def test_an_arena_is_freed_once() -> None:
    arena = heap().new_user_arena()
    with pytest.raises(GoPanic, match="negative cap"):
        arena.slice(PAIR, -1)
    arena.free()
    with pytest.raises(GoPanic, match="double free"):
        arena.free()


def test_a_small_address_space_has_small_chunks() -> None:
    rt = heap("linux/386")
    assert rt.user_arenas.bytes == 4 << 20
    arena = rt.new_user_arena()
    arena.new(Type.of_words("word", "p", 4))
    assert rt.audit() == []


@pytest.mark.parametrize(("rate", "sampled"), [(0, 0), (1, 1), (1 << 40, 0)])
def test_a_chunk_counts_as_one_object_of_the_heap_profile(rate: int, sampled: int) -> None:
    rt = heap(mem_profile_rate=rate)
    s = rt.user_arenas.new_chunk()
    assert sum(record.kind == PROFILE for record in s.specials or ()) == sampled


def test_a_chunk_cannot_be_taken_at_the_wrong_moment() -> None:
    rt = heap()
    arena = rt.new_user_arena()
    with rt.during_malloc():
        with pytest.raises(Throw, match="malloc deadlock"):
            rt.new_user_arena()
        with pytest.raises(Throw, match="malloc deadlock"):
            arena.new(PAIR)
    rt.gc.set_phase(MARK_TERMINATION)
    with pytest.raises(Throw, match="newUserArenaChunk called with gcphase == _GCmarktermination"):
        rt.new_user_arena()
