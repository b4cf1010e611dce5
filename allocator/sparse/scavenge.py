"""Giving free memory back to the system, from the heap's end downwards (mgcscavenge.go).

When the background scavenger works depends on its clock, so the caller says it here; how much
is given back, and where, is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.sparse.page_alloc import Chunk

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore

UNLIMITED = (1 << 64) - 1
RETAIN_EXTRA = 1 / (10 / 100)
REDUCE_EXTRA = 5


class Scavenger:
    """scavenge and pageAlloc.scavenge. Goals are bytes of heap that may stay, or UNLIMITED."""

    __slots__ = ("core", "gc_percent_goal", "last_heap_in_use", "memory_limit_goal", "released_eager")

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self.gc_percent_goal = UNLIMITED
        self.memory_limit_goal = UNLIMITED
        self.last_heap_in_use = 0
        self.released_eager = 0

    def pace(self, heap_goal: int, last_heap_goal: int) -> None:
        """What may stay until the next cycle: a tenth more than it will need (gcPaceScavenger)."""
        core = self.core
        self.memory_limit_goal = self.goal_under(core.pacer.memory_limit)
        self.gc_percent_goal = UNLIMITED
        if not last_heap_goal:
            return
        goal = int(float(self.last_heap_in_use) * (float(heap_goal) / float(last_heap_goal))) & UNLIMITED
        goal += goal // int(RETAIN_EXTRA)
        phys = core.config.phys_page_size
        goal = goal + phys - 1 & -phys & UNLIMITED
        if core.heap_retained() - goal >= phys:
            self.gc_percent_goal = goal

    def goal_under(self, limit: int) -> int:
        """What may stay ready under a memory limit of so many bytes: less, where there is more now."""
        goal = int(float(limit) * (1 - REDUCE_EXTRA / 100.0))
        return UNLIMITED if self.core.stats.mapped_ready <= goal else goal

    def scavenge(self, nbytes: int, force: bool) -> int:
        """Gives that many bytes back, or all there are; returns how many (pageAlloc.scavenge)."""
        steps = self.core.steps
        if steps is not None:
            steps.scavenging(nbytes, force)
        released = 0
        index = self.core.pages.index
        while released < nbytes:
            found, early = index.look(force), False
            if steps is not None:
                found, early = steps.found(found, force)
            if not early:
                index.move(force, found)
            if found is None:
                break
            released += self._one(*found, nbytes - released)
            if steps is not None and not steps.goes_on():
                break
        if steps is not None:
            steps.scavenged(released)
        return released

    def scavenge_all(self) -> int:
        """All that is free (mheap.scavengeAll)."""
        return self.scavenge(self.core.config.uintptr_mask, True)

    def _one(self, ci: int, page: int, most: int) -> int:
        """One run of a chunk, from `page` downwards; a chunk without any is empty (scavengeOne)."""
        core = self.core
        config = core.config
        pages = core.pages
        steps = core.steps
        if steps is not None:
            steps.turn()
        shift = config.page_shift
        least = max(config.phys_page_size >> shift, 1)
        if pages.summary(ci)[1] >= least:
            chunk = pages.chunks[ci]
            most_pages = most + config.page_size - 1 >> shift
            first, n = candidate(
                chunk, page, least, most_pages, huge_pages(core), config.max_pages_per_phys_page
            )
            if n:
                off = (ci << config.log_palloc_chunk_bytes) + (first << shift)
                self._release(chunk, off, first, n)
                return n << shift
        pages.index.set_empty(ci)
        if steps is not None:
            steps.nothing_in(config.address(ci << config.log_palloc_chunk_bytes))
        return 0

    def _release(self, chunk: Chunk, off: int, first: int, n: int) -> None:
        """Pages are allocated while the system takes their memory, then free as they were."""
        core = self.core
        pages = core.pages
        mask = (1 << n) - 1 << first
        chunk.bits |= mask
        chunk.scavenged &= ~mask
        pages.update(off, n)
        nbytes = n << core.config.page_shift
        base = core.config.address(off)
        steps = core.steps
        if steps is not None:
            steps.taken(n, base)
        core.mem.sys_unused(base, nbytes)
        core.memory_released(base, nbytes)
        stats = core.stats.bytes
        stats["heap_released"] += nbytes
        stats["heap_free"] -= nbytes
        core.heap_stats.committed -= nbytes
        core.heap_stats.released += nbytes
        if steps is not None:
            steps.turn()
        pages.search_addr = min(pages.search_addr, off)
        chunk.bits &= ~mask
        pages.update(off, n)
        chunk.scavenged |= mask
        if steps is not None:
            steps.released(n, base)


def huge_pages(core: HeapCore) -> int:
    """Pages of a huge page, 0 where there are none that matter."""
    config = core.config
    huge = config.phys_huge_page_size
    if huge > config.max_phys_huge_page_size:
        huge = 0
    return huge >> config.page_shift if huge > max(config.page_size, config.phys_page_size) else 0


def candidate(chunk: Chunk, page: int, least: int, most: int, huge: int, largest: int) -> tuple[int, int]:
    """The highest run of pages, at or below the 64 that `page` is of, that is free and backed.

    First page and pages, (0, 0) for none (findScavengeCandidate). It is whole physical pages of
    `least` pages, and no longer than `most`, but that it does not break a huge page which is
    free as a whole.
    """
    if least & least - 1 or not least:
        raise Throw("min must be a non-zero power of 2", f"runtime: min = {least}")
    if least > largest:
        raise Throw("min too large", f"runtime: min = {least}")
    most = least if not most else most + least - 1 & -least
    end = (page | 63) + 1
    taken = fill_aligned((chunk.scavenged | chunk.bits) & (1 << end) - 1, least, end)
    free = ~taken & (1 << end) - 1
    if not free:
        return 0, 0
    last = free.bit_length()
    below = taken & (1 << last) - 1
    run = last - below.bit_length()
    size = min(run, most)
    start = last - size
    if huge:
        above = start + huge - 1 & -huge
        lower = start & -huge
        if above <= last and lower >= last - run:
            size += start - lower
            start = lower
    return start, size


def fill_aligned(x: int, m: int, pages: int) -> int:
    """x with every aligned group of m bits set whole that has any bit set (fillAligned)."""
    if m == 1:
        return x
    step = 1
    while step < m:
        x |= x >> step
        step *= 2
    # The lowest bit of each group tells of all of it now, and of nothing else.
    lows = ((1 << pages) - 1) // ((1 << m) - 1)
    return (x & lows) * ((1 << m) - 1)
