"""The invariants of what is counted and recorded besides spans: records by fixalloc, blocks of span sets,
free stacks, user arenas, what is left to sweep, and the objects that every counter must add up to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from allocator.common.audit import NOWHERE, Seen
from allocator.sparse.fixalloc import FixAlloc
from allocator.sparse.invariants import invariant
from allocator.sparse.mspan import DEAD, IN_USE, MANUAL
from allocator.sparse.specials import OWNED
from allocator.sparse.user_arena import FAULTED, SPANCLASS

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore


@invariant("fixed records")
def _fixed_records(core: HeapCore) -> Iterator[Seen]:
    """Each fixalloc has as many records in use as there are things that they are of."""
    kinds = Counter(record.kind for s in core.in_use() for record in s.specials or ())
    hints = [*core.arenas.hints, *core.arenas.user_hints]
    records: list[tuple[str, FixAlloc, int]] = [
        ("mcache", core.cachealloc, max(len(core.ps), 1)),
        ("hint", core.arenas.hint_alloc, len(hints)),
        *((f"{kind} record", alloc, kinds[kind]) for kind, alloc in core.specials.allocs.items()),
    ]
    for name, alloc, n in records:
        if alloc.inuse != n * alloc.size:
            yield f"{alloc.inuse // alloc.size} records of a {name} are in use, and {n} are needed", NOWHERE
        if len(set(alloc.free_list)) != len(alloc.free_list):
            yield f"a record of a {name} is free twice", NOWHERE
    own = [record.address for s in core.in_use() for record in s.specials or () if record.kind not in OWNED]
    own += [hint.record for hint in hints]
    if len(set(own)) != len(own):
        yield "two things have one record", NOWHERE


@invariant("span set blocks")
def _span_set_blocks(core: HeapCore) -> Iterator[Seen]:
    """A block belongs to one span set, or to the pool of free ones."""
    blocks = list(core.span_set_blocks.stack.nodes)
    for central in core.central:
        for spans in (*central.partial, *central.full):
            blocks += [block for block in spans.blocks if block]
            if len(spans.blocks) > spans.spine_cap:
                yield f"a span set has {len(spans.blocks)} blocks in a spine of {spans.spine_cap}", NOWHERE
    if len(set(blocks)) != len(blocks):
        yield "a block belongs to two span sets, or is free as well", NOWHERE


@invariant("free stacks")
def _free_stacks(core: HeapCore) -> Iterator[Seen]:
    """A free stack is in its span or in one P's cache; a large one in the list of its size."""
    heap = core.stack_heap
    for order, spans in enumerate(heap.pool):
        for s in spans:
            if s.elemsize != heap.fixed << order:
                yield f"stacks of {s.elemsize} bytes are in the pool of order {order}", s.base
    free = [v for spans in heap.pool for s in spans for v in s.manual_free_list]
    for p in core.ps:
        for order, stacks in enumerate(p.mcache.stacks):
            free += stacks
            for v in stacks:
                found = core.heap.span_of(v)
                if found is None or found.state != MANUAL or found.elemsize != heap.fixed << order:
                    yield f"P {p.number} has a stack at {v:#x}, which is none of its order", NOWHERE
    if len(set(free)) != len(free):
        yield "a stack is free twice", NOWHERE
    for log, spans in enumerate(heap.large):
        for s in spans:
            if s.state != MANUAL or s.npages.bit_length() != log:
                yield f"a free stack of {s.elemsize} bytes is in list {log}", s.base


@invariant("user arenas")
def _user_arenas(core: HeapCore) -> Iterator[Seen]:
    """A chunk is used, waits until nothing points into it, or is ready to be used; its span says which."""
    arenas = core.user_arenas
    for s in arenas.ready:
        if s.state != DEAD or s.list is not arenas.ready:
            yield "a chunk is ready that is in use", s.base
    for s in arenas.quarantine:
        if s.state != IN_USE or s.spanclass != FAULTED or s.list is not arenas.quarantine:
            yield "a chunk waits for a sweep that does not fault", s.base
    for s in arenas.chunks:
        if s.state != IN_USE or s.spanclass != SPANCLASS or s.list is not None:
            yield "a chunk is used that is not in use", s.base
        free, limit = s.user_arena_free
        if not s.base <= free <= limit <= s.limit:
            yield f"{free:#x} to {limit:#x} are free in a chunk", s.base
    for name, spans in (("to be used again", arenas.reuse), ("about to fault", arenas.to_fault)):
        for s in spans:
            if s not in arenas.chunks:
                yield f"a chunk is {name} that is not used", s.base


@invariant("sweeping")
def _sweeping(core: HeapCore) -> Iterator[Seen]:
    """Spans are swept, being swept or to be swept; none is left once sweeping has ended. Pages are known to
    have marked objects until these are swept."""
    heap = core.heap
    page_shift = core.config.page_shift
    if heap.sweepgen % 2:
        yield f"the heap's sweepgen is {heap.sweepgen}", NOWHERE
    for s in heap.allspans:
        if s.state != IN_USE:
            continue
        stage = s.sweepgen - heap.sweepgen
        if stage not in (-2, -1, 0, 1, 3):
            yield f"a span in use has sweepgen {s.sweepgen} beside {heap.sweepgen}", s.base
        if stage in (-2, -1, 1) and core.sweeper.drained and not s.is_user_arena_chunk:
            yield "sweeping has ended, but a span is not swept", s.base
        if s.mark_bits and s.base >> page_shift not in heap.marked:
            yield "an object is marked, and the page bits do not tell", s.base


@invariant("object counts")
def _object_counts(core: HeapCore) -> Iterator[Seen]:
    """What was allocated and not freed, by the counters, are the objects that the spans have; what a cache
    has handed out of a span counts when it gives the span back."""
    counted = core.heap_stats
    classes = [0] * len(counted.small_allocs)
    large = large_bytes = 0
    cached = {id(place.span) for p in core.ps for place in p.mcache.alloc if place.span is not None}
    gone = {id(s) for s in core.user_arenas.quarantine}
    for s in core.heap.allspans:
        if s.state != IN_USE or id(s) in gone:
            continue
        if s.spanclass > 1:
            classes[s.sizeclass] += s.alloc_count_before_cache if id(s) in cached else s.alloc_count
        else:
            large += 1
            large_bytes += s.elemsize
    for sizeclass, n in enumerate(classes):
        known = counted.small_allocs[sizeclass] - counted.small_frees[sizeclass]
        if n != known:
            yield f"{known} objects of class {sizeclass} by their count, {n} in spans", NOWHERE
    known = counted.large_allocs - counted.large_frees
    if known != large:
        yield f"{known} large objects by their count, {large} spans", NOWHERE
    known = counted.large_alloc - counted.large_free
    if known != large_bytes:
        yield f"large objects have {known} bytes by their count, spans {large_bytes}", NOWHERE
    sizes = core.config.size_classes.class_to_size
    objects = sum(n * size for n, size in zip(classes, sizes, strict=True)) + large_bytes
    known = core.pacer.total_alloc - core.pacer.total_free
    if known != objects:
        yield f"{known} bytes are allocated, objects have {objects}", NOWHERE
