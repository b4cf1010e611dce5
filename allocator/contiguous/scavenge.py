"""The scavenger: free runs that were idle long enough are given back to the OS (scavenge, mheap.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.contiguous.core import Core
    from allocator.contiguous.mspan import SpanList

EVERYTHING = (1 << 64) - 1, 0  # now and limit as debug.FreeOSMemory gives them


def scavenge(rt: Core, now: int, limit: int) -> int:
    """Releases free runs unused for longer than `limit` ns at the time `now`. Returns the bytes released."""
    heap = rt.heap
    released = sum(_scavenge_list(rt, lst, now, limit) for lst in heap.free if lst.first >= 0)
    return released + _scavenge_list(rt, heap.freelarge, now, limit)


def _scavenge_list(rt: Core, lst: SpanList, now: int, limit: int) -> int:
    spans = rt.spans
    page_shift = rt.config.page_shift
    phys = rt.config.phys_page_size
    by_phys_page = phys > rt.config.page_size
    total = 0
    for s in lst:
        npages = spans.npages[s]
        if (now - spans.unused_since[s]) & 0xFFFFFFFFFFFFFFFF <= limit or spans.npreleased[s] == npages:
            continue
        start = spans.base[s]
        end = start + (npages << page_shift)
        if by_phys_page:
            # Whole physical pages inside the run only: the OS would round outward.
            start = (start + phys - 1) & -phys
            end &= -phys
            if end <= start:
                continue
        length = end - start
        released = length - (spans.npreleased[s] << page_shift)
        if by_phys_page and released == 0:
            continue
        rt.stats.heap_released += released
        total += released
        spans.npreleased[s] = length >> page_shift
        rt.sys_unused(start, length)
    return total
