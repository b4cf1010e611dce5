"""What allocations owe while marking: the ratios of the pacer, debts, credit, and who ends the phase."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.common.types import Type
from allocator.sparse.gc import MARK, OFF
from allocator.sparse.heap import Heap
from allocator.sparse.pacer import _divided, _int64
from tests.support.sparse_heap import heap

PAGE = 8192
LEAST = 64 << 10
SLOT = 9472  # what a page of pointers takes with its header
LINK = Type.of_words("link", "pp..", 8)


def marking(objects: int = 100) -> Heap:
    """A heap of so many pages of pointers, all of which are told to live, left marking."""
    rt = heap(gogc=100)
    kept = [rt.malloc(PAGE, rt.pointer_type) for _ in range(objects)]
    rt.begin_mark(kept)
    return rt


def debt_of(rt: Heap) -> int:
    assert rt.p is not None
    return rt.p.assist_bytes


def test_the_ratios_are_what_is_left_to_mark_and_to_allocate() -> None:
    """revise: the first cycle knows of no work, so the least that counts is 1000 bytes."""
    rt = marking()
    room = rt.pacer.heap_goal - rt.pacer.heap_live
    assert rt.pacer.assist_work_per_byte == 1000 / room
    assert rt.pacer.assist_bytes_per_work == room / 1000
    rt.finish_mark()
    rt.begin_mark([])
    assert rt.pacer.last_heap_scan == 100 * SLOT
    room = rt.pacer.heap_goal - rt.pacer.heap_live
    assert rt.pacer.assist_work_per_byte == 100 * SLOT / room


def test_an_assist_scans_64_kb_at_least_and_is_credited_for_it() -> None:
    """gcAssistAlloc: debt is bytes; work = ratio * debt, raised to 64 KB; credit = 1 + bytes/work * done."""
    rt = marking()
    per_work = rt.pacer.assist_bytes_per_work
    before = rt.pacer.heap_scan_work
    rt.malloc(2048)
    done = rt.pacer.heap_scan_work - before
    assert LEAST <= done < LEAST + 9472 * 10
    assert debt_of(rt) == -2048 + 1 + int(per_work * done)


def test_an_assist_takes_the_background_s_credit_first() -> None:
    rt = marking()
    rt.pacer.bg_scan_credit = 200_000
    per_work = rt.pacer.assist_bytes_per_work
    rt.malloc(2048)
    assert rt.pacer.heap_scan_work == 0
    assert rt.pacer.bg_scan_credit == 200_000 - LEAST
    assert debt_of(rt) == -2048 + int(per_work * LEAST)


def test_less_credit_than_needed_is_taken_whole_and_the_rest_is_scanned() -> None:
    rt = marking()
    rt.pacer.bg_scan_credit = 1000
    per_work = rt.pacer.assist_bytes_per_work
    rt.malloc(2048)
    assert rt.pacer.bg_scan_credit == 0
    scanned = rt.pacer.heap_scan_work
    assert scanned >= LEAST - 1000
    assert debt_of(rt) == -2048 + (1 + int(per_work * 1000)) + (1 + int(per_work * scanned))


def test_with_credit_left_nobody_assists_and_rounding_is_charged_too() -> None:
    rt = marking()
    assert rt.p is not None
    rt.p.assist_bytes = 10_000
    rt.malloc(2048)
    assert (rt.pacer.heap_scan_work, debt_of(rt)) == (0, 10_000 - 2048)
    rt.malloc(2050)
    assert debt_of(rt) == 10_000 - 2048 - 2304


def test_the_assist_that_finds_nothing_left_ends_the_cycle() -> None:
    rt = heap(gogc=100)
    kept = [rt.malloc(LINK.size, LINK) for _ in range(10)]
    rt.begin_mark(kept)
    v = rt.malloc(100)
    assert rt.gc.phase == OFF
    assert rt.num_gc == 1
    # It came to the end of the cycle before it had its memory, which is new in the next.
    assert rt.pacer.heap_marked == 10 * LINK.size
    assert debt_of(rt) == 0
    rt.collect([v])
    assert rt.totals().objects == 1


def test_a_cycle_forgets_debts() -> None:
    rt = heap(gogc=100)
    assert rt.p is not None
    rt.p.assist_bytes = -5
    rt.begin_mark([])
    assert debt_of(rt) == 0
    rt.finish_mark()


def test_a_chunk_of_a_user_arena_is_paid_for_as_one_object() -> None:
    rt = marking(1000)
    rt.pacer.bg_scan_credit = 1 << 40
    before = debt_of(rt)
    rt.new_user_arena()
    assert rt.gc.phase == MARK
    assert rt.pacer.bg_scan_credit < 1 << 40
    assert debt_of(rt) >= before
    rt.finish_mark()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_can_be_reached_lives_whatever_is_moved_while_assists_mark(data: st.DataObject) -> None:
    """The write barrier: a pointer that is taken out of one object and put into another is not lost."""
    rt = heap(gogc=100)
    objects = [rt.malloc(LINK.size, LINK) for _ in range(40)]
    filler = [rt.malloc(PAGE, rt.pointer_type) for _ in range(20)]
    for i, p in enumerate(objects[1:], 1):
        rt.store(objects[(i - 1) // 2] + 8 * ((i - 1) % 2), p)
    roots = [objects[0], *filler]
    rt.begin_mark(roots=roots)
    new: list[int] = []
    for _ in range(data.draw(st.integers(0, 30))):
        one, two = data.draw(st.sampled_from(objects)), data.draw(st.sampled_from(objects))
        slot = data.draw(st.sampled_from([0, 8]))
        if data.draw(st.booleans()):
            moved = rt.load(one + slot)
            rt.store(one + slot, 0)
            rt.store(two + 8 - slot, moved)
        else:
            new.append(rt.malloc(2048))
    reached, left = set(), [objects[0]]
    while left:
        p = left.pop()
        if p and p not in reached:
            reached.add(p)
            left += [rt.load(p), rt.load(p + 8)]
    if rt.gc.phase == MARK:
        rt.finish_mark()
    while rt.sweepone() >= 0:
        pass
    for p in reached:
        s = rt.heap.span_of_heap(p)
        assert s is not None and s.allocated() >> s.index_of(p) & 1
    assert rt.audit() == []


@pytest.mark.parametrize(
    ("x", "found"),
    [(1.9, 1), (-1.9, -1), (math.nan, -(1 << 63)), (math.inf, -(1 << 63)), (1e30, -(1 << 63)), (0.0, 0)],
)
def test_floats_become_integers_as_on_amd64(x: float, found: int) -> None:
    assert _int64(x) == found


def test_dividing_by_nothing() -> None:
    assert _divided(1.0, 4.0) == 0.25
    assert _divided(1.0, 0.0) == math.inf and _divided(-1.0, 0.0) == -math.inf
    assert math.isnan(_divided(0.0, 0.0))
