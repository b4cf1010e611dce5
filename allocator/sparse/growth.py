"""The heap grows: whole chunks out of the current arena, or out of a new one (mheap.grow, mheap.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.sparse.core import Core

STAT = "heap_released"


class Growth:
    """The growing heap; [base, end) is what the current arena has left (mheap.curArena)."""

    __slots__ = ("base", "core", "end")

    def __init__(self, core: Core) -> None:
        self.core = core
        self.base = self.end = 0

    def grow(self, npages: int) -> int:
        """Adds at least npages of new, released heap; returns the bytes, or 0 where there are none.

        The runtime then prints a line. The pages are contiguous, but need not touch older ones.
        """
        core = self.core
        config = core.config
        mask = config.uintptr_mask
        page = config.phys_page_size
        first = self.base == 0
        chunk = config.palloc_chunk_pages
        ask = (npages + chunk - 1) // chunk * chunk * config.page_size & mask
        total = 0
        end = (self.base + ask) & mask
        next_base = (end + page - 1) & -page & mask
        if next_base > self.end or end < self.base:
            v, size = core.arenas.sys_alloc(ask)
            if not v:
                stats = core.stats.bytes
                in_use = stats["heap_free"] + stats["heap_released"] + stats["heap_in_use"]
                core.printed.append(
                    f"runtime: out of memory: cannot allocate {ask}-byte block ({in_use} in use)"
                )
                return 0
            if v == self.end:
                self.end = v + size
            else:
                left = self.end - self.base
                if left:
                    # The rest of the old arena becomes heap, since nothing else will use it.
                    self._add(self.base, left)
                    total += left
                self.base, self.end = v, v + size
                if first and config.randomized_heap_base:
                    bits = config.log_heap_arena_bytes - config.log_palloc_chunk_bytes
                    self.base |= core.arenas.lot.next(bits) << config.log_palloc_chunk_bytes
            next_base = (self.base + ask + page - 1) & -page
        v, self.base = self.base, next_base
        self._add(v, next_base - v)
        if first and config.randomized_heap_base:
            padding = core.arenas.lot.next(config.log_palloc_chunk_bytes) >> config.page_shift
            if padding:
                core.pages.mark_random_padding(v, padding)
        return total + next_base - v

    def go_on(self, npages: int) -> int:
        """As `grow` where all that it needs is at hand or granted at once; else 0, and nothing changes."""
        core = self.core
        config = core.config
        page, chunk = config.phys_page_size, config.palloc_chunk_pages
        v = self.base
        ask = (npages + chunk - 1) // chunk * chunk * config.page_size
        end = v + ask + page - 1 & -page
        size = end - v
        if not v or end > self.end or not core.pages.tables_suffice(size):
            return 0
        if not core.mem.sys_map_at_once(v, size, STAT, "heap"):
            return 0
        self.base = end
        core.pages.grow(v, size)
        core.pages.begin_top(v)
        return size

    def _add(self, v: int, size: int) -> None:
        core = self.core
        core.mem.sys_map(v, size, STAT, "heap")
        core.pages.grow(v, size)
