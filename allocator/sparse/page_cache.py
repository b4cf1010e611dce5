"""A P's own pages: 64 side by side, of which those that were free are its own (mpagecache.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.sparse.pallocbits import NONE, find_run, trailing_zeros

if TYPE_CHECKING:
    from allocator.sparse.page_alloc import PageAlloc

GROUP = 64
ALL = (1 << GROUP) - 1


class PageCache:
    """pageCache. `base` is the address of the first page; in `cache` a set bit is a page that is
    free and the cache's, in `scav` one whose memory the system has."""

    __slots__ = ("base", "cache", "scav")

    def __init__(self) -> None:
        self.base = 0
        self.cache = 0
        self.scav = 0

    def alloc(self, npages: int, page_size: int) -> tuple[int, int]:
        """The first run of so many pages, and the bytes of it that were scavenged; (0, 0) for none."""
        cache = self.cache
        if npages == 1:
            if not cache:
                return 0, 0
            bit = cache & -cache
            i = bit.bit_length() - 1
            self.cache = cache ^ bit
            if self.scav & bit:
                self.scav ^= bit
                return self.base + i * page_size, page_size
            return self.base + i * page_size, 0
        if cache.bit_count() < npages:
            return 0, 0
        i = self.find(npages)
        if i == NONE:
            return 0, 0
        mask = (1 << npages) - 1 << i
        scav = (self.scav & mask).bit_count()
        self.cache = cache & ~mask
        self.scav &= ~mask
        return self.base + i * page_size, scav * page_size

    def find(self, npages: int) -> int:
        """Which of the 64 is the first of so many pages in a row; NONE if there are not so many."""
        return find_run(self.cache, npages)

    def fill(self, pages: PageAlloc) -> None:
        """The first free page with the 63 around it, taken from the page allocator (allocToCache).

        Stays empty where nothing is free.
        """
        config = pages.config
        shift, chunk_shift = config.page_shift, config.log_palloc_chunk_bytes
        self.base = self.cache = self.scav = 0
        taken = pages.take_top(1)
        if taken is not None:
            off, n = taken
            if n:
                self._open(pages, off)
            return
        ci = pages.search_addr >> chunk_shift
        if ci >= pages.end:
            return
        known = pages.known_most(ci)
        if known or (known is None and pages.chunks[ci].bits != pages.all_pages):
            at = pages.search_addr >> shift & pages.chunk_mask
            page, _ = pages.find_in_chunk(pages.chunks[ci], 1, at)
            if page == NONE:
                raise Throw("bad summary data")
        else:
            addr, _ = pages.find(1)
            if addr == NONE:
                pages.search_addr = pages.max_search_addr
                return
            ci = addr >> chunk_shift
            page = addr >> shift & pages.chunk_mask
        chunk = pages.chunks[ci]
        first = page & -64
        off = (ci << chunk_shift) + (first << shift)
        self.base = config.address(off)
        self.cache = cache = ~(chunk.bits >> first) & ALL
        # The copy keeps the bits of pages that are not the cache's; the chunk loses those that are.
        self.scav = scav = chunk.scavenged >> first & ALL
        chunk.bits |= cache << first
        chunk.scavenged &= ~((cache & scav) << first)
        pages.update(off, GROUP)
        pages.index.alloc(ci, cache.bit_count())
        pages.search_addr = off + (63 << shift)

    def _open(self, pages: PageAlloc, off: int) -> None:
        """Has the pages of a group from the offset address on, none of which has memory."""
        place = off >> pages.page_shift & GROUP - 1
        self.base = pages.config.address(off - (place << pages.page_shift))
        self.cache = self.scav = ALL >> place << place

    def pass_top(self, pages: PageAlloc, most: int) -> tuple[int, int] | None:
        """Empties the cache, and fills it with the heap's top, for so many single pages, at most.

        The address of the first, and how many. None: something else may be free or come before the top.
        """
        begun = -1
        if self.cache:
            place = trailing_zeros(self.cache)
            if self.cache != ALL >> place << place or self.scav != self.cache:
                return None
            begun = pages.config.offset(self.base) + (place << pages.page_shift)
        taken = pages.take_top(most, begun)
        if taken is None:
            return None
        first, n = taken
        if not n:
            self.base = self.cache = self.scav = 0
            return 0, 0
        last = first + (n - 1 << pages.page_shift)
        self._open(pages, last)
        self.cache &= self.cache - 1
        self.scav = self.cache
        return pages.config.address(first), n

    def whole_groups(self, pages: PageAlloc, most: int) -> int:
        """How many of the next fills, `most` at most, would take 64 free pages each."""
        ci = pages.search_addr >> pages.chunk_shift
        if ci >= pages.end:
            return 0
        free = pages.chunks[ci].bits ^ pages.all_pages
        first = trailing_zeros(free) if free else 0
        at = pages.search_addr >> pages.page_shift & pages.chunk_mask & -GROUP
        if not free or first % GROUP or first < at:
            return 0
        return min(trailing_zeros(~(free >> first)) // GROUP, most)

    def pass_groups(self, pages: PageAlloc, n: int) -> tuple[int, int]:
        """Fills and empties the cache n times, which must be with whole groups (see `whole_groups`).

        The address of the pages, and bits of those whose memory the system has.
        """
        config = pages.config
        ci = pages.search_addr >> pages.chunk_shift
        chunk = pages.chunks[ci]
        first = trailing_zeros(~chunk.bits)
        mask = (1 << n * GROUP) - 1
        scavenged = chunk.scavenged >> first & mask
        chunk.bits |= mask << first
        chunk.scavenged &= ~(mask << first)
        pages.index.alloc(ci, n * GROUP)
        off = (ci << pages.chunk_shift) + (first << pages.page_shift)
        pages.update(off, n * GROUP)
        last = off + (n * GROUP - 1 << pages.page_shift)
        pages.search_addr = last
        self.base = config.address(last - (GROUP - 1 << pages.page_shift))
        self.cache = self.scav = 0
        return config.address(off), scavenged

    def flush(self, pages: PageAlloc) -> None:
        """Gives all back to the page allocator (flush)."""
        if not self.cache:
            return
        config = pages.config
        shift = config.page_shift
        off = config.offset(self.base)
        ci = off >> config.log_palloc_chunk_bytes
        first = off >> shift & pages.chunk_mask
        chunk = pages.chunks[ci]
        for i in range(64):
            if self.cache >> i & 1:
                chunk.bits &= ~(1 << first + i)
                pages.index.free(ci, first + i, 1)
        chunk.scavenged |= self.scav << first
        pages.search_addr = min(pages.search_addr, off)
        pages.update(off, GROUP)
        self.base = self.cache = self.scav = 0
