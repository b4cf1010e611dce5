"""The moments at which places take spans, where all of those are fresh."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.sparse.gc import OFF
from allocator.sparse.pacer import NO_LIMIT

if TYPE_CHECKING:
    from allocator.sparse.bulk.batch import Batch

Ints = np.ndarray[Any, np.dtype[Any]]

WORTH_IT = 48  # spans to come, for the preparations to pay


class Moments:
    """Of each moment, its time and the place that runs out then; `pages` and `bits` are what all spans
    before a moment take, pages and bytes of mark and allocation bits.

    `at` counts the moments that are past. Once it is no longer known what a place will need, because a span
    that it took was not fresh, `spoiled` tells so.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.rt = rt = batch.rt
        self.at = 0
        self.spoiled = False
        layouts = [rt.layout[place.spanclass] for place in batch.places]
        self.npages = np.array([layout.npages for layout in layouts], np.int64)
        self.nelems = np.array([layout.nelems for layout in layouts], np.int64)
        wanted = zip(batch.places, self.nelems.tolist(), strict=True)
        self.times, self.which = batch.layout.moments([(p.code, p.supplied, each) for p, each in wanted])
        self.pages = _sums(self.npages, self.which)
        self.bits = _sums((self.nelems + 63) // 64 * 16, self.which)

    @property
    def last(self) -> int:
        """The time of the last moment that is past."""
        return int(self.times[self.at - 1])

    def took(self, i: int, fresh: bool) -> None:
        """A place took a span by itself."""
        if fresh and self.at < len(self.which) and int(self.which[self.at]) == i:
            self.at += 1
        else:
            self.spoiled = True

    def end(self, until: int) -> int:
        """The moment behind those before `until`, as far as the collector's trigger allows. 0: too few."""
        rt, first = self.rt, self.at
        end = int(np.searchsorted(self.times, until)) if until < self.batch.n else len(self.times)
        if rt.gc_enabled and rt.pacer.gc_percent >= 0:
            # The span that reaches the trigger is the last one.
            room = (rt.pacer.trigger()[0] - rt.pacer.heap_live) / rt.config.page_size
            end = min(end, bisect_left(self.pages, self.pages[first] + room))
        return end if end - first >= WORTH_IT else 0


def only_fresh(batch: Batch) -> bool:
    """Whether every span to come will be a fresh one, and nothing is to be done for it but to take it."""
    rt = batch.rt
    if not rt.sweeper.done or rt.heap.sweep_pages_per_byte or rt.gc.phase != OFF or rt.steps is not None:
        return False
    if rt.pacer.memory_limit != NO_LIMIT or not rt.mem.os.used_is_nothing:
        return False
    waiting = (place.spanclass for place in batch.places if place.supplied < place.total)
    return not any(len(rt.central[spanclass].partial_swept()) for spanclass in waiting)


def _sums(each: Ints, which: Ints) -> array[int]:
    """What all before a moment take, from no moment at all to all of them."""
    sums = np.zeros(len(which) + 1, np.int64)
    np.cumsum(each[which], out=sums[1:])
    found = array("q")
    found.frombytes(sums.data.cast("B"))
    return found
