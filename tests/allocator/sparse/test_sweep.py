"""Sweeping on demand: for room, for pages, in proportion, and by the cache that holds a stale span."""

from __future__ import annotations

import pytest

from allocator.common.throw import Throw
from allocator.sparse.heap import Heap
from allocator.sparse.sweep import DONE
from tests.support.sparse_heap import heap


def half_dead(n: int = 2000, size: int = 1024, gogc: int = -1) -> Heap:
    """A heap of which every second object is dead, and nothing is swept yet."""
    rt = heap(gogc=gogc)
    objects = [rt.malloc(size) for _ in range(n)]
    rt.collect(objects[::2], mode="force")
    return rt


def test_whoever_needs_room_sweeps_a_span_of_its_class() -> None:
    rt = half_dead()
    spans = rt.totals().spans_in_use
    for _ in range(4):
        rt.malloc(1024)  # from the span that the cache held, which it swept when it was flushed
    before = rt.heap.pages_swept
    for _ in range(4):
        rt.malloc(1024)
    assert rt.heap.pages_swept == before + 1
    assert rt.totals().spans_in_use == spans


def test_whoever_needs_pages_sweeps_until_as_many_came_free() -> None:
    rt = heap()
    for _ in range(2000):
        rt.malloc(1024)
    kept = rt.malloc(1024)
    rt.collect([kept], mode="force")
    sys_before = rt.memstats()["HeapSys"]
    v = rt.malloc(100 * 8192)
    assert rt.heap.pages_swept >= 100
    assert rt.memstats()["HeapSys"] == sys_before
    assert rt.audit() == []
    assert v


def test_spare_pages_are_a_credit_for_the_next() -> None:
    rt = heap()
    for _ in range(20):
        rt.malloc(64 * 8192)
    rt.collect([], mode="force")
    rt.malloc(40 * 8192)
    credit = rt.heap.reclaim_credit
    assert credit > 0
    swept = rt.heap.pages_swept
    rt.malloc(min(credit, 20) * 8192)
    assert rt.heap.pages_swept == swept


def test_allocation_pays_in_proportion() -> None:
    rt = half_dead(gogc=100)
    rt.heap.sweep_pages_per_byte = 1 / 8192
    rt.heap.sweep_heap_live_basis = rt.pacer.heap_live
    rt.heap.pages_swept_basis = rt.heap.pages_swept
    before = rt.heap.pages_swept
    rt.malloc(50 * 8192)  # its own pages it reclaims itself
    for _ in range(30):
        rt.malloc(4096)
    assert rt.heap.pages_swept - before >= 15


def test_a_debt_that_cannot_be_paid_is_forgotten() -> None:
    rt = half_dead(n=16)
    rt.heap.sweep_pages_per_byte = 1.0
    rt.heap.sweep_heap_live_basis = 0
    rt.malloc(8192)
    assert rt.heap.sweep_pages_per_byte == 0.0
    assert rt.sweepone() == DONE


def test_the_sweep_ends_when_every_list_is_empty() -> None:
    rt = half_dead()
    while rt.sweepone() != DONE:
        assert not rt.sweeper.done
    assert rt.sweeper.done
    assert rt.audit() == []


def test_objects_that_were_not_allocated_cannot_be_marked() -> None:
    rt = heap()
    objects = [rt.malloc(1024) for _ in range(2000)]
    rt.collect(objects[::2])
    rt.collect(objects[::2], mode="force")
    s = next(s for s in rt.in_use() if s.sweepgen == rt.heap.sweepgen - 2 and s.alloc_count < s.nelems)
    s.mark_bits = (1 << s.nelems) - 1
    with pytest.raises(Throw, match="pointer to free object"):
        while rt.sweepone() != DONE:
            pass
    assert "marked free object" in rt.printed[-1]


def test_a_cache_that_missed_a_cycle_is_the_end() -> None:
    rt = heap(procs=2)
    rt.ps[1].mcache.flush_gen -= 2
    with pytest.raises(Throw, match="not flushed"):
        rt.collect([])


# Stacks.


def test_stacks_of_an_order_come_from_one_span() -> None:
    rt = heap()
    found = [rt.stack_alloc(2048) for _ in range(16)]
    spans = {id(rt.heap.span_of(v)) for v in found}
    assert len(spans) == 1
    assert len(set(found)) == 16


def test_a_cache_takes_and_gives_half_at_a_time() -> None:
    rt = heap()
    first = rt.stack_alloc(4096)
    cache = rt.ps[0].mcache
    assert cache.stack_sizes[1] == 3 * 4096
    stacks = [first, *(rt.stack_alloc(4096) for _ in range(15))]
    for v in stacks:
        rt.stack_free(v, 4096)
    assert cache.stack_sizes[1] <= 32768
    assert rt.audit() == []


def test_stacks_that_are_freed_while_marking_stay() -> None:
    rt = heap(gogc=100)
    large, small = rt.stack_alloc(65536), rt.stack_alloc(2048, None)
    rt.begin_mark(live=[])
    rt.stack_free(large, 65536)
    rt.stack_free(small, 2048, None)
    in_use = rt.heap_stats.in_stacks
    assert rt.stack_alloc(65536) == large  # the one that waits
    rt.stack_free(large, 65536)
    assert rt.heap_stats.in_stacks == in_use
    rt.finish_mark()
    assert rt.heap_stats.in_stacks == 0
    assert rt.audit() == []


def test_stacks_begin_at_physical_pages_where_they_must() -> None:
    rt = heap()
    rt.stacks_need_aligned_pages = True
    v = rt.stack_alloc(65536)
    assert v % rt.config.phys_page_size == 0
    rt.stack_free(v, 65536)
    assert rt.audit() == []
