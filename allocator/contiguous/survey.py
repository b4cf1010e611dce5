"""Where everything lies and what the heap looks like: regions, runs, totals, the runtime's own figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from allocator.contiguous.mspan import DEAD, IN_USE, STACK
from allocator.contiguous.mstats import MStats
from allocator.interface import FREE, MAPPED, RESERVED, USED, PageRun, Region, Totals
from allocator.interface import IN_USE as RUN_IN_USE
from allocator.interface import STACK as RUN_STACK

if TYPE_CHECKING:
    from allocator.contiguous.core import Core

SPANS = "a pointer for each page that the arena can have"
BITMAP = "two bits for each word that the arena can have"
ARENA = "where objects and stacks are"


def regions(rt: Core) -> Iterator[Region]:
    """Spans, bitmap and arena as the heap sees them, each in its mapped and its reserved part.

    Where a what-if leaves less room than is used, nothing is left of the reserved part.
    """
    heap, config = rt.heap, rt.config
    page = config.phys_page_size
    begin = heap.bitmap
    spans_end = heap.spans_start + heap.spans_cap * config.ptr_size
    mapped = heap.spans_start + -(-heap.spans_len * config.ptr_size // page) * page
    mapped = min(mapped, spans_end)
    bitmap_mapped = begin - heap.bitmap_mapped
    yield Region("spans", heap.spans_start, mapped - heap.spans_start, MAPPED, SPANS)
    yield Region("spans", mapped, spans_end - mapped, RESERVED, SPANS)
    yield Region("bitmap", spans_end, max(bitmap_mapped - spans_end, 0), RESERVED, BITMAP)
    yield Region("bitmap", bitmap_mapped, begin - bitmap_mapped, MAPPED, BITMAP)
    yield Region("arena", begin, heap.arena_used - begin, USED, ARENA)
    yield Region("arena", heap.arena_used, max(heap.arena_end - heap.arena_used, 0), RESERVED, ARENA)


def runs(rt: Core) -> Iterator[PageRun]:
    """Every span record that holds pages, in address order."""
    rt.sync_caches()
    spans = rt.spans
    state, base = spans.state, spans.base
    for s in sorted((s for s in range(len(state)) if state[s] != DEAD), key=base.__getitem__):
        if state[s] == IN_USE:
            yield PageRun(
                base[s],
                spans.npages[s],
                RUN_IN_USE,
                spans.sizeclass[s],
                spans.elemsize[s],
                spans.alloc_count[s],
                spans.nelems[s],
            )
        elif state[s] == STACK:
            yield PageRun(base[s], spans.npages[s], RUN_STACK)
        else:
            yield PageRun(base[s], spans.npages[s], FREE, released=spans.npreleased[s])


def totals(rt: Core) -> Totals:
    """The spans counted, and memstats' counters as they stand."""
    rt.sync_caches()
    spans, stats, shift = rt.spans, rt.stats, rt.config.page_shift
    live = allocated = in_use = stacks = idle = released = room = largest = 0
    spans_in_use = spans_stack = free_runs = 0
    for s, state in enumerate(spans.state):
        if state == DEAD:
            continue
        size = spans.npages[s] << shift
        if state == IN_USE:
            objects, slots, each = spans.alloc_count[s], spans.nelems[s], spans.elemsize[s]
            spans_in_use += 1
            in_use += size
            allocated += objects
            live += objects * each
            room += slots * each
        elif state == STACK:
            spans_stack += 1
            stacks += size
        else:
            free_runs += 1
            idle += size
            released += spans.npreleased[s] << shift
            largest = max(largest, size)
    return Totals(
        live=live,
        objects=allocated,
        in_use=in_use,
        stacks=stacks,
        idle=idle,
        released=released,
        tails=in_use - room,
        unfilled=room - live,
        spans_in_use=spans_in_use,
        spans_stack=spans_stack,
        free_runs=free_runs,
        largest_free=largest,
        collections=stats.numgc,
        heap_sys=stats.heap_sys,
        heap_inuse=stats.heap_inuse,
        heap_idle=stats.heap_idle,
        heap_released=stats.heap_released,
        stacks_inuse=stats.stacks_inuse,
    )


def heap_figures(rt: Core) -> dict[str, int | bool]:
    """mheap_'s own; nothing where mallocinit died before there was a heap."""
    if not rt.has_heap:
        return {}
    heap = rt.heap
    return {
        "spans_start": heap.spans_start,
        "bitmap": heap.bitmap,
        "bitmap_start": heap.bitmap - heap.bitmap_mapped,
        "bitmap_mapped": heap.bitmap_mapped,
        "arena_start": heap.arena_start,
        "arena_used": heap.arena_used,
        "arena_end": heap.arena_end,
        "arena_size": heap.arena_used - heap.arena_start,
        "reserved": heap.arena_reserved,
        "spans_mapped": heap.spans_len,
        "spans_capacity": heap.spans_cap,
        "pages_in_use": heap.pages_in_use,
        "sweepgen": heap.sweepgen,
    }


def counters(rt: Core) -> dict[str, Any]:
    """mstats."""
    stats = rt.stats
    return {name: getattr(stats, name) for name in MStats.__slots__}
