"""mcache and mcentral: where small objects come from, and where their spans go (mcache.go, mcentral.go)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from allocator.contiguous.mspan import IN_USE
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot

PAGE = 8192


def span_of(rt: Runtime, p: int) -> int:
    return rt.heap.lookup_maybe(p)


def test_objects_of_a_class_follow_each_other(some_rt: Runtime) -> None:
    first = some_rt.malloc(100)  # the class of 112 bytes, 73 a span
    assert [some_rt.malloc(100) - first for _ in range(72)] == [112 * i for i in range(1, 73)]
    assert span_of(some_rt, some_rt.malloc(100)) != span_of(some_rt, first)


def test_fetching_a_span_is_heavy_weight(some_rt: Runtime) -> None:
    """shouldhelpgc comes back true for the first object of a span only."""
    rt = some_rt
    heavy = []
    for _ in range(74):
        rt.mallocgc(100, None, True, 0)
        heavy.append("h" in rt.last_flags)
    assert [i for i, h in enumerate(heavy) if h] == [0, 73]


def test_holes_are_filled_in_order(some_rt: Runtime) -> None:
    rt = some_rt
    objects = [rt.malloc(1024) for _ in range(8)]  # one span
    rt.collect([objects[i] for i in (0, 2, 3, 6)])
    assert [rt.malloc(1024) for _ in range(4)] == [objects[i] for i in (1, 4, 5, 7)]


@given(st.sets(st.integers(0, 255), min_size=1), st.integers(0, 256))
def test_free_index_and_counts_follow_every_hole(kept: set[int], taken: int) -> None:
    """What the cache hands out run by run is what a walk over the allocation bits finds."""
    rt = boot("linux/amd64")
    objects = [rt.malloc(32) for _ in range(256)]
    s = span_of(rt, objects[0])
    rt.collect([objects[i] for i in kept])
    holes = [i for i in range(256) if i not in kept][:taken]
    assert [rt.malloc(32) for _ in holes] == [objects[i] for i in holes]
    rt.sync_caches()
    assert rt.spans.alloc_count[s] == len(kept) + len(holes)
    if holes:
        assert rt.spans.free_index[s] == holes[-1] + 1


def test_a_full_span_stays_on_empty_and_comes_back_after_a_sweep(some_rt: Runtime) -> None:
    rt = some_rt
    objects = [rt.malloc(4096) for _ in range(4)]  # two a span
    central = rt.central[rt.class_of[4096]]
    first, second = span_of(rt, objects[0]), span_of(rt, objects[2])
    assert list(central.empty) == [first, second] and list(central.nonempty) == []
    rt.collect([objects[0], objects[2], objects[3]])
    assert list(central.nonempty) == [first] and list(central.empty) == [second]
    assert rt.malloc(4096) == objects[1]
    assert list(central.empty) == [second, first]


def test_releasing_counts_only_what_is_used_as_live(some_rt: Runtime) -> None:
    """cacheSpan counts a span's free objects as live already; uncacheSpan takes that back."""
    rt = some_rt
    rt.malloc(1024)
    assert rt.stats.heap_live == PAGE
    rt.release_cache(rt.caches[0])
    assert rt.stats.heap_live == 1024
    assert not any(rt.spans.in_cache)


def test_releasing_forgets_the_tiny_block(some_rt: Runtime) -> None:
    rt = some_rt
    a = rt.malloc(3)
    assert rt.malloc(3) == a + 3
    rt.release_cache(rt.caches[0])
    assert rt.malloc(3) == a + 16


def test_ps_have_spans_of_their_own() -> None:
    rt = boot("linux/amd64", procs=3)
    objects = [rt.malloc(64, p=p) for p in (0, 1, 2, 0, 1)]
    spans = [span_of(rt, p) for p in objects]
    assert len(set(spans[:3])) == 3
    assert (objects[3], objects[4]) == (objects[0] + 64, objects[1] + 64)


def test_another_p_takes_a_span_that_was_given_back() -> None:
    rt = boot("linux/amd64", procs=2)
    first = rt.malloc(64, p=0)
    rt.release_cache(rt.caches[0])
    assert rt.malloc(64, p=1) == first + 64


def test_a_span_without_live_objects_returns_to_the_heap(some_rt: Runtime) -> None:
    rt = some_rt
    p = rt.malloc(64)
    rt.collect([])
    assert span_of(rt, p) == -1
    assert not any(state == IN_USE for state in rt.spans.state)
    assert rt.heap.pages_in_use == 0


def test_frees_are_counted_by_class(some_rt: Runtime) -> None:
    rt = some_rt
    kept = rt.malloc(64)
    for _ in range(9):
        rt.malloc(64)
    rt.collect([kept])
    rt.purge_cached_stats(rt.caches[0])
    assert rt.stats.nsmallfree[rt.class_of[64]] == 9
