"""persistentalloc: chunks of 256 KB, the P's own and the global one (malloc.go)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.common.throw import Throw
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot

CHUNK = 256 << 10


def test_pieces_follow_each_other_aligned(some_rt: Runtime) -> None:
    alloc = some_rt.persistent.alloc
    first, slot = alloc(100, 0, "other_sys", "P7")
    assert slot == "P7"
    assert alloc(1, 1, "other_sys", "P7")[0] == first + 100
    assert alloc(8, 0, "other_sys", "P7")[0] == first + 104  # 8 when nothing else is asked for
    assert alloc(10, 64, "other_sys", "P7")[0] == first + 128


def test_each_slot_has_its_own_chunk(some_rt: Runtime) -> None:
    before = some_rt.stats.other_sys
    places = [some_rt.persistent.alloc(16, 0, "other_sys", slot)[0] for slot in ("P8", "P9", "P8")]
    assert places[2] == places[0] + 16
    assert abs(places[1] - places[0]) >= CHUNK
    assert some_rt.stats.other_sys == before + 2 * CHUNK


def test_a_chunk_that_is_too_full_is_left(some_rt: Runtime) -> None:
    size = (64 << 10) - 8
    places = [some_rt.persistent.alloc(size, 0, "other_sys", "P7")[0] for _ in range(5)]
    assert [place - places[0] for place in places[:4]] == [0, size, 2 * size, 3 * size]
    assert not places[0] <= places[4] < places[0] + CHUNK


def test_what_is_large_comes_from_the_system(some_rt: Runtime) -> None:
    before = some_rt.stats.gc_sys, some_rt.stats.other_sys
    _, slot = some_rt.persistent.alloc(64 << 10, 0, "gc_sys", "P7")
    assert slot == "S"
    assert (some_rt.stats.gc_sys, some_rt.stats.other_sys) == (before[0] + (64 << 10), before[1])


def test_the_counter_that_pays(some_rt: Runtime) -> None:
    """A chunk is charged to other_sys, and each piece then moved to whose it is."""
    other, gc = some_rt.stats.other_sys, some_rt.stats.gc_sys
    some_rt.persistent.alloc(1000, 0, "gc_sys", "P7")
    assert some_rt.stats.gc_sys == gc + 1000
    assert some_rt.stats.other_sys == other + CHUNK - 1000


@pytest.mark.parametrize(
    ("size", "align", "words"),
    [
        (0, 0, "persistentalloc: size == 0"),
        (1, 3, "persistentalloc: align is not a power of 2"),
        (1, 16384, "persistentalloc: align is too large"),
    ],
)
def test_what_it_refuses(amd64: Runtime, size: int, align: int, words: str) -> None:
    with pytest.raises(Throw) as death:
        amd64.persistent.alloc(size, align, "other_sys", "P0")
    assert death.value.words == words


@given(st.lists(st.tuples(st.integers(1, 70_000), st.sampled_from([0, 1, 2, 8, 64, 4096])), max_size=40))
def test_no_two_pieces_overlap(requests: list[tuple[int, int]]) -> None:
    rt = boot("linux/amd64")
    pieces = []
    for size, align in requests:
        at, _ = rt.persistent.alloc(size, align, "other_sys", "P0")
        assert at % (align or 8) == 0
        pieces.append((at, at + size))
    pieces.sort()
    assert all(end <= start for (_, end), (start, _) in pairwise(pieces))
