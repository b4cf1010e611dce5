"""Each invariant of a live machine, shown to fire: a sound machine is broken in one place by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from allocator.common.types import Type
from allocator.contiguous.audit import INVARIANTS
from allocator.contiguous.mspan import FREE, IN_USE
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot

Break = Callable[[Runtime], object]
BREAKS: list[tuple[str, str, Break]] = []


def breaks(invariant: str) -> Callable[[Break], Break]:
    """Marks a function as breaking an invariant; its docstring says how."""

    def note(break_it: Break) -> Break:
        BREAKS.append((invariant, break_it.__name__, break_it))
        return break_it

    return note


def machine(platform: str = "linux/amd64") -> Runtime:
    """A watched machine with small, tiny and large objects, free runs, stacks, finalizers and two Ps."""
    rt = boot(platform, procs=2, mem_profile_rate=1 << 16)
    rt.watch()
    ptr = rt.config.ptr_size
    pair = Type.of_words("pair", "p.", ptr)
    node = Type.of_words("node", ".pp.", ptr)
    live = [rt.malloc(n, p=n % 2) for n in range(16, 2000, 16)]
    live += [rt.malloc(t.size, t) for t in (pair, node) for _ in range(30)]
    dying = [rt.malloc(50_000 + 8192 * n) for n in range(12)]
    live += [rt.malloc(200_000), rt.malloc(70 * ptr * 1024, node), rt.malloc(3), rt.malloc(2 << 20)]
    rt.set_finalizer(live[0])
    rt.set_finalizer(live[1])
    rt.set_finalizer(dying[0])
    stacks = [rt.stack_alloc(2048 << n % 3) for n in range(20)]
    rt.stack_free(stacks[4], 2048 << 1)
    rt.collect(live, mode="block")
    rt.scavenge()
    live += [rt.malloc(n, p=n % 2) for n in range(16, 500, 16)]
    live += [rt.malloc(pair.size, pair), rt.malloc(5)]
    rt.stack_free(rt.stack_alloc(2048), 2048)
    return rt


def first(rt: Runtime, state: int) -> int:
    """The first span in a state."""
    return rt.spans.state.index(state)


def small(rt: Runtime) -> int:
    """A small span that no mcache holds."""
    spans = rt.spans
    return next(s for s in rt.in_use() if spans.sizeclass[s] and not spans.in_cache[s])


def cached(rt: Runtime) -> int:
    """A size class whose span mcache 0 holds, with objects left."""
    return next(i for i, c in enumerate(rt.caches[0].alloc) if c.span >= 0 and c.next != c.end)


def large(rt: Runtime) -> int:
    """A span with one large object."""
    return next(s for s in rt.in_use() if not rt.spans.sizeclass[s])


@breaks("spans-tile-arena")
def a_span_reaches_into_the_next(rt: Runtime) -> None:
    rt.spans.npages[small(rt)] += 1


@breaks("spans-tile-arena")
def a_gap_behind_the_last(rt: Runtime) -> None:
    if not rt.config.is_64bit:
        pytest.skip("an arena that may go on elsewhere may have gaps")
    rt.heap.arena_used += 8192


@breaks("spans-tile-arena")
def bytes_that_no_span_has(rt: Runtime) -> None:
    rt.stats.heap_idle += 8192


@breaks("page-table")
def a_page_entered_for_another(rt: Runtime) -> None:
    rt.heap.pages.set(rt.heap.page(rt.spans.base[large(rt)]) + 1, small(rt))


@breaks("list-links")
def a_link_back_to_nowhere(rt: Runtime) -> None:
    s = next(s for s in range(len(rt.spans)) if rt.spans.prev[s] >= 0)
    rt.spans.prev[s] = -1


@breaks("list-links")
def a_span_that_denies_its_list(rt: Runtime) -> None:
    rt.spans.on_list[small(rt)] = None


@breaks("list-links")
def a_ring(rt: Runtime) -> None:
    s = next(s for s in range(len(rt.spans)) if rt.spans.prev[s] >= 0)
    rt.spans.next[s] = rt.spans.prev[s]


@breaks("free-lists")
def a_run_on_the_list_of_another_length(rt: Runtime) -> None:
    s = next(s for s in range(len(rt.spans)) if rt.spans.state[s] == FREE and rt.spans.npages[s] < 127)
    rt.spans.npages[s] += 1


@breaks("free-lists")
def a_run_on_no_list(rt: Runtime) -> None:
    s = first(rt, FREE)
    rt.heap.free_list(rt.spans.npages[s]).remove(s)


@breaks("free-lists")
def a_mask_that_forgets_a_list(rt: Runtime) -> None:
    s = next(s for s in range(len(rt.spans)) if rt.spans.state[s] == FREE and rt.spans.npages[s] < 128)
    rt.heap.free_mask &= ~(1 << rt.spans.npages[s])


@breaks("coalescing")
def a_run_cut_in_two(rt: Runtime) -> None:
    spans = rt.spans
    s = next(s for s in range(len(spans)) if spans.state[s] == FREE and spans.npages[s] > 1)
    t = rt.spanalloc.alloc()
    spans.init(t, spans.base[s] + 8192, spans.npages[s] - 1)
    spans.npages[s] = 1
    spans.state[t] = FREE


@breaks("needs-zero")
def used_pages_taken_for_zeroed(rt: Runtime) -> None:
    v = rt.malloc(100_000)
    rt.collect([u for u in rt.watched.objects if u != v])  # type: ignore[union-attr]
    for s in range(len(rt.spans)):
        if rt.spans.state[s] == FREE and 0 <= v - rt.spans.base[s] < rt.spans.npages[s] << 13:
            rt.spans.needzero[s] = 0


@breaks("released")
def a_run_with_more_released_than_it_has(rt: Runtime) -> None:
    s = first(rt, FREE)
    rt.spans.npreleased[s] = rt.spans.npages[s] + 1


@breaks("released")
def a_used_span_with_released_pages(rt: Runtime) -> None:
    rt.spans.npreleased[small(rt)] = 1


@breaks("released")
def released_bytes_that_no_run_has(rt: Runtime) -> None:
    rt.stats.heap_released += 8192


@breaks("sweep-generations")
def a_span_being_swept_by_nobody(rt: Runtime) -> None:
    rt.spans.sweepgen[small(rt)] -= 1


@breaks("sweep-generations")
def a_swept_span_off_the_stack_of_swept(rt: Runtime) -> None:
    rt.sweep_spans.swept.remove(small(rt))


@breaks("sweep-generations")
def an_unswept_span_that_nobody_will_sweep(rt: Runtime) -> None:
    rt.spans.sweepgen[small(rt)] -= 2


@breaks("central-lists")
def a_small_span_off_its_list(rt: Runtime) -> None:
    lst = rt.spans.on_list[small(rt)]
    assert lst is not None
    lst.remove(small(rt))


@breaks("central-lists")
def a_full_span_among_those_with_space(rt: Runtime) -> None:
    spans = rt.spans
    s = next(s for s in rt.in_use() if spans.on_list[s] is rt.central[spans.sizeclass[s]].nonempty)
    spans.alloc_count[s] = spans.nelems[s]


@breaks("central-lists")
def a_span_of_another_class(rt: Runtime) -> None:
    rt.spans.sizeclass[small(rt)] += 1


@breaks("busy-lists")
def a_large_object_off_its_busy_list(rt: Runtime) -> None:
    s = large(rt)
    rt.heap.busy_list(rt.spans.npages[s]).remove(s)


@breaks("busy-lists")
def a_mask_that_forgets_a_busy_list(rt: Runtime) -> None:
    rt.heap.busy_mask = 0


@breaks("object-counts")
def one_object_more_than_allocated(rt: Runtime) -> None:
    rt.spans.alloc_count[small(rt)] += 1


@breaks("object-counts")
def a_free_index_behind_the_end(rt: Runtime) -> None:
    s = small(rt)
    rt.spans.free_index[s] = rt.spans.nelems[s] + 1


@breaks("object-counts")
def a_mark_behind_the_end(rt: Runtime) -> None:
    s = small(rt)
    rt.spans.mark_bits[s] |= 1 << rt.spans.nelems[s]


@breaks("object-counts")
def an_allocation_bit_behind_the_end(rt: Runtime) -> None:
    s = small(rt)
    rt.spans.alloc_bits[s] |= 1 << rt.spans.nelems[s]


@breaks("span-shape")
def objects_of_another_size(rt: Runtime) -> None:
    rt.spans.elemsize[small(rt)] *= 2


@breaks("span-shape")
def a_limit_within_the_objects(rt: Runtime) -> None:
    rt.spans.limit[small(rt)] -= 16


@breaks("span-shape")
def a_large_object_that_ends_before_it_begins(rt: Runtime) -> None:
    rt.spans.limit[large(rt)] = rt.spans.base[large(rt)]


@breaks("cache-runs")
def a_run_over_an_allocated_object(rt: Runtime) -> None:
    c = rt.caches[0].alloc[cached(rt)]
    rt.spans.alloc_bits[c.span] |= 1 << (c.next - c.base) // c.size


@breaks("cache-runs")
def a_run_between_objects(rt: Runtime) -> None:
    c = rt.caches[0].alloc[cached(rt)]
    c.next += 1
    c.start = c.next


@breaks("cache-runs")
def a_run_behind_the_span(rt: Runtime) -> None:
    c = rt.caches[0].alloc[cached(rt)]
    c.end += 1000 * c.size


@breaks("cache-ownership")
def a_span_in_two_caches(rt: Runtime) -> None:
    mine, other = (cache.alloc[cached(rt)] for cache in rt.caches)
    other.span, other.base = mine.span, mine.base


@breaks("cache-ownership")
def a_span_that_denies_being_cached(rt: Runtime) -> None:
    rt.spans.in_cache[rt.caches[0].alloc[cached(rt)].span] = False


@breaks("cache-ownership")
def a_bitmap_written_elsewhere(rt: Runtime) -> None:
    c = rt.caches[0].alloc[cached(rt)]
    c.bits = bytearray(64)


@breaks("cache-ownership")
def a_tiny_block_that_is_no_object(rt: Runtime) -> None:
    rt.caches[0].tiny = rt.heap.arena_used + 16


@breaks("stack-spans")
def a_stack_cached_twice(rt: Runtime) -> None:
    stacks = next(stacks for stacks in rt.caches[0].stack_lists if stacks)
    stacks.append(stacks[0])


@breaks("stack-spans")
def bytes_of_stacks_that_are_not_there(rt: Runtime) -> None:
    rt.caches[0].stack_sizes[0] += 2048


@breaks("stack-spans")
def a_pooled_span_that_counts_wrong(rt: Runtime) -> None:
    s = next(s for pool in rt.stacks.pool for s in pool)
    rt.spans.alloc_count[s] += 1


@breaks("counters")
def memory_in_use_that_is_not(rt: Runtime) -> None:
    rt.stats.heap_inuse += 8192


@breaks("counters")
def stacks_in_use_that_are_not(rt: Runtime) -> None:
    rt.stats.stacks_inuse += 8192


@breaks("counters")
def pages_in_use_that_are_not(rt: Runtime) -> None:
    rt.heap.pages_in_use += 1


@breaks("counters")
def a_heap_larger_than_the_system_gave(rt: Runtime) -> None:
    rt.stats.heap_sys = 8192


@breaks("records-in-use")
def a_record_in_use_that_is_not(rt: Runtime) -> None:
    rt.spanalloc.inuse += rt.spanalloc.size


@breaks("records-in-use")
def a_live_span_whose_record_is_free(rt: Runtime) -> None:
    rt.spanalloc.free_list.append(small(rt))


@breaks("records-in-use")
def two_records_at_one_address(rt: Runtime) -> None:
    rt.spans.self_addr[1] = rt.spans.self_addr[0]


@breaks("records-in-use")
def a_finalizer_record_too_many(rt: Runtime) -> None:
    rt.specialfinalizeralloc.alloc()


@breaks("records-in-use")
def an_mcache_too_many(rt: Runtime) -> None:
    rt.cachealloc.alloc()


@breaks("special-records")
def records_out_of_order(rt: Runtime) -> None:
    spans = rt.spans
    v = rt.malloc(64)
    rt.set_finalizer(v)
    rt.set_finalizer(rt.malloc(64))
    records = spans.specials[rt.heap.lookup(v)]
    assert records is not None
    records.reverse()


@breaks("special-records")
def a_record_of_a_free_object(rt: Runtime) -> None:
    s = next(s for s in rt.in_use() if rt.spans.specials[s] and rt.spans.sizeclass[s])
    records = rt.spans.specials[s]
    assert records is not None
    records[-1].offset = (rt.spans.nelems[s] - 1) * rt.spans.elemsize[s]


@breaks("mark-arenas")
def an_arena_of_two_roles(rt: Runtime) -> None:
    rt.arenas.free.append(rt.arenas.next[0])


@breaks("mark-arenas")
def an_arena_overfull(rt: Runtime) -> None:
    rt.arenas.next_free = 1 << 20


@breaks("heap-bitmap")
def a_pointer_that_is_none(rt: Runtime) -> None:
    v = rt.malloc(32, Type.of_words("node", ".pp.", rt.config.ptr_size))
    s = rt.heap.lookup(v)
    bits = rt.spans.bits[s]
    assert isinstance(bits, bytearray)
    bits[(v - rt.spans.base[s]) // rt.config.heap_bitmap_scale] ^= 1


@breaks("heap-bitmap")
def pointers_in_an_object_that_has_none(rt: Runtime) -> None:
    v = rt.malloc(33)
    rt.watched.objects[v] = Type.of_words("other", "ppp...", rt.config.ptr_size), 48  # type: ignore[union-attr]


@breaks("heap-bitmap")
def a_large_object_described_as_another(rt: Runtime) -> None:
    typ = Type.of_words("other", "p.p.", rt.config.ptr_size)
    v = rt.malloc(typ.size * 4096, typ)
    rt.watched.objects[v] = typ, typ.size * 4095  # type: ignore[union-attr]


@breaks("identity")
def an_object_handed_out_twice(rt: Runtime) -> None:
    v = rt.malloc(128)
    c = rt.cached(rt.class_of[128])
    c.next = c.start = v
    rt.spans.free_index[c.span] -= 1
    rt.spans.alloc_count[c.span] -= 1
    rt.malloc(128)


@breaks("identity")
def an_object_freed_unseen(rt: Runtime) -> None:
    v = rt.malloc(128)
    s = rt.heap.lookup(v)
    rt.sync_caches()
    rt.spans.free_index[s] -= 1
    rt.spans.alloc_count[s] -= 1


@pytest.mark.parametrize(("invariant", "how", "break_it"), BREAKS, ids=[f"{a}: {b}" for a, b, _ in BREAKS])
@pytest.mark.parametrize("platform", ["linux/amd64", "windows/386"])
def test_an_invariant_fires(platform: str, invariant: str, how: str, break_it: Break) -> None:
    rt = machine(platform)
    assert rt.audit() == []
    break_it(rt)
    found = rt.audit()
    assert invariant in {violation.name for violation in found}, how
    assert all(violation.message for violation in found)
    assert all(-1 <= violation.span < len(rt.spans) for violation in found)


def test_every_invariant_is_shown_to_fire() -> None:
    assert {invariant for invariant, _, _ in BREAKS} == set(INVARIANTS)


def test_every_invariant_says_what_it_is() -> None:
    assert all(check.__doc__ for check in INVARIANTS.values())


@pytest.mark.parametrize("mode", ["block", "force"])
def test_the_audit_of_a_sound_machine_is_clean_on_every_platform(rt: Runtime, mode: str) -> None:
    rt.watch()
    live = [rt.malloc(size) for size in (1, 8, 16, 100, 1000, 33_000, 500_000)]
    assert rt.audit() == []
    rt.collect(live[::2], mode=mode)
    assert rt.audit() == []
    assert set(rt.spans.state) >= {IN_USE, FREE}
