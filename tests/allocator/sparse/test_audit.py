"""The audit: silent on a sound machine, and each invariant heard when it is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from allocator.sparse.audit import INVARIANTS
from allocator.sparse.heap import Heap
from allocator.sparse.mspan import MANUAL
from archcalc.boot import boot
from tests.allocator.sparse.test_audit_records import RECORD_BREAKS
from tests.allocator.sparse.test_audit_space import SPACE_BREAKS
from tests.support.sparse_heap import PAIR, busy, small

BELOW = "memory below the break"


def free_page_bit(rt: Heap) -> int:
    free = ~next(iter(rt.pages.chunks.values())).bits & rt.pages.all_pages
    return 1 << free.bit_length() - 1


def summary(rt: Heap) -> None:
    rt.pages.levels[-1][rt.pages.start] = (1, 2, 3)


def chunk_summary_without_bits(rt: Heap) -> None:
    first = rt.pages.start
    rt.pages.chunks[first].bits = rt.pages.all_pages


def summary_above(rt: Heap) -> None:
    rt.pages.levels[0][next(iter(rt.pages.levels[0]))] = (1, 2, 3)


def search_address(rt: Heap) -> None:
    rt.pages.search_addr = rt.pages.max_search_addr


def owned_twice(rt: Heap) -> None:
    one, other = rt.in_use()[:2]
    one.npages += (other.base - one.base) // 8192


def cached_page_owned(rt: Heap) -> None:
    cache = rt.ps[0].page_cache
    cache.base, cache.cache = rt.in_use()[0].base & -(64 * 8192), (1 << 64) - 1


def whole_chunk_owned_twice(rt: Heap) -> None:
    rt.malloc(16 << 20)
    large = next(s for s in rt.in_use() if s.npages == 2048)
    small(rt).base = large.base + (8 << 20)


def whole_chunks_owned_twice(rt: Heap) -> None:
    for _ in range(2):
        rt.malloc(16 << 20)
    one, other = (s for s in rt.in_use() if s.npages == 2048)
    other.base = one.base


def free_page_owned(rt: Heap) -> None:
    s = rt.in_use()[0]
    ci, page, _ = rt.pages.pieces(rt.config.offset(s.base), s.npages)[0]
    rt.pages.chunks[ci].bits &= ~(1 << page)


def lost_page(rt: Heap) -> None:
    page = free_page_bit(rt)
    first = next(iter(rt.pages.chunks.values()))
    first.bits |= page
    first.scavenged &= ~page


def scavenged_page(rt: Heap) -> None:
    next(iter(rt.pages.chunks.values())).scavenged ^= free_page_bit(rt)


def index_count(rt: Heap) -> None:
    next(iter(rt.pages.index.chunks.values())).in_use -= 1


def index_of_a_full_chunk(rt: Heap) -> None:
    rt.malloc(16 << 20)
    full = next(ci for ci, use in rt.pages.index.chunks.items() if use.in_use == rt.pages.chunk_pages)
    rt.pages.index.chunks[full].has_free = True


def index_without_a_chunk(rt: Heap) -> None:
    first = rt.pages.start
    rt.pages.index.chunks[first]
    del rt.pages.index.chunks.own[first]


def index_cursor(rt: Heap) -> None:
    rt.pages.index.chunks[rt.pages.start].has_free = True
    rt.pages.index.force.mark(0)


def released_bytes(rt: Heap) -> None:
    rt.stats.bytes["heap_released"] += 8192


def range_in_disorder(rt: Heap) -> None:
    rt.pages.in_use.bases.append(rt.pages.in_use.limits[-1])
    rt.pages.in_use.limits.append(rt.pages.in_use.limits[-1] + (4 << 20))


def ranges(rt: Heap) -> None:
    rt.pages.in_use.limits[0] += 4 << 20


def chunk_table(rt: Heap) -> None:
    rt.tables.tables.popitem()


def shrunk_limit(rt: Heap) -> None:
    small(rt).limit -= 16


def large_of_many(rt: Heap) -> None:
    next(s for s in rt.in_use() if s.spanclass < 2).nelems = 2


def free_index_beyond(rt: Heap) -> None:
    s = small(rt)
    s.free_index = s.nelems + 1


def objects_in_the_bits(rt: Heap) -> None:
    next(s for s in rt.in_use() if rt.layout[s.spanclass].reserve and s.nelems > 2).elemsize += 64


def pages_in_use(rt: Heap) -> None:
    rt.heap.pages_in_use += 1


def records_in_use(rt: Heap) -> None:
    rt.heap.spanalloc.inuse += rt.heap.spanalloc.size


def table(rt: Heap) -> None:
    s = rt.in_use()[0]
    rt.heap.table.set_range(s.base >> 13, 1, rt.in_use()[1])


def page_in_use(rt: Heap) -> None:
    rt.heap.in_use.discard(small(rt).base >> 13)


def page_special(rt: Heap) -> None:
    rt.heap.special.clear()


def page_inline(rt: Heap) -> None:
    rt.heap.inline.discard(next(iter(rt.heap.inline)))


def alloc_count(rt: Heap) -> None:
    small(rt).alloc_count -= 1


def object_count(rt: Heap) -> None:
    small(rt).nelems -= 1


def marked_free(rt: Heap) -> None:
    s = next(s for s in rt.in_use() if s.alloc_count < s.nelems)
    s.mark_bits = (1 << s.nelems) - 1


def record_twice(rt: Heap) -> None:
    rt.ps[0].mspan_cache.append(rt.ps[0].mspan_cache[0])


def record_lost(rt: Heap) -> None:
    rt.ps[0].mspan_cache.pop()


def out_of_sets(rt: Heap) -> None:
    for central in rt.central:
        for spans in (*central.partial, *central.full):
            if spans.spans:
                spans.spans.popleft()
                spans.head += 1
                return


def wrong_set(rt: Heap) -> None:
    s = small(rt)
    rt.central[s.spanclass ^ 1].full_swept().push(s)


def uncounted_push(rt: Heap) -> None:
    next(s for c in rt.central for s in (*c.partial, *c.full) if s.spans).tail += 1


def partial_among_full(rt: Heap) -> None:
    s = next(s for central in rt.central for s in central.partial_swept())
    rt.central[s.spanclass].full_swept().push(s)


def block_of_what_was_popped(rt: Heap) -> None:
    sets = next(s for c in rt.central for s in (*c.partial, *c.full) if s.blocks)
    sets.blocks[0] = 0


def lost_block(rt: Heap) -> None:
    next(s for c in rt.central for s in (*c.partial, *c.full) if s.blocks).blocks.append(1)


def cached_sweepgen(rt: Heap) -> None:
    next(c.span for c in rt.ps[1].mcache.alloc if c.span is not None).sweepgen = 0


def cache_run(rt: Heap) -> None:
    cached = next(c for c in rt.ps[1].mcache.alloc if c.span is not None and c.next > c.base)
    cached.next = cached.begin = cached.base


def cache_without_span(rt: Heap) -> None:
    cached = next(c for c in rt.ps[1].mcache.alloc if c.span is None)
    cached.end = 64


def cached_of_another_class(rt: Heap) -> None:
    next(c for c in rt.ps[1].mcache.alloc if c.span is not None).base += 16


def tiny_block(rt: Heap) -> None:
    rt.ps[1].mcache.tiny = 64


def stack_count(rt: Heap) -> None:
    next(s for s in rt.heap.allspans if s.state == MANUAL).alloc_count += 1


def stack_out_of_the_pool(rt: Heap) -> None:
    next(s for spans in rt.stack_heap.pool for s in spans).manual_free_list = []


def stack_bytes(rt: Heap) -> None:
    rt.ps[0].mcache.stack_sizes[0] += 1


def special_order(rt: Heap) -> None:
    s = next(s for s in rt.in_use() if s.specials)
    s.specials = [*(s.specials or ()), *(s.specials or ())][::-1]
    s.specials[0].offset += 8192


def special_on_nothing(rt: Heap) -> None:
    s = next(s for s in rt.in_use() if s.specials)
    s.specials[0].offset = (s.nelems - 1) * s.elemsize  # type: ignore[index]


def mark_bits(rt: Heap) -> None:
    rt.gc_bits.free.append(rt.gc_bits.next[0])


def mark_bits_beyond(rt: Heap) -> None:
    rt.gc_bits.next_free = rt.gc_bits.capacity + 8


def stacks_in_use(rt: Heap) -> None:
    rt.heap_stats.in_stacks += 8192


def free_and_in_use(rt: Heap) -> None:
    rt.stats.bytes["heap_free"] += 8192


def heap_in_use(rt: Heap) -> None:
    rt.stats.bytes["heap_in_use"] += 8192


def total_alloc(rt: Heap) -> None:
    rt.stats.mapped_ready -= 1


def zeroed(rt: Heap) -> None:
    next(iter(rt.arenas.by_index.values())).zeroed_base = 0


def forgotten_object(rt: Heap) -> None:
    assert rt.watched is not None
    rt.watched.objects[12345] = None, 8


def freed_object(rt: Heap) -> None:
    assert rt.watched is not None
    s = next(s for s in rt.in_use() if s.alloc_count < s.nelems and s.noscan and s.spanclass > 5)
    free = ~s.allocated() & (1 << s.nelems) - 1
    rt.watched.objects[s.base + (free.bit_length() - 1) * s.elemsize] = None, 1


def object_beyond_its_slot(rt: Heap) -> None:
    assert rt.watched is not None
    rt.watched.objects[small(rt).base] = None, 1 << 20


def object_without_its_pointers(rt: Heap) -> None:
    assert rt.watched is not None
    v = next(v for v, (typ, _) in rt.watched.objects.items() if typ is PAIR)
    rt.watched.objects[v] = None, 16


def object_before_its_header(rt: Heap) -> None:
    assert rt.watched is not None
    v, (typ, size) = next((v, of) for v, of in rt.watched.objects.items() if of[1] == 720)
    del rt.watched.objects[v]
    rt.watched.objects[v - 8] = typ, size


def twice(rt: Heap) -> None:
    assert rt.watched is not None
    rt.watched.twice.append(1)


def heap_bits(rt: Heap) -> None:
    s = next(s for s in rt.in_use() if s.spanclass == 4)
    s.types = [3] * s.nelems


def header(rt: Heap) -> None:
    s = next(s for s in rt.in_use() if not s.noscan and s.elemsize > 700 and s.spanclass > 1)
    s.types = [PAIR] * s.nelems


BREAKS: list[tuple[str, Callable[[Heap], None]]] = [
    ("summaries", summary),
    ("summaries", chunk_summary_without_bits),
    ("summaries", summary_above),
    ("search address", search_address),
    ("page owners", owned_twice),
    ("page owners", lost_page),
    ("page owners", cached_page_owned),
    ("page owners", whole_chunk_owned_twice),
    ("page owners", whole_chunks_owned_twice),
    ("page owners", free_page_owned),
    ("scavenged pages", scavenged_page),
    ("scavenged pages", released_bytes),
    ("scavenge index", index_count),
    ("scavenge index", index_of_a_full_chunk),
    ("scavenge index", index_without_a_chunk),
    ("scavenge index", index_cursor),
    ("ranges in use", ranges),
    ("ranges in use", range_in_disorder),
    ("chunk tables", chunk_table),
    ("span table", table),
    ("page bits", page_in_use),
    ("page bits", page_special),
    ("page bits", page_inline),
    ("page bits", pages_in_use),
    ("span fields", alloc_count),
    ("span fields", object_count),
    ("span fields", marked_free),
    ("span fields", shrunk_limit),
    ("span fields", large_of_many),
    ("span fields", free_index_beyond),
    ("span fields", objects_in_the_bits),
    ("span records", record_twice),
    ("span records", record_lost),
    ("span records", records_in_use),
    ("span sets", out_of_sets),
    ("span sets", wrong_set),
    ("span sets", lost_block),
    ("span sets", cached_sweepgen),
    ("span sets", uncounted_push),
    ("span sets", partial_among_full),
    ("span sets", block_of_what_was_popped),
    ("cache runs", cache_run),
    ("cache runs", cache_without_span),
    ("cache runs", tiny_block),
    ("cache runs", cached_of_another_class),
    ("stack spans", stack_count),
    ("stack spans", stack_bytes),
    ("stack spans", stack_out_of_the_pool),
    ("specials", special_order),
    ("specials", special_on_nothing),
    ("mark bit arenas", mark_bits),
    ("mark bit arenas", mark_bits_beyond),
    ("counters", heap_in_use),
    ("counters", total_alloc),
    ("counters", stacks_in_use),
    ("counters", free_and_in_use),
    ("zeroed arenas", zeroed),
    ("objects", forgotten_object),
    ("objects", freed_object),
    ("objects", twice),
    ("objects", heap_bits),
    ("objects", header),
    ("objects", object_beyond_its_slot),
    ("objects", object_without_its_pointers),
    ("objects", object_before_its_header),
]


def test_a_busy_machine_is_sound() -> None:
    assert busy().audit() == []


@pytest.mark.parametrize(("name", "break_it"), BREAKS, ids=[break_it.__name__ for _, break_it in BREAKS])
def test_what_is_broken_is_heard(name: str, break_it: Callable[[Heap], None]) -> None:
    rt = busy()
    break_it(rt)
    assert name in {violation.name for violation in rt.audit()}


def break_raised(rt: Any) -> None:
    rt.mem.os.bloc += 1 << 20


def free_in_use(rt: Any) -> None:
    rt.mem.os.freed.give_back(rt.heap.allspans_array, 1 << 16)


def free_twice(rt: Any) -> None:
    rt.mem.os.freed.addresses += [rt.mem.os.page] * 2
    rt.mem.os.freed.sizes += [rt.mem.os.page] * 2


def free_above(rt: Any) -> None:
    rt.mem.os.freed.give_back(rt.mem.os.bloc, 1 << 16)


def used_twice(rt: Any) -> None:
    rt.persistent.large.append((rt.heap.allspans_array, 1 << 16))


def sunk_below(rt: Any) -> None:
    rt.mem.os.bloc = rt.heap.allspans_array


@pytest.mark.parametrize(
    "break_it", [break_raised, free_in_use, free_twice, free_above, used_twice, sunk_below]
)
def test_what_is_broken_below_a_break_is_heard(break_it: Callable[[Any], None]) -> None:
    rt: Any = boot("js/wasm", go="1.27")
    rt.malloc(100)
    assert rt.audit() == []
    break_it(rt)
    assert {violation.name for violation in rt.audit()} == {BELOW}


def test_every_invariant_is_broken_here() -> None:
    assert {name for name, _ in (*BREAKS, *SPACE_BREAKS, *RECORD_BREAKS)} | {BELOW} == set(INVARIANTS)


def test_a_span_describes_itself() -> None:
    assert small(busy()).describe()["state"] == "mSpanInUse"
