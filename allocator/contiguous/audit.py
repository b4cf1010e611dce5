"""Invariants of a live machine, each with a name; `audit` returns the violations.

Each check recounts from the spans what the allocator keeps count of as it
goes. With `rt.watch()` switched on before allocating, the objects' types are
known too, and the heap bitmap and the identity of objects are checked against
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from allocator.common.audit import Seen, Violation, violations
from allocator.contiguous.heap_bitmap import LargeBits, Stamp, press, stamp
from allocator.contiguous.mspan import DEAD, FREE, IN_USE, NIL, STACK, STATE_NAMES, SpanList
from allocator.contiguous.specials import FINALIZER, PROFILE

if TYPE_CHECKING:
    from allocator.contiguous.core import Core


def audit(rt: Core) -> list[Violation]:
    """Every violation of every invariant; empty when all is well."""
    rt.sync_caches()
    return violations(rt, INVARIANTS)


def _at(rt: Core, s: int) -> str:
    return f"span {s} at {rt.spans.base[s]:#x}"


def spans_tile_arena(rt: Core) -> Iterator[Seen]:
    """Live spans cover the memory that the heap has, without gap or overlap."""
    spans, heap = rt.spans, rt.heap
    shift = rt.config.page_shift
    live = sorted((spans.base[s], s) for s in range(len(spans)) if spans.state[s] != DEAD)
    end = None
    for base, s in live:
        if spans.npages[s] <= 0:
            yield f"{_at(rt, s)} has npages {spans.npages[s]}", s
        if end is not None and base < end:
            yield f"{_at(rt, s)} begins before {end:#x}, where the one below it ends", s
        if rt.config.is_64bit and end is not None and base > end and not heap.arena_reserved:
            yield f"{_at(rt, s)} leaves {base - end} bytes behind the one below it", s
        end = base + (spans.npages[s] << shift)
    total = sum(spans.npages[s] << shift for _, s in live)
    counted = rt.stats.heap_inuse + rt.stats.heap_idle
    if total != counted:
        yield f"spans have {total} bytes, heap_inuse and heap_idle come to {counted}", NIL
    if live and rt.config.is_64bit and len(rt.attempts) <= len(rt.config.hints):
        if live[0][0] != heap.arena_start:
            yield f"the first span is at {live[0][0]:#x}, the arena at {heap.arena_start:#x}", live[0][1]
        if end != heap.arena_used:
            yield f"the last span ends at {end:#x}, arena_used is {heap.arena_used:#x}", live[-1][1]


def page_table(rt: Core) -> Iterator[Seen]:
    """Every page of a used span is entered for it, of a free one the first and the last."""
    spans, heap = rt.spans, rt.heap
    for s in range(len(spans)):
        state = spans.state[s]
        if state == DEAD:
            continue
        first = heap.page(spans.base[s])
        last = first + spans.npages[s] - 1
        if last >= heap.spans_len:
            yield f"{_at(rt, s)} ends at page {last}, {heap.spans_len} are mapped", s
        # Of a free span only the ends count; of a very large one looking at the ends is enough.
        ends_only = state == FREE or spans.npages[s] > 4096
        for page in (first, last) if ends_only else range(first, last + 1):
            if heap.pages.get(page) != s:
                yield f"page {page} of {_at(rt, s)} is entered for {heap.pages.get(page)}", s
                break


def _members(rt: Core, lst: SpanList) -> Iterator[int]:
    """A list's spans; it ends even where the list is a circle, which list_links reports."""
    return islice(lst, len(rt.spans))


def _links(rt: Core, lst: SpanList) -> Iterator[Seen]:
    spans = rt.spans
    before = NIL
    seen = set()
    for s in lst:
        if s in seen:
            yield f"{lst.name} has {_at(rt, s)} twice", s
            return
        seen.add(s)
        if spans.prev[s] != before:
            yield f"{_at(rt, s)} on {lst.name} points back to {spans.prev[s]}, not {before}", s
        if spans.on_list[s] is not lst:
            yield f"{_at(rt, s)} is on {lst.name} but does not say so", s
        before = s
    if lst.last != before:
        yield f"{lst.name} ends with {before} but its last is {lst.last}", NIL


def list_links(rt: Core) -> Iterator[Seen]:
    """Every list is linked both ways, and its spans know that they are on it."""
    heap = rt.heap
    lists = [*heap.free, heap.freelarge, *heap.busy, heap.busylarge, *rt.stacks.pool, *rt.stacks.large]
    for central in rt.central:
        lists += [central.nonempty, central.empty]
    on_lists = 0
    for lst in lists:
        if lst.first != NIL or lst.last != NIL:
            yield from _links(rt, lst)
            on_lists += sum(1 for _ in _members(rt, lst))
    marked = sum(1 for lst in rt.spans.on_list if lst is not None)
    if marked != on_lists:
        yield f"{marked} spans say that they are on a list, but {on_lists} are", NIL


def free_lists(rt: Core) -> Iterator[Seen]:
    """Free spans, and no others, are on the free list of their length."""
    spans, heap = rt.spans, rt.heap
    for s in range(len(spans)):
        if spans.state[s] == FREE and spans.on_list[s] is not heap.free_list(spans.npages[s]):
            yield f"{_at(rt, s)} is free but not on the list of {spans.npages[s]} pages", s
    for length, lst in [*enumerate(heap.free), (heap.max_list, heap.freelarge)]:
        for s in _members(rt, lst):
            if spans.state[s] != FREE:
                yield f"{_at(rt, s)} is on {lst.name} and {STATE_NAMES[spans.state[s]]}", s
            elif spans.npages[s] < length or (length < heap.max_list and spans.npages[s] != length):
                yield f"{_at(rt, s)} is on {lst.name} and has npages {spans.npages[s]}", s
        if length < heap.max_list and bool(heap.free_mask >> length & 1) != (lst.first != NIL):
            yield f"the mask of free lists is wrong about {lst.name}", NIL


def coalescing(rt: Core) -> Iterator[Seen]:
    """No two free spans are adjacent."""
    spans = rt.spans
    shift = rt.config.page_shift
    free = sorted((spans.base[s], s) for s in range(len(spans)) if spans.state[s] == FREE)
    for (base, s), (after, t) in pairwise(free):
        if base + (spans.npages[s] << shift) == after:
            yield f"{_at(rt, s)} and {_at(rt, t)} are both free", s


def needs_zero(rt: Core) -> Iterator[Seen]:
    """Memory that was used before does not count as zeroed."""
    spans = rt.spans
    if rt.watched is not None:
        for s in range(len(spans)):
            if spans.state[s] == FREE and not spans.needzero[s] and rt.watched.was_used(s):
                yield f"{_at(rt, s)} has pages that were used but needs no zeroing", s


def released(rt: Core) -> Iterator[Seen]:
    """Only free spans have released pages, no more than they have, and memstats counts them."""
    spans = rt.spans
    total = 0
    for s in range(len(spans)):
        if spans.state[s] == FREE:
            total += spans.npreleased[s]
            if not 0 <= spans.npreleased[s] <= spans.npages[s]:
                yield f"{_at(rt, s)} has {spans.npages[s]} pages and released {spans.npreleased[s]}", s
        elif spans.state[s] != DEAD and spans.npreleased[s]:
            yield f"{_at(rt, s)} is in use with {spans.npreleased[s]} pages released", s
    if total << rt.config.page_shift != rt.stats.heap_released:
        yield f"{total} pages are released, memstats has {rt.stats.heap_released} bytes", NIL


def sweep_generations(rt: Core) -> Iterator[Seen]:
    """A span in use is swept, or waits for it among the unswept; never in between when nothing runs."""
    spans, heap = rt.spans, rt.heap
    sg = heap.sweepgen
    waiting = set(rt.sweep_spans.unswept)
    swept = Counter(rt.sweep_spans.swept)
    for s in range(len(spans)):
        if spans.state[s] != IN_USE:
            continue
        generation = spans.sweepgen[s]
        if generation not in (sg, sg - 2):
            yield f"{_at(rt, s)} has sweepgen {generation}, the heap {sg}", s
        elif generation == sg - 2:
            if s not in waiting:
                yield f"{_at(rt, s)} is unswept and no sweeper will find it", s
            if heap.sweepdone:
                yield f"{_at(rt, s)} is unswept though sweeping is done", s
            if spans.in_cache[s]:
                yield f"{_at(rt, s)} is cached and unswept", s
        elif not swept[s]:
            yield f"{_at(rt, s)} is swept and not among the swept", s


def central_lists(rt: Core) -> Iterator[Seen]:
    """Small spans are on a list of their class: with free objects or without, cached ones without."""
    spans = rt.spans
    for s in range(len(spans)):
        if spans.state[s] != IN_USE or not spans.sizeclass[s]:
            continue
        central = rt.central[spans.sizeclass[s]]
        where = spans.on_list[s]
        if where is not central.nonempty and where is not central.empty:
            yield f"{_at(rt, s)} is on no list of class {spans.sizeclass[s]}", s
        elif spans.in_cache[s] and where is not central.empty:
            yield f"{_at(rt, s)} is cached and on {where.name}", s
        elif where is central.nonempty and spans.alloc_count[s] >= spans.nelems[s]:
            yield f"{_at(rt, s)} is full and on {where.name}", s
        elif (
            where is central.empty
            and not spans.in_cache[s]
            and spans.sweepgen[s] == rt.heap.sweepgen
            and spans.alloc_count[s] < spans.nelems[s]
        ):
            yield f"{_at(rt, s)} has free objects that no mcache will find", s


def busy_lists(rt: Core) -> Iterator[Seen]:
    """Large objects are on the busy list of their length, swept and unswept ones in any order.

    reclaimList relies on unswept ones coming first, and moves what it sweeps to the end. But sweepone,
    which the background sweeper and sweep credit call, leaves a span at its place on the list
    (mgcsweep.go): reclaimList then stops short of unswept spans after it, and loses nothing but time.
    """
    spans, heap = rt.spans, rt.heap
    for s in range(len(spans)):
        large = spans.state[s] == IN_USE and not spans.sizeclass[s]
        if large and spans.on_list[s] is not heap.busy_list(spans.npages[s]):
            yield f"{_at(rt, s)} is a large object off its busy list", s
    for length, lst in [*enumerate(heap.busy), (heap.max_list, heap.busylarge)]:
        if length < heap.max_list and bool(heap.busy_mask >> length & 1) != (lst.first != NIL):
            yield f"the mask of busy lists is wrong about {lst.name}", NIL


def object_counts(rt: Core) -> Iterator[Seen]:
    """alloc_count is what the allocation bits and free_index say; free_index lies in the span."""
    spans = rt.spans
    for s in range(len(spans)):
        if spans.state[s] != IN_USE:
            continue
        nelems = spans.nelems[s]
        if not 0 <= spans.free_index[s] <= nelems:
            yield f"{_at(rt, s)} has free_index {spans.free_index[s]} of {nelems} objects", s
            continue
        if spans.alloc_bits[s] >> nelems:
            yield f"{_at(rt, s)} has allocation bits beyond its {nelems} objects", s
        if spans.mark_bits[s] >> nelems:
            yield f"{_at(rt, s)} has mark bits beyond its {nelems} objects", s
        counted = rt.allocated_mask(s).bit_count()
        if counted != spans.alloc_count[s]:
            yield f"{_at(rt, s)} has {counted} objects, alloc_count is {spans.alloc_count[s]}", s


def span_shape(rt: Core) -> Iterator[Seen]:
    """A span's object size, count and limit are those of its class or of its one large object."""
    spans = rt.spans
    page_shift = rt.config.page_shift
    for s in range(len(spans)):
        if spans.state[s] != IN_USE:
            continue
        sizeclass = spans.sizeclass[s]
        whole = spans.npages[s] << page_shift
        size = rt.class_to_size[sizeclass] or whole
        if spans.elemsize[s] != size or spans.nelems[s] != whole // size:
            yield (
                f"{_at(rt, s)} of class {sizeclass} has {spans.nelems[s]} objects of {spans.elemsize[s]}",
                s,
            )
        end = spans.base[s] + (spans.nelems[s] * size)
        if sizeclass and spans.limit[s] != end:
            yield f"{_at(rt, s)} has limit {spans.limit[s]:#x}, its objects end at {end:#x}", s
        if not sizeclass and not spans.base[s] < spans.limit[s] <= end:
            yield f"{_at(rt, s)} has limit {spans.limit[s]:#x} outside itself", s


def cache_runs(rt: Core) -> Iterator[Seen]:
    """What an mcache is about to hand out is free, and lies in the span that it caches."""
    spans = rt.spans
    for cache in rt.caches:
        for sizeclass, cached in enumerate(cache.alloc):
            s = cached.span
            if s == NIL or cached.next == cached.end:
                continue
            where = f"class {sizeclass} of mcache {cache.id}"
            first, left = divmod(cached.next - cached.base, cached.size)
            length, odd = divmod(cached.end - cached.next, cached.size)
            if left or odd or first < spans.free_index[s] or first + length > spans.nelems[s]:
                yield f"{where}: {cached.next:#x} to {cached.end:#x} are not objects of {_at(rt, s)}", s
            elif spans.alloc_bits[s] >> first & ((1 << length) - 1):
                yield f"{where}: an object between {cached.next:#x} and {cached.end:#x} is allocated", s


def cache_ownership(rt: Core) -> Iterator[Seen]:
    """A cached span is in one place of one mcache, of its own class, and knows it."""
    spans = rt.spans
    owners: Counter[int] = Counter()
    for cache in rt.caches:
        for sizeclass, cached in enumerate(cache.alloc):
            s = cached.span
            if s == NIL:
                continue
            owners[s] += 1
            if spans.state[s] != IN_USE or spans.sizeclass[s] != sizeclass or cached.base != spans.base[s]:
                yield f"mcache {cache.id} caches {_at(rt, s)} as class {sizeclass}", s
            if cached.bits is not None and cached.bits is not spans.bits[s]:
                yield f"mcache {cache.id} writes the bitmap of class {sizeclass} somewhere else", s
        tiny = cache.tiny
        if tiny and (rt.heap.lookup_maybe(tiny) < 0 or cache.tiny_offset > rt.config.tiny_size):
            yield f"mcache {cache.id} has a tiny block at {tiny:#x}, which is not an object", NIL
    for s, times in owners.items():
        if times > 1:
            yield f"{_at(rt, s)} is cached {times} times", s
    for s in range(len(spans)):
        if spans.state[s] == IN_USE and spans.in_cache[s] != bool(owners[s]):
            yield f"{_at(rt, s)} says it is {'' if spans.in_cache[s] else 'not '}cached", s


def stack_spans(rt: Core) -> Iterator[Seen]:
    """Pools hold spans with free stacks, each stack either free, cached or in use."""
    spans, stacks = rt.spans, rt.stacks
    cached: Counter[int] = Counter()
    for cache in rt.caches:
        for order, free in enumerate(cache.stack_lists):
            size = stacks.fixed << order
            if cache.stack_sizes[order] != len(free) * size:
                yield f"mcache {cache.id} counts {cache.stack_sizes[order]} bytes of order {order}", NIL
            for v in free:
                cached[v] += 1
                s = rt.heap.lookup(v)
                if s == NIL or spans.state[s] != STACK or v in (spans.stack_free[s] or ()):
                    yield f"mcache {cache.id} caches stack {v:#x}, which does not belong to it", s
    for v, times in cached.items():
        if times > 1:
            yield f"stack {v:#x} is cached {times} times", NIL
    for order, pool in enumerate(stacks.pool):
        size = stacks.fixed << order
        for s in _members(rt, pool):
            free = spans.stack_free[s] or []
            if spans.state[s] != STACK or not free:
                yield f"{_at(rt, s)} is in the pool of order {order} without a free stack", s
            if len(set(free)) != len(free) or (len(free) + spans.alloc_count[s]) * size != stacks.cache_size:
                yield f"{_at(rt, s)} has {len(free)} free and {spans.alloc_count[s]} used stacks of {size}", s


def counters(rt: Core) -> Iterator[Seen]:
    """memstats is what a recount of the spans gives."""
    spans, stats = rt.spans, rt.stats
    shift = rt.config.page_shift
    pages = [0, 0, 0, 0]
    for s in range(len(spans)):
        pages[spans.state[s]] += spans.npages[s]
    for name, counted in (
        ("heap_inuse", (pages[IN_USE] + pages[STACK]) << shift),
        ("heap_idle", pages[FREE] << shift),
        ("stacks_inuse", pages[STACK] << shift),
    ):
        if getattr(stats, name) != counted:
            yield f"{name} is {getattr(stats, name)}, the spans have {counted}", NIL
    if rt.heap.pages_in_use != pages[IN_USE]:
        yield f"pages_in_use is {rt.heap.pages_in_use}, the spans have {pages[IN_USE]}", NIL
    if stats.heap_sys < (pages[IN_USE] + pages[STACK] + pages[FREE]) << shift:
        yield f"heap_sys is {stats.heap_sys}, the spans have more", NIL


def records_in_use(rt: Core) -> Iterator[Seen]:
    """fixalloc counts the records that are in use, and a free record is of a dead span."""
    spans = rt.spans
    size = rt.spanalloc.size
    live = sum(1 for state in spans.state if state != DEAD)
    if rt.spanalloc.inuse != live * size:
        yield f"{rt.spanalloc.inuse} bytes of span records are in use, {live} spans of {size} live", NIL
    for s in rt.spanalloc.free_list:
        if spans.state[s] != DEAD:
            yield f"the record of {_at(rt, s)} is free", s
    if len(set(spans.self_addr)) != len(spans):
        yield "two span records have one address", NIL
    for kind, pool in ((FINALIZER, rt.specialfinalizeralloc), (PROFILE, rt.specialprofilealloc)):
        count = sum(r.kind == kind for records in spans.specials if records for r in records)
        if pool.inuse != count * pool.size:
            yield f"{pool.inuse} bytes of special records in use, spans have {count} of {pool.size}", NIL
    if rt.cachealloc.inuse != len(rt.caches) * rt.cachealloc.size:
        yield f"{rt.cachealloc.inuse} bytes of mcaches in use, there are {len(rt.caches)}", NIL


def special_records(rt: Core) -> Iterator[Seen]:
    """Special records are sorted, and their objects are allocated."""
    spans = rt.spans
    for s in range(len(spans)):
        records = spans.specials[s]
        if not records:
            continue
        if spans.state[s] != IN_USE:
            yield f"{_at(rt, s)} has special records and is {STATE_NAMES[spans.state[s]]}", s
            continue
        keys = [(record.offset, record.kind) for record in records]
        if keys != sorted(set(keys)):
            yield f"{_at(rt, s)} has its special records out of order", s
        mask = rt.allocated_mask(s)
        for offset, _ in keys:
            if not mask >> offset // spans.elemsize[s] & 1:
                yield f"{_at(rt, s)} has a special record for a free object at offset {offset}", s
                break


def mark_arenas(rt: Core) -> Iterator[Seen]:
    """Every arena of mark bits has one role, and the one being filled is not overfull."""
    arenas = rt.arenas
    roles = [*arenas.free, *arenas.next, *arenas.current, *arenas.previous]
    if len(set(roles)) != len(roles):
        yield "an arena of mark bits has two roles", NIL
    if arenas.next and not 0 <= arenas.next_free <= arenas.capacity:
        yield f"the arena being filled has {arenas.next_free} of {arenas.capacity} bytes taken", NIL


def heap_bitmap(rt: Core) -> Iterator[Seen]:
    """The heap bitmap describes the watched objects as their types say."""
    if rt.watched is None:
        return
    spans, ptr = rt.spans, rt.config.ptr_size
    for v, (typ, data_size) in rt.watched.objects.items():
        s = rt.heap.lookup_maybe(v)
        if s == NIL:
            continue
        bits = spans.bits[s]
        size = spans.elemsize[s]
        if isinstance(bits, LargeBits):
            if bits != (typ, data_size, size):
                yield f"the large object at {v:#x} is described as another", s
            continue
        if spans.sizeclass[s] == 0 or (ptr == 8 and size == 8):
            if (typ is not None and not spans.sizeclass[s]) or bits not in (0, 0xFF):
                yield f"the object at {v:#x} has no bitmap of its own", s
            continue
        word = (v - spans.base[s]) // ptr
        have = (
            int.from_bytes(bits[word >> 2 : (word + size // ptr + 3) >> 2], "little")
            if isinstance(bits, bytearray)
            else 0
        )
        if typ is None:
            if have >> (word & 3) & 0x11:
                yield f"the object without pointers at {v:#x} is described with some", s
            continue
        what = stamp(typ, data_size, size, ptr)
        want, care = _expected(what, word, size // ptr)
        if (have ^ want) & care:
            yield f"the {typ.name or 'object'} at {v:#x} is described as another type", s


def _expected(what: Stamp, word: int, words: int) -> tuple[int, int]:
    """The bytes that an object's words should have, and which of their bits are the object's."""
    n = ((word & 3) + words + 3) // 4
    zeros, ones = bytearray(n), bytearray(b"\xff" * n)
    press(zeros, word & 3, what)
    press(ones, word & 3, what)
    want = int.from_bytes(zeros, "little")
    # Bits that come out alike whatever was there before are the ones that the stamp sets.
    care = ~(want ^ int.from_bytes(ones, "little")) & ((1 << 8 * n) - 1)
    return want, care


def identity(rt: Core) -> Iterator[Seen]:
    """No object and no stack was handed out while it was in use."""
    if rt.watched is None:
        return
    for v in rt.watched.twice:
        yield f"{v:#x} was handed out while in use", rt.heap.lookup(v)
    for v in rt.watched.objects:
        s = rt.heap.lookup_maybe(v)
        if s == NIL:
            yield f"the watched object at {v:#x} is in no span", NIL
        elif not rt.allocated_mask(s) >> (v - rt.spans.base[s]) // rt.spans.elemsize[s] & 1:
            yield f"the watched object at {v:#x} is free", s


INVARIANTS: dict[str, Callable[[Core], Iterator[Seen]]] = {
    "spans-tile-arena": spans_tile_arena,
    "page-table": page_table,
    "list-links": list_links,
    "free-lists": free_lists,
    "coalescing": coalescing,
    "needs-zero": needs_zero,
    "released": released,
    "sweep-generations": sweep_generations,
    "central-lists": central_lists,
    "busy-lists": busy_lists,
    "object-counts": object_counts,
    "span-shape": span_shape,
    "cache-runs": cache_runs,
    "cache-ownership": cache_ownership,
    "stack-spans": stack_spans,
    "counters": counters,
    "records-in-use": records_in_use,
    "special-records": special_records,
    "mark-arenas": mark_arenas,
    "heap-bitmap": heap_bitmap,
    "identity": identity,
}
