"""The invariants of a running machine, each checked by looking at everything that it is about.

A machine for which all of them hold is sound. An invariant yields what is wrong, and the address of the
span.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from allocator.common.audit import NOWHERE, Seen, Violation, violations
from allocator.common.types import Type
from allocator.sparse import audit_records, audit_space, survey
from allocator.sparse.heap_bits import ObjectType, repeated
from allocator.sparse.invariants import INVARIANTS, invariant
from allocator.sparse.mem_sbrk import MemSbrk
from allocator.sparse.mspan import DEAD, IN_USE, MANUAL, MSpan
from allocator.sparse.mstats import recounts
from allocator.sparse.pallocbits import ALLOCATED, merge, summarize
from allocator.sparse.regions import regions
from allocator.sparse.specials import ORDER

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.page_alloc import Chunk, PageAlloc

# Those of this file, and of the files that it is continued in.
FILES = __name__, audit_records.__name__, audit_space.__name__


def audit(core: HeapCore) -> list[Violation]:
    """Yields every invariant that does not hold; caches are synced first, which changes nothing else."""
    core.sync_caches()
    return violations(core, INVARIANTS)


# Pages.


@invariant("summaries")
def _summaries(core: HeapCore) -> Iterator[Seen]:
    """Each summary is what the bits, or the summaries, below it say."""
    pages = core.pages
    leaf = pages.levels[-1]
    for first, end, chunk in pages.chunks.parts(pages.start, pages.end):
        found = summarize(chunk.bits, pages.chunk_pages)
        looked_at: Iterable[int] = range(first, end)
        if found == ALLOCATED and len(leaf) < end - first:
            looked_at = [ci for ci in leaf if first <= ci < end]
        for ci in looked_at:
            if pages.summary(ci) != found:
                seen = f"the summary of the chunk at {core.config.chunk_base(ci):#x} is not what its bits say"
                yield seen, NOWHERE
    for level in range(len(pages.levels) - 1):
        bits = pages.level_bits[level + 1]
        below = pages.levels[level + 1]
        for i in {j >> bits for j in below}:
            children = [below.get(j, ALLOCATED) for j in range(i << bits, (i + 1) << bits)]
            if pages.levels[level].get(i, ALLOCATED) != merge(children, pages.level_pages[level + 1]):
                yield f"summary {i} of level {level} is not what those below it add up to", NOWHERE


@invariant("search address")
def _search_address(core: HeapCore) -> Iterator[Seen]:
    """No page below searchAddr is free."""
    pages = core.pages
    for ci, _, chunk in pages.chunks.parts(pages.start, pages.end):
        free = ~chunk.bits & pages.all_pages
        first = (ci << pages.chunk_shift) + (((free & -free).bit_length() - 1) << pages.page_shift)
        if free and first < pages.search_addr:
            yield f"{core.config.address(first):#x} is free, and below searchAddr", NOWHERE


@invariant("page owners")
def _page_owners(core: HeapCore) -> Iterator[Seen]:
    """An allocated page belongs to one span, to one page cache, or to the padding at the heap's beginning."""
    config, pages = core.config, core.pages
    owned: dict[int, int] = {}
    whole: list[tuple[int, int]] = []  # chunks, from and to, that one span has
    for s in survey.spans(core):
        for ci, page, n in pages.pieces(config.offset(s.base), s.npages):
            if n >= pages.chunk_pages:
                if (whole and whole[-1][1] > ci) or ci in owned:
                    yield "a page belongs to two spans", s.base
                whole.append((ci, ci + n // pages.chunk_pages))
                continue
            mask = ((1 << n) - 1) << page
            if owned.get(ci, 0) & mask or (whole and whole[-1][0] <= ci < whole[-1][1]):
                yield "a page belongs to two spans", s.base
            owned[ci] = owned.get(ci, 0) | mask
    for p in core.ps:
        cache = p.page_cache
        if cache.cache:
            off = config.offset(cache.base)
            ci = off >> config.log_palloc_chunk_bytes
            mask = cache.cache << (off >> config.page_shift & pages.chunk_mask)
            if owned.get(ci, 0) & mask or any(first <= ci < end for first, end in whole):
                yield f"pages at {cache.base:#x} are in P {p.number}'s page cache, and not free", NOWHERE
            owned[ci] = owned.get(ci, 0) | mask
    for ci, mine, chunk in _owners(pages, owned, whole):
        if mine & ~chunk.bits:
            seen = (
                f"pages of the chunk at {config.chunk_base(ci):#x} are free, but belong to a span or a cache"
            )
            yield seen, NOWHERE
        # Padding is allocated, and never had any memory.
        if chunk.bits & ~mine & ~chunk.scavenged:
            where = f"pages of the chunk at {config.chunk_base(ci):#x}"
            seen = f"{where} are allocated, but belong to no span and no cache"
            yield seen, NOWHERE


def _owners(
    pages: PageAlloc, owned: dict[int, int], whole: list[tuple[int, int]]
) -> Iterator[tuple[int, int, Chunk]]:
    """Chunks, which of their pages belong to somebody, and their bits: one for neighbours that are alike."""
    numbers = sorted(owned)
    at = pages.start
    for first, end in [*whole, (pages.end, pages.end)]:
        for ci in numbers[bisect_left(numbers, at) : bisect_left(numbers, first)]:
            known = pages.chunks.get(ci)
            if known is not None:
                yield ci, owned[ci], known
        for a, b, chunk in pages.chunks.parts(at, max(at, first)):
            nobody = next((ci for ci in range(a, b) if ci not in owned), None)
            if nobody is not None:
                yield nobody, 0, chunk
        for a, _, chunk in pages.chunks.parts(first, end):
            yield a, pages.all_pages, chunk
        at = end


@invariant("scavenged pages")
def _scavenged(core: HeapCore) -> Iterator[Seen]:
    """heapReleased counts the pages without memory, heapFree the free ones with it."""
    shift = core.config.page_shift
    pages = core.pages
    released = free = 0
    for first, end, chunk in pages.chunks.parts(pages.start, pages.end):
        released += chunk.scavenged.bit_count() * (end - first)
        free += (~chunk.bits & ~chunk.scavenged & pages.all_pages).bit_count() * (end - first)
    for p in core.ps:
        released += (p.page_cache.scav & p.page_cache.cache).bit_count()
        free += (p.page_cache.cache & ~p.page_cache.scav).bit_count()
    stats = core.stats.bytes
    if stats["heap_released"] != released << shift:
        yield (
            f"heapReleased is {stats['heap_released']}, but {released << shift} bytes have no memory",
            NOWHERE,
        )
    if stats["heap_free"] != free << shift:
        yield f"heapFree is {stats['heap_free']}, but {free << shift} bytes are free", NOWHERE


@invariant("scavenge index")
def _scavenge_index(core: HeapCore) -> Iterator[Seen]:
    """The index knows how many pages of each chunk are in use, and of each that has any to give back."""
    pages = core.pages
    for first, end, chunk in pages.chunks.parts(pages.start, pages.end):
        at = f"of the chunk at {core.config.chunk_base(first):#x}"
        in_use = chunk.bits.bit_count()
        known = 0
        for a, b, use in pages.index.chunks.parts(first, end):
            known += b - a
            at = f"of the chunk at {core.config.chunk_base(a):#x}"
            if use.in_use != in_use:
                yield f"{in_use} pages {at} are allocated, the index has {use.in_use}", NOWHERE
            if use.has_free and use.in_use == pages.chunk_pages:
                yield f"the index looks for free pages {at}, which has none", NOWHERE
            if use.has_free and b - 1 > pages.index.force.addr >> pages.chunk_shift:
                yield f"what is given back when forced begins below pages {at}", NOWHERE
        if known != end - first:
            yield f"the index does not know a chunk from {core.config.chunk_base(first):#x} on", NOWHERE


@invariant("ranges in use")
def _ranges(core: HeapCore) -> Iterator[Seen]:
    """The ranges in use are apart, in order, and hold the chunks."""
    shift = core.pages.chunk_shift
    before = -1
    ranges: list[tuple[int, int]] = []
    for base, limit in core.pages.in_use:
        if not before < base < limit:
            yield f"the range from {core.config.address(base):#x} touches the one before it", NOWHERE
        before = limit
        ranges.append((base >> shift, limit >> shift))
    chunks: list[tuple[int, int]] = []
    for first, end, _ in core.pages.chunks.parts(0, core.pages.end):
        if chunks and chunks[-1][1] == first:
            first = chunks.pop()[0]
        chunks.append((first, end))
    if chunks != ranges:
        yield "the ranges in use are not the chunks", NOWHERE


@invariant("chunk tables")
def _chunk_tables(core: HeapCore) -> Iterator[Seen]:
    """Each chunk in use has its table of bits (pageAlloc.chunks)."""
    pages, tables = core.pages, core.tables
    shift = pages.chunk_shift + core.config.palloc_chunks_l2_bits
    for base, limit in pages.in_use:
        for l1 in range(base >> shift, (limit - 1 >> shift) + 1):
            if l1 not in tables.tables:
                yield f"table {l1} of the chunks is missing", core.config.address(l1 << shift)


# Spans.


@invariant("span table")
def _span_table(core: HeapCore) -> Iterator[Seen]:
    """Each page of a span is entered for it; the record is its own."""
    shift = core.config.page_shift
    for s in survey.spans(core):
        pages = (s.base >> shift, (s.base >> shift) + s.npages - 1) if s.npages > 1024 else ()
        for page in pages or range(s.base >> shift, (s.base >> shift) + s.npages):
            if core.heap.table.get(page) is not s:
                yield f"page {page << shift:#x} is not entered for its span", s.base
                break


@invariant("page bits")
def _page_bits(core: HeapCore) -> Iterator[Seen]:
    """pageInUse, pageSpecials and pageUseSpanInlineMarkBits agree with the spans."""
    shift = core.config.page_shift
    spans = [s for s in core.heap.allspans if s.state == IN_USE]
    for name, have, want in (
        ("pageInUse", core.heap.in_use, {s.base >> shift for s in spans}),
        ("pageSpecials", core.heap.special, {s.base >> shift for s in spans if s.specials}),
        (
            "pageUseSpanInlineMarkBits",
            core.heap.inline,
            {s.base >> shift for s in spans if core.layout[s.spanclass].inline_marks},
        ),
    ):
        chunks = {s.base >> shift for s in core.heap.allspans if s.is_user_arena_chunk}
        for page in (set(have) ^ want) - chunks:
            yield f"{name} of {page << shift:#x} is {page in have}", page << shift
    if sum(s.npages for s in spans) != core.heap.pages_in_use:
        yield f"pagesInUse is {core.heap.pages_in_use}", NOWHERE


@invariant("span fields")
def _span_fields(core: HeapCore) -> Iterator[Seen]:
    """A span in use has the size, the objects and the counts that its class says."""
    for s in core.heap.allspans:
        if s.state != IN_USE:
            continue
        layout = core.layout[s.spanclass]
        if s.spanclass > 1 and (s.elemsize, s.nelems, s.npages) != (
            layout.elemsize,
            layout.nelems,
            layout.npages,
        ):
            yield f"a span of class {s.spanclass} has nelems {s.nelems} and elemsize {s.elemsize}", s.base
        if s.spanclass < 2 and s.nelems != 1:
            yield f"a large object's span has nelems {s.nelems}", s.base
        if not 0 <= s.free_index <= s.nelems:
            yield f"freeindex {s.free_index} is beyond {s.nelems} objects", s.base
        elif s.allocated().bit_count() != s.alloc_count:
            yield f"allocCount is {s.alloc_count}, but {s.allocated().bit_count()} are allocated", s.base
        if s.mark_bits & ~s.allocated():
            yield "a free object is marked", s.base
        if s.spanclass > 1 and s.limit != s.base + layout.extent:
            yield f"a span's objects end at {s.limit:#x}, those of its class would not", s.base
        end = s.base + s.npages * core.config.page_size - layout.reserve
        if s.spanclass > 1 and s.base + s.nelems * s.elemsize > end:
            yield "objects reach into the bits at the span's end", s.base


@invariant("span records")
def _span_records(core: HeapCore) -> Iterator[Seen]:
    """Each record is held by pages, by a P's cache, or free; and by one of them."""
    free = set(core.heap.spanalloc.free_list)
    records = core.heap.allspans
    cached = [records.of(s) for p in core.ps for s in p.mspan_cache]
    if len(set(map(id, cached))) != len(cached):
        yield "a span record is cached twice", NOWHERE
    inuse = (len(core.heap.allspans) - len(free)) * core.heap.spanalloc.size
    if core.heap.spanalloc.inuse != inuse:
        yield f"span records take {core.heap.spanalloc.inuse} bytes, but the records come to {inuse}", NOWHERE
    held = {id(s) for s in cached} | {id(records[records.number_of(a)]) for a in free}
    held |= {id(s) for s in core.user_arenas.ready}
    for s in core.heap.allspans:
        if (s.state == DEAD) != (id(s) in held):
            yield (
                f"the record at {s.self_addr:#x} is {'nobody' if s.state == DEAD else 'somebody else'}'s",
                s.base,
            )


# Central lists and caches.


@invariant("span sets")
def _span_sets(core: HeapCore) -> Iterator[Seen]:
    """A span is on one set of its class, or in one cache, by its sweepgen."""
    places: dict[int, list[str]] = {}
    for central in core.central:
        for name, sets in (("partial", central.partial), ("full", central.full)):
            for which, spans in enumerate(sets):
                swept = which == core.heap.sweepgen >> 1 & 1
                yield from _blocks(core, spans.head, spans.tail, len(spans), spans.blocks)
                for s in spans:
                    if _stale(core, s, swept):
                        continue
                    places.setdefault(id(s), []).append(name)
                    if s.spanclass != central.spanclass and not s.is_user_arena_chunk:
                        yield f"a span of class {s.spanclass} is in class {central.spanclass}", s.base
                    if swept and (s.alloc_count < s.nelems) != (name == "partial"):
                        yield f"a span with {s.alloc_count} of {s.nelems} objects is {name}", s.base
    for s, name in _cached(core):
        places.setdefault(id(s), []).append(name)
        if s.sweepgen not in (core.heap.sweepgen + 3, core.heap.sweepgen + 1):
            yield f"a cached span has sweepgen {s.sweepgen} beside {core.heap.sweepgen}", s.base
    for s in core.heap.allspans:
        found = places.get(id(s), [])
        if s.state == IN_USE and len(found) != 1:
            yield f"a span in use is in {', '.join(found) or 'no set and no cache'}", s.base


def _stale(core: HeapCore, s: MSpan, swept: bool) -> bool:
    """Whether a span on an unswept set was swept since without being taken off."""
    return not swept and (s.state != IN_USE or s.sweepgen != core.heap.sweepgen - 2)


def _blocks(core: HeapCore, head: int, tail: int, n: int, blocks: list[int]) -> Iterator[Seen]:
    entries = core.config.span_set_block_entries
    if tail - head != n:
        yield f"a span set has {n} spans between {head} and {tail}", NOWHERE
    if len(blocks) != -(-tail // entries):
        yield f"a span set of {tail} pushes has {len(blocks)} blocks", NOWHERE
    for i, block in enumerate(blocks):
        if bool(block) != (head < (i + 1) * entries):
            yield f"block {i} of a span set is {'there' if block else 'gone'} after {head} pops", NOWHERE


def _cached(core: HeapCore) -> Iterator[tuple[MSpan, str]]:
    for p in core.ps:
        for cached in p.mcache.alloc:
            if cached.span is not None:
                yield cached.span, f"P {p.number}'s cache"


@invariant("cache runs")
def _cache_runs(core: HeapCore) -> Iterator[Seen]:
    """What a cache is about to hand out is free, and the span's."""
    for p in core.ps:
        for spanclass, cached in enumerate(p.mcache.alloc):
            s = cached.span
            if s is None:
                if cached.next != cached.end:
                    yield f"P {p.number} hands out objects of class {spanclass} without a span", NOWHERE
                continue
            if s.spanclass != spanclass or cached.base != s.base or cached.size != s.elemsize:
                yield f"P {p.number} caches a span of another class", s.base
                continue
            for v in range(cached.next, cached.end, cached.size):
                if s.allocated() >> s.index_of(v) & 1 or v >= s.limit:
                    yield f"{v:#x} is about to be handed out, but is in use", s.base
                    break
        tiny = p.mcache.tiny
        if tiny:
            s = core.heap.span_of_heap(tiny)
            if s is None or s.spanclass != core.tiny_spanclass:
                yield f"P {p.number}'s tiny block {tiny:#x} is not a tiny object", NOWHERE


# Stacks, specials, mark bits.


@invariant("stack spans")
def _stack_spans(core: HeapCore) -> Iterator[Seen]:
    """A span of stacks knows which of them are free, and is in its pool while any is."""
    pooled = {id(s) for spans in core.stack_heap.pool for s in spans}
    for s in core.heap.allspans:
        if s.state != MANUAL or not s.elemsize or core.stack_heap.order_of(s.elemsize) is None:
            continue
        total = core.config.stack_cache_size // s.elemsize
        if s.alloc_count + len(s.manual_free_list) != total:
            yield f"{s.alloc_count} stacks in use and {len(s.manual_free_list)} free are not {total}", s.base
        if bool(s.manual_free_list) != (id(s) in pooled):
            yield "a span of stacks must be in the pool exactly while it has a free stack", s.base
    for p in core.ps:
        for order, stacks in enumerate(p.mcache.stacks):
            size = core.config.fixed_stack << order
            if len(stacks) * size != p.mcache.stack_sizes[order]:
                yield (
                    f"P {p.number}'s stacks of {size} bytes are not {p.mcache.stack_sizes[order]} bytes",
                    NOWHERE,
                )


@invariant("specials")
def _specials(core: HeapCore) -> Iterator[Seen]:
    """Records belong to allocated objects, in order of offset and kind."""
    for s in core.heap.allspans:
        if not s.specials or s.state != IN_USE:
            continue
        keys = [(record.offset, ORDER[record.kind]) for record in s.specials]
        if keys != sorted(keys):
            yield "special records are out of order", s.base
        for record in s.specials:
            if not s.allocated() >> record.offset // s.elemsize & 1:
                yield f"a {record.kind} record hangs on a free object", s.base


@invariant("mark bit arenas")
def _mark_bit_arenas(core: HeapCore) -> Iterator[Seen]:
    """An arena of mark bits has one role."""
    bits = core.gc_bits
    arenas = [*bits.free, *bits.next, *bits.current, *bits.previous]
    if len(set(arenas)) != len(arenas):
        yield "an arena of mark bits has two roles", NOWHERE
    if bits.next_free > bits.capacity:
        yield f"{bits.next_free} bytes of an arena of {bits.capacity} are taken", NOWHERE


# What lies below a break, counters and zeroed memory.


@invariant("memory below the break")
def _below_the_break(core: HeapCore) -> Iterator[Seen]:
    """Where a system has but a break: no memory is both in use and free, and none lies above it."""
    os = core.mem.os
    if isinstance(os, MemSbrk):
        refused = core.tables.index_failed  # then it lies anywhere
        used = [(r.base, r.size) for r in regions(core) if not (refused and r.name == "scavenge index")]
        # Large records of arenas are among the regions already.
        used += [piece for piece in core.persistent.large if piece not in used]
        heap = core.heap
        if heap.allspans_cap:
            used.append((heap.allspans_array, heap.allspans_cap * core.config.ptr_size))
        for seen in os.unsound(used):
            yield seen, NOWHERE


@invariant("counters")
def _counters(core: HeapCore) -> Iterator[Seen]:
    """Counts made in two ways agree (readmemstats_m), and spans add up to what is in use."""
    stats, counted = core.stats.bytes, core.heap_stats
    mapped = sum(stats.values()) + counted.in_stacks + counted.in_work_bufs
    for what, one, other in recounts(core, core.pacer.total_alloc, core.pacer.total_free, mapped):
        if one != other:
            yield f"{what}: {one} and {other}", NOWHERE
    page = core.config.page_size
    gone = {id(s) for s in core.user_arenas.quarantine}
    spans = [s for s in core.heap.allspans if s.state == IN_USE and id(s) not in gone]
    in_use = sum(s.npages * page for s in spans)
    if in_use != stats["heap_in_use"]:
        yield f"heapInUse is {stats['heap_in_use']}, spans come to {in_use}", NOWHERE
    manual = sum(s.npages * page for s in core.heap.allspans if s.state == MANUAL)
    if manual != counted.in_stacks + counted.in_work_bufs:
        yield (
            f"stacks and work buffers are {counted.in_stacks + counted.in_work_bufs}, spans {manual}",
            NOWHERE,
        )
    if core.heap_retained() + stats["heap_released"] + manual != _grown(core):
        yield "what is in use, free and released is not what the heap has grown to", NOWHERE


def _grown(core: HeapCore) -> int:
    return core.pages.in_use.total_bytes + len(core.user_arenas.chunks) * core.user_arenas.bytes


@invariant("zeroed arenas")
def _zeroed(core: HeapCore) -> Iterator[Seen]:
    """Memory that an arena says was never used holds no span, and used spans say so."""
    config = core.config
    for s in survey.spans(core):
        last = s.base + s.npages * config.page_size - 1
        arena = core.arenas.by_index[config.arena_index(last)]
        if last - config.arena_base(arena.index) >= arena.zeroed_base:
            yield "a span lies where its arena says that nothing was ever used", s.base


# What a watch has noted.


@invariant("objects")
def _objects(core: HeapCore) -> Iterator[Seen]:
    """Every object that was handed out and not freed is allocated, with the pointers of its type."""
    if core.watched is None:
        return
    for v in core.watched.twice:
        yield f"{v:#x} was handed out while it was in use", NOWHERE
    for v, (typ, size) in core.watched.objects.items():
        s = core.heap.span_of_heap(v)
        if s is None:
            yield f"the object at {v:#x} lies in no span", NOWHERE
            continue
        index = s.index_of(v)
        if not s.allocated() >> index & 1:
            yield f"the object at {v:#x} is free", s.base
        slot = s.base + index * s.elemsize
        if v + size > slot + s.elemsize:
            yield f"the object at {v:#x} of {size} bytes does not fit its slot", s.base
        if (typ is None) != s.noscan:
            yield (
                f"the object at {v:#x} lies among those {'with' if typ is None else 'without'} pointers",
                s.base,
            )
        elif typ is not None and v != slot + core.header_of(s):
            yield f"the object at {v:#x} does not begin right after its header", s.base
        elif typ is not None and not _same_pointers(core, s, core.object_type(s, index), typ, size):
            yield f"the heap bits or header of {v:#x} are not those of its type", s.base


def _same_pointers(core: HeapCore, s: MSpan, what: ObjectType | None, typ: Type, size: int) -> bool:
    ptr = core.config.ptr_size
    if s.spanclass == 2 and ptr == 8:
        return what == 1
    if core.layout[s.spanclass].bits_in_span or (s.spanclass > 1 and not core.config.headers):
        return what == repeated(typ, size // typ.size, ptr)
    return what is typ
