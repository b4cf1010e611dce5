"""Span sets: first in, first out, in blocks that come from a pool and go back to it."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from allocator.common.throw import Throw
from allocator.sparse.mspan import MSpan, SpanList
from allocator.sparse.span_records import SpanRecords
from allocator.sparse.span_set import SpanSet
from allocator.sparse.span_table import SpanTable
from tests.support.sparse_heap import heap


def spans(n: int) -> list[MSpan]:
    return [MSpan(i) for i in range(n)]


def test_what_was_pushed_first_is_popped_first() -> None:
    made = SpanSet(heap())
    some = spans(3)
    for s in some:
        made.push(s)
    assert [made.pop() for _ in range(4)] == [*some, None]


def test_a_block_that_was_popped_whole_is_used_again() -> None:
    rt = heap()
    made, other = SpanSet(rt), SpanSet(rt)
    for s in spans(513):
        made.push(s)
    first, second = made.blocks
    for _ in range(512):
        made.pop()
    assert made.blocks == [0, second]
    other.push(MSpan(0))
    assert other.blocks == [first]


def test_a_reset_gives_the_last_block_back() -> None:
    rt = heap()
    made = SpanSet(rt)
    made.push(MSpan(0))
    made.pop()
    block = made.blocks[0]
    made.reset()
    assert (made.head, made.tail, made.blocks) == (0, 0, [])
    assert rt.span_set_blocks.stack.nodes[-1] == block
    made.reset()  # of a set that never had any


def test_a_block_is_at_hand_where_the_spine_has_room_for_it() -> None:
    rt = heap()
    made = SpanSet(rt)
    assert not made.block_at_hand()  # there is no spine yet
    made.push(MSpan(0))
    assert made.block_at_hand()
    base, _ = rt.persistent.chunks[rt.current_p]
    rt.persistent.chunks[rt.current_p] = base, rt.config.persistent_chunk_size
    assert not made.block_at_hand()  # neither free blocks nor memory
    rt.span_set_blocks.free(1 << 20)
    assert made.block_at_hand()


def test_a_set_that_is_not_empty_cannot_be_reset() -> None:
    made = SpanSet(heap())
    made.push(MSpan(0))
    with pytest.raises(Throw, match="non-empty span set"):
        made.reset()


def test_a_block_of_which_nothing_was_popped_is_not_the_end() -> None:
    made = SpanSet(heap())
    made.blocks = [1]
    with pytest.raises(Throw, match="unpopped elements"):
        made.reset()


def test_the_spine_doubles() -> None:
    rt = heap()
    made = SpanSet(rt)
    before = rt.stats.bytes["gc_misc_sys"]
    s = MSpan(0)
    for _ in range(256 * 512 + 1):
        made.push(s)
    assert made.spine_cap == 512
    block = rt.config.sizeof["spanSetBlock"]
    assert rt.stats.bytes["gc_misc_sys"] - before == 257 * block + (256 + 512) * 8


class SetMachine(RuleBasedStateMachine):
    """Any history of two sets over one pool, against queues."""

    @initialize()
    def begin(self) -> None:
        self.rt = heap()
        self.sets = [SpanSet(self.rt), SpanSet(self.rt)]
        self.models: list[deque[MSpan]] = [deque(), deque()]

    @rule(which=st.integers(0, 1), n=st.integers(1, 1200))
    def push(self, which: int, n: int) -> None:
        for s in spans(n):
            self.sets[which].push(s)
            self.models[which].append(s)

    @rule(which=st.integers(0, 1), n=st.integers(1, 1500))
    def pop(self, which: int, n: int) -> None:
        model = self.models[which]
        for _ in range(n):
            assert self.sets[which].pop() is (model.popleft() if model else None)

    @rule(which=st.integers(0, 1))
    def reset(self, which: int) -> None:
        self.pop(which, len(self.models[which]))
        self.sets[which].reset()

    @invariant()
    def blocks_belong_to_one(self) -> None:
        held = [block for made in self.sets for block in made.blocks if block]
        held += self.rt.span_set_blocks.stack.nodes
        assert len(set(held)) == len(held)


TestSets = SetMachine.TestCase
TestSets.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)


# Lists and tables of spans.


def test_a_list_takes_at_the_front_and_gives_anywhere() -> None:
    made = SpanList()
    a, b, c = spans(3)
    for s in (a, b, c):
        made.insert(s)
    assert list(made) == [c, b, a]
    made.remove(b)
    assert list(made) == [c, a]
    made.remove(c)
    made.remove(a)
    assert made.first is made.last is None


def test_a_span_stands_on_one_list() -> None:
    made, other = SpanList(), SpanList()
    s = MSpan(0)
    made.insert(s)
    with pytest.raises(Throw, match=r"mSpanList\.insert"):
        other.insert(s)
    with pytest.raises(Throw, match=r"mSpanList\.remove"):
        other.remove(s)


def test_a_table_has_each_page_of_a_span() -> None:
    made = SpanTable(SpanRecords(160))
    one, other = spans(2)
    made.set_range(500, 3000, one)
    made.set_range(1000, 20, other)
    assert made.get(499) is None
    assert made.get(500) is made.get(999) is made.get(1020) is made.get(3499) is one
    assert made.get(1000) is made.get(1019) is other
    assert made.get(3500) is None
    assert list(made.chunks) == [1]  # the chunk of the short one
    assert len(made.blocks) == 1


class FollowedRecording:
    """A follower of a recording: it says which span is popped, and notes each turn."""

    def __init__(self, places: list[int | None]) -> None:
        self.places = places
        self.plain = False
        self.noted: list[str] = []

    def turn(self) -> None:
        self.noted.append("turn")

    def persistent(self, size: int, align: int, stat: str, ret: int) -> None:
        pass

    def pushes(self, to: SpanSet, s: MSpan) -> bool:
        if self.plain:
            self.noted.append("pushes")
        return self.plain

    def needs_block(self, to: SpanSet) -> bool:
        return not to.blocks

    def new_block(self) -> bool:
        return True

    def pushed(self, to: SpanSet, s: MSpan) -> None:
        self.noted.append("pushed")

    def pops(self, source: SpanSet, s: MSpan | None) -> bool:
        if self.plain:
            self.noted.append("pops nothing" if s is None else f"pops {s.self_addr}")
        return self.plain

    def place_of_next(self, source: SpanSet) -> int | None:
        return self.places.pop(0)

    def popped(self, source: SpanSet, s: MSpan | None) -> None:
        self.noted.append("popped nothing" if s is None else f"popped {s.self_addr}")


def test_a_recording_says_which_span_comes_next() -> None:
    rt = heap()
    made = SpanSet(rt)
    rt.steps = follower = FollowedRecording([1, None, 0])  # type: ignore[assignment]
    for s in spans(2):
        made.push(s)
    for _ in range(3):
        made.pop()
    # A block has a turn of its own; whoever follows takes the others where it is asked.
    assert follower.noted == ["turn", "pushed", "pushed", "popped 1", "popped nothing", "popped 0"]


def test_where_all_goes_its_way_a_recording_is_asked_once() -> None:
    rt = heap()
    made = SpanSet(rt)
    follower = FollowedRecording([])
    one, two = spans(2)
    made.push(one)
    rt.steps = follower  # type: ignore[assignment]
    follower.plain = True
    made.push(two)
    assert [made.pop(), made.pop(), made.pop()] == [one, two, None]
    assert follower.noted == ["pushes", "pops 0", "pops 1", "pops nothing"]


def test_a_block_may_be_new_though_one_is_free() -> None:
    rt = heap()
    rt.span_set_blocks.free(0x1000)
    rt.steps = FollowedRecording([])  # type: ignore[assignment]
    assert rt.span_set_blocks.alloc() != 0x1000
    rt.steps = None
    assert rt.span_set_blocks.alloc() == 0x1000


def test_a_set_is_walked_without_changing_it() -> None:
    made = SpanSet(heap())
    some = spans(3)
    for s in some:
        made.push(s)
    assert list(made) == some and len(made) == 3
