"""Whether a span of an execution trace lies where first fit puts it (mheap.allocSpan).

Fewer than 16 pages come from the P's page cache: the pages that were free of the 64 around the first free,
when the last cache was empty; the lowest run that is long enough. All others, and what a cache has no run
for, come from the lowest run of free pages that no cache has. The spans show which pages are free. What a P's
cache holds is known once it has begun one during the trace; until then it may be anything in one block.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from allocator.sparse.config import Config
from archcalc.traces.execution.heap import RIGHT, Appraisal, Certainty
from archcalc.traces.execution.order import RUN_AHEAD

BLOCK = 64  # pages of a cache (pageCachePages)
FROM_CACHE = BLOCK // 4  # pages of a span that is too large for a cache
CHUNK = 512  # pages that the scavenger looks at together (pallocChunkPages)
FURTHEST = 1 << 22  # pages from the heap's first that are followed: 32 GB


def first_run(bits: int, n: int) -> int:
    """The lowest of n set bits side by side, or -1."""
    have = 1
    while have < n and bits:
        step = min(have, n - have)
        bits &= bits >> step
        have += step
    return (bits & -bits).bit_length() - 1


class Cache(NamedTuple):
    """What a P's page cache holds, as bits of the heap's pages: those for sure, and those that may be."""

    sure: int
    may: int


NOTHING = Cache(0, 0)


class PagesChanged(NamedTuple):
    """Pages that came to a span or were given back a short time ago."""

    ticks: int
    p: int
    pages: int


class FirstFit:
    """The heap's pages as spans show them, and the Ps' page caches as far as they are known.

    `base` is the heap's first address in bytes. Where the heap begins at random, pages before the first span
    were left out on purpose.
    """

    def __init__(self, base: int, config: Config) -> None:
        self.base = base
        self.shift = config.page_shift
        self.complete = config.traces_all_spans
        self.padded = config.randomized_heap_base
        self.used = 0
        self.lowest = FURTHEST  # page of the first span
        self.caches: dict[int, Cache] = {}  # of the Ps whose cache is known
        self.procs = 0  # how many Ps there are; 0 before the trace says so
        self.changes: deque[PagesChanged] = deque()

    def _page(self, addr: int) -> int:
        page = (addr - self.base) >> self.shift
        return page if 0 <= page < FURTHEST else -1

    # What spans show.

    def older(self, addr: int, npages: int) -> None:
        """A span that was there when the trace began."""
        page = self._page(addr)
        if page >= 0:
            self.lowest = min(self.lowest, page)
            self.used |= ((1 << npages) - 1) << page

    def freed(self, addr: int, npages: int, p: int, ticks: int) -> None:
        """A span's pages are free again."""
        page = self._page(addr)
        if page >= 0:
            pages = ((1 << npages) - 1) << page
            self.used &= ~pages
            self._changed(p, ticks, pages)

    def stopped(self, p: int) -> None:
        """The world stands still: the caches of Ps that idle may be flushed, not that of the P that works."""
        self.caches = {
            other: cache if other == p else Cache(0, cache.may) for other, cache in self.caches.items()
        }

    def _changed(self, p: int, ticks: int, pages: int) -> None:
        while self.changes and self.changes[0].ticks + RUN_AHEAD < ticks:
            self.changes.popleft()
        self.changes.append(PagesChanged(ticks, p, pages))

    # What can be said.

    def allocated(self, addr: int, npages: int, p: int, ticks: int) -> Appraisal:
        """A span gets pages: the verdict on where, and the pages from then on."""
        page = self._page(addr)
        if page < 0:
            return Appraisal(Certainty.OPEN, "too far from the heap's first page")
        said = self._appraise(page, npages, p, ticks)
        pages = ((1 << npages) - 1) << page
        self._take(page, npages, p, ticks)
        self.used |= pages
        self.lowest = min(self.lowest, page)
        for other, cache in self.caches.items():
            if cache.may & pages:
                self.caches[other] = Cache(cache.sure & ~pages, cache.may & ~pages)
        self._changed(p, ticks, pages)
        return said

    def _appraise(self, page: int, npages: int, p: int, ticks: int) -> Appraisal:
        """The verdict on a span at a page, before it is there."""
        own = self.caches.get(p)
        if npages < FROM_CACHE and own is not None:
            sure = first_run(own.sure, npages)
            if 0 <= sure < page or (sure > page and not own.may >> page & 1):
                if self._alone(p):
                    return Appraisal(Certainty.WRONG, f"the P's page cache has room at {self._at(sure)}")
                return Appraisal(Certainty.OPEN, f"the P's page cache seems to have room at {self._at(sure)}")
            if first_run(own.may, npages) == page:
                return RIGHT
        may, sure = self._free((page + npages + BLOCK) // BLOCK * BLOCK, p, ticks)
        if first_run(may, npages) == page:
            return RIGHT
        if npages < FROM_CACHE and (own is None or own.may or p < 0):
            return Appraisal(Certainty.OPEN, "what the P's page cache holds is not known")
        if npages < FROM_CACHE and self._begins(may, sure, page, npages):
            return RIGHT
        lower = first_run(sure, npages)
        if not 0 <= lower < page or len(self.caches) < self.procs:
            return Appraisal(Certainty.OPEN, "lower pages may be in page caches")
        if npages < FROM_CACHE:
            return Appraisal(
                Certainty.OPEN, f"at {self._at(lower)} is room, and no block is known to begin there"
            )
        if self._alone(p):
            return Appraisal(Certainty.WRONG, f"the pages at {self._at(lower)} are free")
        return Appraisal(Certainty.OPEN, f"the pages at {self._at(lower)} seem free, unless others had them")

    def _alone(self, p: int) -> bool:
        """Whether no other P can have changed anything meanwhile, and no scavenger holds pages elsewhere."""
        return p >= 0 and self.procs == 1 and self.complete

    def _at(self, page: int) -> str:
        return f"{self.base + (page << self.shift):x}"

    def _free(self, below: int, p: int, ticks: int) -> tuple[int, int]:
        """The pages below one that may be free, and those that are for sure, outside of page caches."""
        free = ~self.used & (1 << below) - 1
        sure = free >> self.lowest << self.lowest
        may = sure if self.padded else free
        for cache in self.caches.values():
            may &= ~cache.sure
            sure &= ~cache.may
        for change in self.changes:
            if change.p != p and change.ticks + RUN_AHEAD >= ticks:
                sure &= ~change.pages
        return may, sure

    def _next_block(self, may: int, sure: int) -> int:
        """The pages of the block that a new cache is of, around the first free page; 0 where that is open."""
        first, certain = first_run(may, 1), first_run(sure, 1)
        if first < 0 or certain < 0 or first // BLOCK != certain // BLOCK:
            return 0
        return ((1 << BLOCK) - 1) << first // BLOCK * BLOCK

    def _begins(self, may: int, sure: int, page: int, npages: int) -> bool:
        """Whether a new cache gives the span its pages, or has no such run and they are the next that has."""
        block = self._next_block(may, sure)
        if not block:
            return False
        inside = first_run(may & block, npages)
        return inside == page or (inside < 0 and first_run(may & ~block, npages) == page)

    def _take(self, page: int, npages: int, p: int, ticks: int) -> None:
        """What a span at a page says of its P's cache."""
        if npages >= FROM_CACHE or p < 0:
            return
        own = self.caches.get(p)
        if own is not None and own.may >> page & 1:
            above = own.may >> page << page if npages == 1 else own.may
            self.caches[p] = Cache(own.sure & above, above)
            return
        if npages > 1 and (own is None or own.may):
            return  # the cache may have had no such run, and stays
        self.caches.pop(p, None)
        end = (page // BLOCK + 1) * BLOCK
        may, sure = self._free(end, p, ticks)
        # A page alone fits into any cache that has one: the last was empty, and a new one begins here.
        block = ((1 << BLOCK) - 1) << end - BLOCK if npages == 1 else self._next_block(may, sure)
        if own is None:
            # It may have been there before the trace, with less in it: nothing below, for one.
            self.caches[p] = Cache(0, may >> page << page)
        elif block:
            self.caches[p] = Cache(sure & block, may & block)
