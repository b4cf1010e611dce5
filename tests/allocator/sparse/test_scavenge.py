"""Giving memory back: which pages, in which order, and the index that knows where to look."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from allocator.common.throw import Throw
from allocator.sparse.page_alloc import Chunk
from allocator.sparse.scavenge import candidate, fill_aligned
from allocator.sparse.scavenge_index import Cursor, ScavengeIndex
from tests.support.sparse import config

CHUNK = 4 << 20
PAGE = 8192
LARGEST = 64


def chunk(allocated: list[tuple[int, int]], scavenged: list[tuple[int, int]]) -> Chunk:
    made = Chunk(0)
    for first, n in allocated:
        made.bits |= (1 << n) - 1 << first
    for first, n in scavenged:
        made.scavenged |= (1 << n) - 1 << first
    return made


@pytest.mark.parametrize(
    ("allocated", "scavenged", "page", "least", "most", "huge", "found"),
    [
        ([], [], 511, 1, 512, 0, (0, 512)),
        ([], [], 511, 1, 10, 0, (502, 10)),
        ([(0, 512)], [], 511, 1, 10, 0, (0, 0)),
        ([], [(0, 512)], 511, 1, 10, 0, (0, 0)),
        ([(511, 1)], [], 511, 1, 10, 0, (501, 10)),
        ([(500, 12)], [(0, 490)], 511, 1, 100, 0, (490, 10)),
        ([(100, 1)], [], 99, 1, 512, 0, (101, 27)),  # the whole block of 64 is looked at
        ([(100, 1)], [], 63, 1, 512, 0, (0, 64)),
        ([(100, 1)], [], 511, 2, 512, 0, (102, 410)),
        ([(101, 1)], [], 511, 4, 512, 0, (104, 408)),
        ([(0, 511)], [], 511, 2, 512, 0, (0, 0)),  # less than a physical page
        ([], [], 511, 8, 3, 0, (504, 8)),  # rounded up to a physical page
        ([], [], 511, 1, 1, 256, (256, 256)),  # a huge page is not broken
        ([(300, 1)], [], 511, 1, 1, 256, (511, 1)),  # unless it is already
        ([], [], 511, 1, 300, 256, (0, 512)),
        ([], [], 511, 8, 0, 0, (504, 8)),
    ],
)
def test_the_highest_run_is_taken(
    allocated: list[tuple[int, int]],
    scavenged: list[tuple[int, int]],
    page: int,
    least: int,
    most: int,
    huge: int,
    found: tuple[int, int],
) -> None:
    assert candidate(chunk(allocated, scavenged), page, least, most, huge, LARGEST) == found


@pytest.mark.parametrize(("least", "words"), [(3, "power of 2"), (0, "power of 2"), (128, "min too large")])
def test_physical_pages_that_cannot_be_are_the_end(least: int, words: str) -> None:
    with pytest.raises(Throw, match=words):
        candidate(chunk([], []), 511, least, 1, 0, LARGEST)


@given(st.integers(0, (1 << 512) - 1), st.sampled_from([1, 2, 4, 8, 16, 32, 64]))
def test_a_group_with_any_bit_is_filled(x: int, m: int) -> None:
    filled = fill_aligned(x, m, 512)
    for i in range(0, 512, m):
        group = (1 << m) - 1 << i
        assert filled & group == (group if x & group else 0)


@given(
    st.integers(0, (1 << 512) - 1),
    st.integers(0, (1 << 512) - 1),
    st.integers(0, 511),
    st.sampled_from([1, 2, 8]),
    st.integers(0, 600),
)
def test_a_candidate_is_whole_physical_pages_of_free_backed_memory(
    bits: int, scavenged: int, page: int, least: int, most: int
) -> None:
    made = Chunk(scavenged & ~bits)
    made.bits = bits & bits >> 3
    first, n = candidate(made, page, least, most, 0, LARGEST)
    usable = [
        all(not (made.bits | made.scavenged) >> i & 1 for i in range(group, group + least))
        for group in range(0, (page | 63) + 1, least)
    ]
    if not any(usable):
        assert n == 0
        return
    last = len(usable) - 1 - usable[::-1].index(True)
    run = 0
    while run <= last and usable[last - run]:
        run += 1
    wanted = max(-(-most // least), 1)
    assert (first + n, n) == ((last + 1) * least, min(run, wanted) * least)


# The index.


def index(chunks: int = 8) -> ScavengeIndex:
    made = ScavengeIndex(config())
    made.grow(100, 100 + chunks)
    for i in range(100, 100 + chunks):
        made.alloc(i, 512)
    return made


def test_a_full_chunk_is_not_looked_at() -> None:
    assert index().find(True) is None


def test_forced_scavenging_sees_what_is_freed_at_once() -> None:
    made = index()
    made.free(103, 5, 2)
    assert made.find(True) == (103, 6)
    assert made.find(False) is None


def test_the_background_sees_it_after_a_collection() -> None:
    made = index()
    made.free(103, 0, 512)
    made.next_gen()
    assert made.find(False) == (103, 511)


def test_the_background_leaves_dense_chunks_alone() -> None:
    made = index()
    made.free(103, 0, 16)  # 496 pages stay, which is dense
    made.free(102, 0, 17)
    made.next_gen()
    assert made.find(False) == (102, 511)
    assert made.find(True) == (103, 15)


def test_a_chunk_that_was_dense_before_the_last_collection_is_left_alone() -> None:
    made = index()
    made.next_gen()
    made.free(103, 0, 400)  # the first change in this generation: it was full until then
    made.background.mark(made.force.addr)
    assert made.find(False) is None
    made.next_gen()
    assert made.find(False) == (103, 399)


def test_the_cursor_sinks_to_the_next_chunk() -> None:
    made = index()
    made.free(103, 0, 100)
    made.free(101, 0, 100)
    assert made.find(True) == (103, 99)
    made.set_empty(103)
    assert made.find(True) == (101, 511)
    assert not made.force.marked
    made.set_empty(101)
    assert made.find(True) is None
    assert made.force.addr == 0
    assert made.find(True) is None


def test_a_cursor_that_is_not_marked_sinks_too() -> None:
    made = index()
    for chunk_index in (103, 102, 101):
        made.free(chunk_index, 0, 100)
    made.set_empty(103)
    made.find(True)  # unmarks
    made.set_empty(102)
    assert made.find(True) == (101, 511)


def test_arenas_far_apart_are_walked_in_order() -> None:
    made = index()
    made.grow(1_000_000, 1_000_001)
    made.alloc(1_000_000, 512)
    made.free(1_000_000, 0, 1)
    made.free(104, 0, 1)
    assert made.find(True) == (1_000_000, 0)
    made.set_empty(1_000_000)
    assert made.find(True) == (104, 511)


def test_counts_that_cannot_be_are_the_end() -> None:
    made = index()
    with pytest.raises(Throw, match="too many pages"):
        made.alloc(100, 1)
    with pytest.raises(Throw, match="below zero"):
        made.free(100, 0, 513)
    with pytest.raises(Throw, match="too many pages"):
        made.alloc_whole(101, 103)
    made.free(101, 0, 1)
    with pytest.raises(Throw, match="below zero"):
        made.free_whole(101, 103)


def test_a_chunk_packs_as_the_runtime_keeps_it() -> None:
    made = index()
    made.next_gen()
    made.free(100, 0, 2)
    assert made.chunks[100].packed(9) == 510 | 512 << 16 | 1 << 26 | 1 << 32


class IndexMachine(RuleBasedStateMachine):
    """Any history of an index, against looking at every chunk: what is found is never missed for good."""

    @initialize()
    def begin(self) -> None:
        self.index = ScavengeIndex(config())
        self.index.grow(10, 16)
        self.free = dict.fromkeys(range(10, 16), 512)
        for ci in self.free:
            self.index.alloc(ci, 512)
            self.free[ci] = 0

    @rule(ci=st.integers(10, 15), n=st.integers(1, 512))
    def alloc(self, ci: int, n: int) -> None:
        n = min(n, self.free[ci])
        if n:
            self.index.alloc(ci, n)
            self.free[ci] -= n

    @rule(ci=st.integers(10, 15), n=st.integers(1, 512))
    def release(self, ci: int, n: int) -> None:
        n = min(n, 512 - self.free[ci])
        if n:
            self.index.free(ci, 512 - n, n)
            self.free[ci] += n

    @rule()
    def next_gen(self) -> None:
        self.index.next_gen()

    @rule(force=st.booleans())
    def scavenge(self, force: bool) -> None:
        for _ in range(20):
            found = self.index.find(force)
            if found is None:
                break
            assert self.index.should_scavenge(found[0], force)
            self.index.set_empty(found[0])
        else:
            raise AssertionError("what is empty is found again and again")
        if force:
            assert not any(self.index.should_scavenge(ci, True) for ci in self.free)

    @invariant()
    def counts_are_the_model(self) -> None:
        for ci, free in self.free.items():
            assert self.index.chunks[ci].in_use == 512 - free


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(
    ("steps", "addr", "marked"),
    [
        ([("sink", 5)], 10, True),  # marked: it stays
        ([("clear",)], 10, True),
        ([("unmark", 9, 3)], 10, True),  # not what was seen
        ([("unmark", 10, 3)], 3, False),
        ([("unmark", 10, 3), ("unmark", 3, 1)], 3, False),  # not marked any more
        ([("unmark", 10, 3), ("sink", 5)], 3, False),  # not below
        ([("unmark", 10, 3), ("sink", 2)], 2, False),
        ([("unmark", 10, 3), ("clear",)], 0, False),
        ([("mark", 0)], 0, False),
        ([("mark", 4)], 4, True),
    ],
)
def test_a_cursor_moves_as_its_mark_says(steps: list[tuple[str, int]], addr: int, marked: bool) -> None:
    cursor = Cursor()
    cursor.mark(10)
    for name, *arguments in steps:
        getattr(cursor, name)(*arguments)
    assert (cursor.addr, cursor.marked) == (addr, marked)


def test_growth_over_known_chunks_keeps_their_counts() -> None:
    made = index(2)
    first = min(made.chunks)
    made.free(first, 0, 509)
    made.grow(first, first + 3)
    assert made.chunks[first].in_use == 3
    assert len(made.chunks) == 3
