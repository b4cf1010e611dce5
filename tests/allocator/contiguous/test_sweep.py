"""Sweeping: once a cycle for each span, in what order, what it frees, and what allocations owe."""

from __future__ import annotations

import pytest

from allocator.common.throw import Throw
from allocator.contiguous.mspan import FREE, IN_USE
from allocator.contiguous.runtime import Runtime
from allocator.contiguous.sweep import mark_words
from archcalc.boot import boot

PAGE = 8192
SIZE = 1024
COUNT = 8  # objects of 1 KB in a page


def unswept(rt: Runtime) -> list[int]:
    return [s for s in rt.in_use() if rt.spans.sweepgen[s] == rt.heap.sweepgen - 2]


def after_collection(rt: Runtime, spans: int, live_of_each: int) -> list[int]:
    """That many full spans of 1 KB objects, of which so many live in each, and none swept yet."""
    objects = [rt.malloc(SIZE) for _ in range(spans * COUNT)]
    rt.collect([v for i, v in enumerate(objects) if i % COUNT < live_of_each], mode="force")
    return objects


def test_a_sweep_frees_what_is_not_marked(rt: Runtime) -> None:
    objects = [rt.malloc(SIZE) for _ in range(COUNT)]
    rt.collect([objects[1], objects[6]], mode="force")
    assert rt.sweepone() == 0  # no pages
    (s,) = rt.in_use()
    assert rt.spans.alloc_bits[s] == 1 << 1 | 1 << 6
    assert (rt.spans.alloc_count[s], rt.spans.free_index[s], rt.spans.mark_bits[s]) == (2, 0, 0)
    assert rt.spans.needzero[s] == 1
    assert rt.caches[0].local_nsmallfree[rt.spans.sizeclass[s]] == COUNT - 2
    rt.malloc(SIZE)
    assert [rt.malloc(SIZE) for _ in range(5)] == [objects[i] for i in (2, 3, 4, 5, 7)]


def test_every_span_is_swept_once_and_then_nothing_is_left(rt: Runtime) -> None:
    after_collection(rt, 5, 3)
    assert len(unswept(rt)) == 5
    assert rt.heap.sweepdone == 0
    assert [rt.sweepone() for _ in range(5)] == [0] * 5
    assert unswept(rt) == []
    assert rt.sweepone() == -1
    assert rt.heap.sweepdone == 1
    assert sorted(rt.sweep_spans.swept) == sorted(rt.in_use())


def test_several_calls_at_once_return_what_each_would(amd64: Runtime) -> None:
    after_collection(amd64, 4, 0)
    assert amd64.sweeper.sweep_on(times=3) == [1, 1, 1]
    assert amd64.sweeper.sweep_on(times=3) == [1, -1]


def mixed_heap() -> Runtime:
    """Spans in which all, some and none of the objects live, of a word of marks and of several."""
    rt = boot("linux/amd64", record=True)
    rt.log_inputs = False
    objects = [rt.malloc(size, noscan=True) for size in (16, 48, 1024, 3 * PAGE, 40_000) for _ in range(600)]
    rt.collect([v for i, v in enumerate(objects) if i % 600 < 200 or i % 7 == 0], mode="force")
    assert rt.log is not None
    rt.log.clear()
    return rt


def test_a_row_of_spans_is_swept_as_each_of_them_is() -> None:
    in_a_row, one_by_one = mixed_heap(), mixed_heap()
    in_a_row.sweeper.sweep_on()
    swept = [one_by_one.sweeper.ensure_swept(s) for s in reversed(one_by_one.sweep_spans.unswept)]
    assert len(swept) > 500 and all(swept)
    assert in_a_row.log == one_by_one.log
    assert in_a_row.sweep_spans.swept == one_by_one.sweep_spans.swept
    left, right = in_a_row.spans.columns(), one_by_one.spans.columns()
    del left["on_list"], right["on_list"]
    assert left == right
    assert in_a_row.arenas.next_free == one_by_one.arenas.next_free
    assert in_a_row.sweeper.pages_swept == one_by_one.sweeper.pages_swept


def test_spans_are_swept_last_in_first_out(amd64: Runtime) -> None:
    objects = after_collection(amd64, 3, 1)
    amd64.sweepone()
    left = {amd64.spans.base[s] for s in unswept(amd64)}
    assert left == {objects[0], objects[COUNT]}


def test_a_span_without_survivors_goes_back_with_its_pages(rt: Runtime) -> None:
    after_collection(rt, 3, 0)
    in_use = rt.heap.pages_in_use
    assert [rt.sweepone() for _ in range(4)] == [1, 1, 1, -1]
    assert in_use - rt.heap.pages_in_use == 3
    assert rt.in_use() == []


def test_a_large_object_goes_back_whole(rt: Runtime) -> None:
    dead = rt.malloc(10 * PAGE)
    live = rt.malloc(10 * PAGE)
    rt.collect([live], mode="force")
    assert {rt.sweepone(), rt.sweepone()} == {0, 10}
    assert (rt.caches[0].local_nlargefree, rt.caches[0].local_largefree) == (1, 10 * PAGE)
    assert rt.heap.lookup_maybe(dead) < 0
    assert rt.heap.lookup_maybe(live) >= 0


def test_ensure_swept_sweeps_once(rt: Runtime) -> None:
    objects = after_collection(rt, 2, 1)
    s = rt.heap.lookup(objects[0])
    assert rt.sweeper.ensure_swept(s)
    assert not rt.sweeper.ensure_swept(s)
    assert rt.spans.alloc_count[s] == 1
    assert len(unswept(rt)) == 1


def test_an_allocation_pays_for_itself_by_sweeping(amd64: Runtime) -> None:
    rt = amd64
    after_collection(rt, 40, 1)
    # Half a page swept for every byte of a page: four pages are owed for one.
    rt.set_sweep_ratio(4 / PAGE)
    swept = rt.sweeper.pages_swept
    rt.sweeper.deduct_credit(PAGE, 0)
    assert rt.sweeper.pages_swept - swept == 4
    rt.sweeper.deduct_credit(PAGE, 3)  # three of which the caller sees to
    assert rt.sweeper.pages_swept - swept == 5
    rt.sweeper.reimburse_credit(PAGE)
    rt.sweeper.deduct_credit(PAGE, 0)
    assert rt.sweeper.pages_swept - swept == 8
    assert rt.sweeper.span_bytes_alloc == 2 * PAGE


def test_who_owes_more_than_there_is_owes_nothing_any_more(amd64: Runtime) -> None:
    after_collection(amd64, 3, 1)
    amd64.set_sweep_ratio(100.0)
    amd64.sweeper.deduct_credit(PAGE, 0)
    assert unswept(amd64) == []
    assert amd64.sweeper.pages_per_byte == 0


def test_a_collection_sets_what_is_owed() -> None:
    # gcSweep (mgc.go): all pages in use, over the bytes to the next cycle less a megabyte, a page at least.
    rt = boot("linux/amd64", gogc=100)
    live = [rt.malloc(1 << 20) for _ in range(2)]
    rt.collect(live, mode="force")
    # 7/8 more than what lives would be 3.75 MB; a heap is not collected below 4.
    assert rt.stats.gc_trigger == 4 << 20
    distance = (4 << 20) - (2 << 20) - (1 << 20)
    assert rt.sweeper.pages_per_byte == 2 * 128 / distance


def test_words_of_spans_that_cannot_be_swept(amd64: Runtime) -> None:
    rt = amd64
    v = rt.malloc(SIZE)
    s = rt.heap.lookup(v)
    with pytest.raises(Throw, match=r"^MSpan_Sweep: bad span state$"):
        rt.sweeper.sweep(s, False)
    assert rt.printed == [f"MSpan_Sweep: state={IN_USE} sweepgen=0 mheap.sweepgen=0"]
    rt.collect([v], mode="force")
    rt.spans.mark_bits[s] |= 0b10
    with pytest.raises(Throw, match=r"^sweep increased allocation count$"):
        rt.sweepone()
    assert rt.printed[-1] == "runtime: nelems=8 nfree=6 nalloc=2 previous allocCount=1 nfreed=65535"


def test_words_of_a_free_span_among_the_unswept(amd64: Runtime) -> None:
    after_collection(amd64, 1, 1)
    (s,) = unswept(amd64)
    amd64.spans.state[s] = FREE
    with pytest.raises(Throw, match=r"^non in-use span in unswept list$"):
        amd64.sweepone()
    assert amd64.printed == ["runtime: bad span s.state=3 s.sweepgen=0 sweepgen=2"]


def test_credit_that_was_never_charged_cannot_be_given_back(amd64: Runtime) -> None:
    amd64.set_sweep_ratio(1.0)
    with pytest.raises(Throw, match=r"^spanBytesAlloc underflow$"):
        amd64.sweeper.reimburse_credit(1)


@pytest.mark.parametrize(
    ("marks", "nelems", "text"),
    [
        (0, 1, "0"),
        (1, 64, "1"),
        (1 << 63, 64, "8000000000000000"),
        (1 << 64 | 5, 65, "5,1"),
        (0, 130, "0,0,0"),
    ],
)
def test_marks_are_written_as_words(marks: int, nelems: int, text: str) -> None:
    assert mark_words(marks, nelems) == text


def test_the_background_sweeper_leaves_large_objects_where_they_stand() -> None:
    # sweepone takes the span that was pushed last. reclaimList counts on unswept spans coming first, and
    # stops at a swept one (mheap.go), though the first of these three is not swept yet.
    rt = boot("linux/amd64", gogc=20)
    large = [rt.malloc(3 << 20, noscan=True) for _ in range(3)]
    rt.collect(large, mode="force")
    states = []
    while rt.sweepone() >= 0:
        states.append([rt.spans.sweepgen[s] == rt.heap.sweepgen for s in rt.heap.busylarge])
        assert rt.audit() == []
    # Somewhere on the way a swept one stands before an unswept one.
    assert any(sorted(state) != state for state in states)
