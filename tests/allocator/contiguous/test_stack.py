"""Stack memory: orders, caches, pools, large stacks, and what returns to the heap when (stack.go)."""

from __future__ import annotations

from typing import Any

import pytest

from allocator.common.throw import BadRequest, Throw
from allocator.contiguous.mheap import MHeap
from allocator.contiguous.mspan import FREE, STACK
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.profiles import platforms

CACHE = 32 << 10
PAGE = 8192


def fixed_stack(platform: str) -> tuple[int, int]:
    """_FixedStack and _NumStackOrders as stack.go and malloc.go have them."""
    facts = platforms.load(platform).facts
    goos = platform.split("/")[0]
    ptr = int(facts["ptr_size"])
    system = 0
    if goos == "windows":
        system = 512 * ptr
    elif goos == "plan9":
        system = 512
    elif platform == "darwin/arm":
        system = 1024
    fixed = 2048
    while fixed < 2048 + system:
        fixed *= 2
    orders = 4 - (ptr // 4 if goos == "windows" else 0) - (1 if goos == "plan9" else 0)
    return fixed, orders


def stack_spans(rt: Runtime) -> list[int]:
    return [s for s in range(len(rt.spans)) if rt.spans.state[s] == STACK]


def cached(rt: Runtime, order: int, p: int = 0) -> int:
    """Bytes of free stacks in a P's cache."""
    cache = rt.caches[p]
    assert cache.stack_sizes[order] == len(cache.stack_lists[order]) * (rt.config.fixed_stack << order)
    return cache.stack_sizes[order]


def test_sizes_and_orders_of_every_platform(platform: str) -> None:
    rt = boot(platform)
    fixed, orders = fixed_stack(platform)
    assert (rt.config.fixed_stack, rt.config.num_stack_orders) == (fixed, orders)
    for order in range(orders):
        if fixed << order < CACHE:
            rt.stack_alloc(fixed << order)
            # Half a cache is fetched, one of it handed out.
            assert cached(rt, order) == max(CACHE // 2, fixed << order) - (fixed << order)
    small = len(stack_spans(rt))
    rt.stack_alloc(min(fixed << orders, CACHE))
    spans = stack_spans(rt)
    assert len(spans) == small + 1
    assert rt.spans.npages[spans[-1]] == min(fixed << orders, CACHE) // PAGE


def test_a_span_is_cut_from_its_end() -> None:
    """Each free stack is put in front of the list, the lowest first: the highest is handed out first."""
    rt = boot("linux/amd64")
    first = rt.stack_alloc(2048, p=None)
    base = rt.spans.base[stack_spans(rt)[0]]
    assert first == base + CACHE - 2048
    assert [rt.stack_alloc(2048, p=None) for _ in range(15)] == [
        base + CACHE - 2048 * i for i in range(2, 17)
    ]


def test_a_refilled_cache_hands_out_in_the_other_order() -> None:
    """Eight stacks go into the cache one after the other, so the last of them, the lowest, comes first."""
    rt = boot("linux/amd64")
    first = rt.stack_alloc(2048)
    base = rt.spans.base[stack_spans(rt)[0]]
    assert first == base + CACHE - 8 * 2048
    assert rt.stack_alloc(2048) == base + CACHE - 7 * 2048
    # What is freed comes back first.
    rt.stack_free(first, 2048)
    assert rt.stack_alloc(2048) == first


def test_a_cache_is_refilled_when_it_is_empty_and_not_before() -> None:
    rt = boot("linux/amd64")
    for left in (14, 12, 10, 8, 6, 4, 2, 0, 14):
        rt.stack_alloc(2048)
        assert cached(rt, 0) == left * 1024
    assert len(stack_spans(rt)) == 1


def test_a_full_cache_gives_half_back() -> None:
    """stackfree releases when the cache has 32 KB already, down to 16 KB, then adds the freed one."""
    rt = boot("linux/amd64")
    stacks = [rt.stack_alloc(2048) for _ in range(24)]
    assert cached(rt, 0) == 0
    for i, v in enumerate(stacks[:16]):
        rt.stack_free(v, 2048)
        assert cached(rt, 0) == (i + 1) * 2048
    rt.stack_free(stacks[16], 2048)
    assert cached(rt, 0) == CACHE // 2 + 2048
    assert rt.audit() == []


def test_caches_are_each_p_s_own_and_the_pool_is_shared() -> None:
    rt = boot("linux/amd64", procs=2)
    a = [rt.stack_alloc(2048, p=0) for _ in range(8)]
    b = [rt.stack_alloc(2048, p=1) for _ in range(8)]
    assert len(stack_spans(rt)) == 1
    assert not set(a) & set(b)
    for v in a:
        rt.stack_free(v, 2048, p=1)
    assert (cached(rt, 0, 0), cached(rt, 0, 1)) == (0, CACHE // 2)
    assert rt.stack_alloc(2048, p=1) == a[-1]


def test_a_span_whose_stacks_are_all_free_returns_to_the_heap() -> None:
    rt = boot("linux/amd64")
    stacks = [rt.stack_alloc(8192, p=None) for _ in range(5)]
    first, second = stack_spans(rt)
    assert rt.stats.stacks_inuse == 2 * CACHE
    rt.stack_free(stacks[4], 8192, p=None)
    assert stack_spans(rt) == [first]
    assert rt.spans.state[second] != STACK
    for v in stacks[:4]:
        assert stack_spans(rt) == [first]
        rt.stack_free(v, 8192, p=None)
    assert stack_spans(rt) == []
    assert rt.stats.stacks_inuse == 0
    assert rt.stats.heap_inuse == 0
    assert rt.audit() == []


def test_a_full_span_leaves_the_pool_and_comes_back_with_the_first_free_stack() -> None:
    rt = boot("linux/amd64")
    pool = rt.stacks.pool[2]
    stacks = [rt.stack_alloc(8192, p=None) for _ in range(4)]
    (s,) = stack_spans(rt)
    assert list(pool) == []
    rt.stack_free(stacks[1], 8192, p=None)
    assert list(pool) == [s]
    assert rt.stack_alloc(8192, p=None) == stacks[1]


def test_while_the_collector_marks_no_stack_span_returns() -> None:
    rt = boot("linux/amd64", gogc=100)
    small = rt.stack_alloc(8192, p=None)
    large = rt.stack_alloc(1 << 16)
    rt.begin_mark([])
    rt.stack_free(small, 8192, p=None)
    rt.stack_free(large, 1 << 16)
    assert len(stack_spans(rt)) == 2
    assert rt.stats.stacks_inuse == CACHE + (1 << 16)
    assert [list(lst) != [] for lst in rt.stacks.large[:5]] == [False, False, False, True, False]
    rt.finish_mark()
    assert stack_spans(rt) == []
    assert rt.stats.stacks_inuse == 0
    assert rt.audit() == []


def test_a_large_stack_freed_while_marking_is_taken_again() -> None:
    rt = boot("linux/amd64", gogc=100)
    v = rt.stack_alloc(1 << 17)
    rt.begin_mark([])
    rt.stack_free(v, 1 << 17)
    assert rt.stack_alloc(1 << 16) != v
    assert rt.stack_alloc(1 << 17) == v
    rt.finish_mark()
    assert len(stack_spans(rt)) == 2


def test_a_large_stack_returns_at_once_and_needs_zeroing() -> None:
    rt = boot("linux/amd64")
    v = rt.stack_alloc(CACHE)
    (s,) = stack_spans(rt)
    assert (rt.spans.base[s], rt.spans.npages[s]) == (v, 4)
    rt.stack_free(v, CACHE)
    free = rt.heap.lookup(v)
    assert rt.spans.state[free] == FREE
    assert rt.spans.needzero[free] == 1


def test_a_collection_empties_the_caches() -> None:
    rt = boot("linux/amd64", procs=2)
    kept = rt.stack_alloc(2048, p=0)
    rt.stack_free(rt.stack_alloc(4096, p=1), 4096, p=1)
    rt.collect([])
    assert all(size == 0 for cache in rt.caches for size in cache.stack_sizes)
    (s,) = stack_spans(rt)
    assert s == rt.heap.lookup(kept)
    assert rt.spans.alloc_count[s] == 1


def test_without_memory_it_throws(scripting: Any) -> None:
    rt, system = scripting("linux/386")
    system.reserve = lambda v, n: 0
    system.alloc = lambda n: 0
    rt.heap.arena_used = rt.heap.arena_end
    for n in (2048, 1 << 16):
        with pytest.raises(Throw, match=r"^out of memory$"):
            rt.stack_alloc(n)


@pytest.mark.parametrize("n", [3, 2049, 3 << 10, (1 << 16) + 8])
def test_a_size_that_is_not_a_power_of_two_is_the_end(amd64: Runtime, n: int) -> None:
    with pytest.raises(Throw, match=r"^stack size not a power of 2$"):
        amd64.stack_alloc(n)
    v = amd64.stack_alloc(2048)
    with pytest.raises(Throw, match=r"^stack not a power of 2$"):
        amd64.stack_free(v, n)


def test_freeing_what_is_not_a_stack_is_the_end(amd64: Runtime) -> None:
    small, large = amd64.malloc(2048), amd64.malloc(1 << 16)
    with pytest.raises(Throw, match=r"^freeing stack not in a stack span$"):
        amd64.stack_free(small, 2048, p=None)
    with pytest.raises(Throw, match=r"^bad span state$"):
        amd64.stack_free(large, 1 << 16)
    assert amd64.printed[-1] == f"{large:#x} {large:#x}"
    with pytest.raises(BadRequest, match="is not a stack of this machine"):
        amd64.stack_free(amd64.heap.arena_used + (1 << 30), 1 << 16)


def test_a_cache_size_that_is_not_a_multiple_of_the_page_is_the_end() -> None:
    with pytest.raises(Throw, match=r"^cache size must be a multiple of page size$"):
        boot("linux/amd64", sets={"_StackCacheSize": 20000})


def test_a_stack_larger_than_the_lists_is_out_of_their_range(amd64: Runtime) -> None:
    """stackLarge has a list for each of _MHeapMap_Bits = 26 powers of two of pages."""
    assert len(amd64.stacks.large) == 26
    with pytest.raises(Throw, match=r"^index out of range$"):
        amd64.stack_alloc(PAGE << 26)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("alloc_count", 3, "bad allocCount"), ("stack_free", [8], "bad stackfreelist")],
)
def test_a_new_stack_span_that_is_not_empty_is_the_end(
    field: str, value: object, words: str, amd64: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = MHeap.alloc_stack

    def spoilt(heap: MHeap, npages: int) -> int:
        s = original(heap, npages)
        getattr(heap.rt.spans, field)[s] = value
        return s

    monkeypatch.setattr(MHeap, "alloc_stack", spoilt)
    with pytest.raises(Throw, match=f"^{words}$"):
        amd64.stack_alloc(2048)


def test_a_pool_span_without_a_free_stack_is_the_end(amd64: Runtime) -> None:
    amd64.stack_alloc(2048, p=None)
    amd64.spans.stack_free[stack_spans(amd64)[0]] = []
    with pytest.raises(Throw, match=r"^span has no free stacks$"):
        amd64.stack_alloc(2048, p=None)
