"""The heap as runs of pages, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from allocator.interface import FREE, IN_USE, STACK, PageRun, Totals
from allocator.sparse.mspan import DEAD, MANUAL, MSpan

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore


def spans(core: HeapCore) -> list[MSpan]:
    """Every span that holds pages, in address order."""
    return sorted(
        (s for s in core.heap.allspans if s.state != DEAD), key=lambda s: core.config.offset(s.base)
    )


def grown(core: HeapCore) -> list[tuple[int, int]]:
    """What the heap has grown to: addresses from and to, in order."""
    address = core.config.address
    return [(address(base), address(limit)) for base, limit in core.pages.in_use]


def runs(core: HeapCore) -> Iterator[PageRun]:
    """Every span and every run of free pages, in address order; user arenas' chunks among them."""
    chunks = [_span_run(core, s) for s in core.user_arenas.chunks]
    if chunks:
        yield from sorted([*page_runs(core), *chunks], key=lambda run: core.config.offset(run.base))
    else:
        yield from page_runs(core)


def page_runs(core: HeapCore) -> Iterator[PageRun]:
    """Every span and every run of free pages of the page allocator, in address order."""
    core.sync_caches()
    page = core.config.page_size
    held = [s for s in spans(core) if not s.is_user_arena_chunk]
    at = 0
    for base, limit in grown(core):
        end = base
        while at < len(held) and base <= held[at].base < limit:
            s = held[at]
            if end < s.base:
                yield free_run(core, end, s.base)
            yield _span_run(core, s)
            end = s.base + s.npages * page
            at += 1
        if end < limit:
            yield free_run(core, end, limit)


def _span_run(core: HeapCore, s: MSpan) -> PageRun:
    if s.state == MANUAL:
        return PageRun(s.base, s.npages, STACK)
    return PageRun(
        s.base,
        s.npages,
        IN_USE,
        s.sizeclass,
        s.elemsize,
        s.allocated().bit_count(),
        s.nelems,
        0,
        s.noscan,
    )


def free_run(core: HeapCore, base: int, end: int) -> PageRun:
    """Pages that no span has: of the page allocator, of a P's cache, or left out at the heap's start."""
    config = core.config
    pages = end - base >> config.page_shift
    return PageRun(base, pages, FREE, released=_scavenged(core, base, pages))


def _scavenged(core: HeapCore, base: int, npages: int) -> int:
    """How many of the pages have no memory behind them."""
    config = core.config
    off = config.offset(base)
    count = 0
    pages = core.pages
    for ci, page, n in pages.pieces(off, npages):
        last = ci + max(n // pages.chunk_pages, 1)
        for first, end, chunk in pages.chunks.parts(ci, last):
            mask = (1 << min(n, pages.chunk_pages)) - 1
            count += (chunk.scavenged >> page & mask).bit_count() * (end - first)
    for p in core.ps:
        cache = p.page_cache
        first = max(base, cache.base)
        last = min(base + (npages << config.page_shift), cache.base + (64 << config.page_shift))
        if cache.cache and first < last:
            shift = first - cache.base >> config.page_shift
            mask = (1 << (last - first >> config.page_shift)) - 1
            count += ((cache.scav & cache.cache) >> shift & mask).bit_count()
    return count


def totals(core: HeapCore) -> Totals:
    """The heap in figures, counted from its runs."""
    page = core.config.page_size
    found = list(runs(core))
    used = [run for run in found if run.state == IN_USE]
    stacks = [run for run in found if run.state == STACK]
    free = [run for run in found if run.state == FREE]
    stats = core.stats.bytes
    lost = [run.waste(page) for run in used]
    return Totals(
        live=sum(run.objects * run.elemsize for run in used),
        objects=sum(run.objects for run in used),
        in_use=sum(run.pages for run in used) * page,
        stacks=sum(run.pages for run in stacks) * page,
        idle=sum(run.pages for run in free) * page,
        released=sum(run.released for run in free) * page,
        tails=sum(one.tail for one in lost),
        unfilled=sum(one.unfilled for one in lost),
        spans_in_use=len(used),
        spans_stack=len(stacks),
        free_runs=len(free),
        largest_free=max((run.pages for run in free), default=0) * page,
        collections=core.num_gc,
        heap_sys=stats["heap_in_use"] + stats["heap_free"] + stats["heap_released"],
        heap_inuse=stats["heap_in_use"],
        heap_idle=stats["heap_free"] + stats["heap_released"],
        heap_released=stats["heap_released"],
        stacks_inuse=core.heap_stats.in_stacks,
    )
