"""Central lists: which span an mcache gets, where it goes back to, and what is counted as live meanwhile."""

from __future__ import annotations

import pytest

from allocator.common.throw import Throw
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot

PAGE = 8192
CLASS = 7  # 96 bytes, one page
SIZE = 96
COUNT = PAGE // SIZE


def test_a_new_span_is_chopped_into_objects_of_its_class(rt: Runtime) -> None:
    for sizeclass in (1, CLASS, 40, 66):
        size, pages = rt.class_to_size[sizeclass], rt.config.size_classes.class_to_allocnpages[sizeclass]
        s = rt.central[sizeclass].cache_span()
        spans = rt.spans
        assert (spans.npages[s], spans.elemsize[s]) == (pages, size)
        assert spans.nelems[s] == pages * PAGE // size
        assert spans.limit[s] == spans.base[s] + spans.nelems[s] * size
        assert list(rt.central[sizeclass].empty) == [s]
        assert spans.in_cache[s]


def test_caching_counts_free_objects_as_live_and_uncaching_takes_it_back(rt: Runtime) -> None:
    # heap_live grows by the span, of which the objects in use are known already (cacheSpan, uncacheSpan).
    before = rt.stats.heap_live
    rt.malloc(SIZE)
    assert rt.stats.heap_live - before == PAGE
    rt.release_cache(rt.caches[0])
    assert rt.stats.heap_live - before == PAGE - (COUNT - 1) * SIZE
    rt.malloc(SIZE)
    assert rt.stats.heap_live - before == PAGE - (COUNT - 1) * SIZE + (PAGE - SIZE)


def test_a_full_span_stays_among_the_empty_ones(rt: Runtime) -> None:
    central = rt.central[CLASS]
    for _ in range(COUNT):
        rt.malloc(SIZE)
    rt.release_cache(rt.caches[0])
    assert list(central.nonempty) == []
    assert len(list(central.empty)) == 1


def test_a_returned_span_is_taken_again_before_a_new_one(rt: Runtime) -> None:
    first = rt.malloc(SIZE)
    rt.release_cache(rt.caches[0])
    assert rt.malloc(SIZE) == first + SIZE
    assert len(rt.in_use()) == 1


def machine_with_unswept_spans() -> tuple[Runtime, list[int]]:
    """Three spans full of 96-byte objects after a collection in which every other object survived."""
    rt = boot("linux/amd64")
    objects = [rt.malloc(SIZE) for _ in range(3 * COUNT)]
    rt.collect(objects[::2], mode="force")
    return rt, objects


def test_an_unswept_span_is_swept_when_it_is_wanted() -> None:
    rt, objects = machine_with_unswept_spans()
    spans = rt.spans
    unswept = [s for s in rt.in_use() if spans.sweepgen[s] == rt.heap.sweepgen - 2]
    assert len(unswept) == 3
    v = rt.malloc(SIZE)
    # Full spans stand on `empty` in the order in which they filled up; the first is the one to sweep.
    assert v == objects[1]
    assert sum(spans.sweepgen[s] == rt.heap.sweepgen - 2 for s in unswept) == 2
    assert spans.alloc_count[rt.heap.lookup(v)] == (COUNT + 1) // 2


def test_spans_that_survive_whole_are_passed_over_and_the_heap_grows() -> None:
    rt = boot("linux/amd64")
    objects = [rt.malloc(SIZE) for _ in range(3 * COUNT)]
    rt.collect(objects, mode="force")
    v = rt.malloc(SIZE)
    assert v not in objects
    assert len(rt.in_use()) == 4
    assert all(rt.spans.sweepgen[s] == rt.heap.sweepgen for s in rt.in_use())
    assert all(rt.spans.free_index[s] == COUNT for s in range(3))


def test_a_span_in_which_nothing_lives_goes_back_to_the_heap() -> None:
    rt = boot("linux/amd64")
    objects = [rt.malloc(SIZE) for _ in range(2 * COUNT)]
    rt.collect(objects[:COUNT])
    assert [rt.spans.base[s] for s in rt.in_use()] == [objects[0]]
    assert rt.stats.heap_inuse == PAGE


def test_words_of_lists_and_caches_that_disagree(amd64: Runtime) -> None:
    rt = amd64
    rt.malloc(SIZE)
    cached = rt.cached(CLASS)
    s = cached.span
    with pytest.raises(Throw, match=r"^freeSpan given cached span$"):
        rt.central[CLASS].free_span(s, False, False)
    rt.spans.alloc_count[s] = 0
    with pytest.raises(Throw, match=r"^uncaching span but s.allocCount == 0$"):
        rt.central[CLASS].uncache_span(s)
    with pytest.raises(Throw, match=r"^can't preserve unlinked span$"):
        rt.central[CLASS].empty.remove(s)
        rt.central[CLASS].free_span(s, True, False)


def test_a_span_without_free_objects_cannot_be_cached(amd64: Runtime) -> None:
    amd64.malloc(SIZE)
    amd64.release_cache(amd64.caches[0])
    (s,) = amd64.in_use()
    amd64.spans.alloc_count[s] = amd64.spans.nelems[s]
    with pytest.raises(Throw, match=r"^span has no free objects$"):
        amd64.malloc(SIZE)
