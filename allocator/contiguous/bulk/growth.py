"""Spans cut one after the other from the end of a heap that has nothing else free.

Which span comes where is then a sum over pages. What has to be gone through are the moments at
which somebody needs the OS or persistent memory, in the allocator's own order: the heap
(a megabyte), the span records (16 KB), allspans, the sweep buffer's blocks, the arenas of
mark bits, the heap profile.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.throw import Death
from allocator.contiguous.bulk.row import SpanRow, only_free_span
from allocator.contiguous.bulk.settlement import as_array
from allocator.contiguous.bulk.snapshot import Snapshot
from allocator.contiguous.gc import OFF
from allocator.contiguous.mspan import NIL

if TYPE_CHECKING:
    from allocator.contiguous.bulk.batch import Batch

Ints = np.ndarray[Any, np.dtype[Any]]

WORTH_IT = 48  # spans to come, for the preparations to pay


class BulkGrowth:
    """The moments at which the batch's places take spans, should all of them be fresh ones.

    `at` counts the moments that are past. Once it is no longer known what a place will need,
    because a span that it took was not fresh, `spoiled` tells so.
    """

    def __init__(self, batch: Batch) -> None:
        rt = batch.rt
        self.batch = batch
        self.rt = rt
        self.at = 0
        self.dying = 0  # the moment that is being played
        self.spoiled = False
        sizes = rt.config.size_classes
        page_size = rt.config.page_size
        sizeclass = np.array([place.sizeclass for place in batch.places], np.int64)
        npages = np.array(sizes.class_to_allocnpages, np.int64)[sizeclass]
        nelems = npages * page_size // np.array(sizes.class_to_size, np.int64)[sizeclass]
        self.of_place = sizeclass, npages, nelems
        wanted = zip(batch.places, nelems.tolist(), strict=True)
        self.times, self.which = batch.layout.moments([(p.code, p.supplied, each) for p, each in wanted])
        # Pages and bytes of mark and allocation bits that all spans before a moment take.
        self.pages = _sums(npages, self.which)
        self.bits = _sums((nelems + 63) // 64 * 16, self.which)

    @property
    def last(self) -> int:
        """The last moment that is past."""
        return int(self.times[self.at - 1])

    def took(self, i: int, fresh: bool) -> None:
        """A place took a span by itself."""
        if fresh and self.at < len(self.which) and int(self.which[self.at]) == i:
            self.at += 1
        else:
            self.spoiled = True

    def run(self, until: int) -> bool:
        """Takes every span asked for before `until`, or as many as the reservation and the collector's
        trigger allow. False: not one."""
        rt = self.rt
        first = self.at
        end = int(np.searchsorted(self.times, until)) if until < self.batch.n else len(self.times)
        if rt.stats.enablegc and rt.gc.gcpercent >= 0:
            # The span that reaches the trigger is the last one.
            room = (rt.stats.gc_trigger - rt.stats.heap_live) / rt.config.page_size
            end = min(end, bisect_left(self.pages, self.pages[first] + room))
        if end - first < WORTH_IT:
            return False
        before = Snapshot(self.batch)
        try:
            n = SpanRow(self, first, end).play()
        except Death:
            # Up to the span that cannot be had once more, and that one by itself.
            before.restore()
            n = SpanRow(self, first, self.dying).play() if self.dying > first else 0
        self.at += n
        return n > 0


def only_grows(batch: Batch) -> bool:
    """Whether every span to come will be cut from the end of the heap."""
    rt = batch.rt
    heap, spans = rt.heap, rt.spans
    if not heap.sweepdone or rt.sweeper.pages_per_byte or rt.gc.phase != OFF or rt.log is not None:
        return False
    if rt.system.plan is not None or rt.config.heap_alloc_chunk < 64 * rt.config.page_size:
        return False
    if heap.arena_end - heap.arena_used < rt.config.heap_alloc_chunk:
        return False
    tail = only_free_span(rt)
    if tail is None:
        return False
    if tail != NIL:
        end = spans.base[tail] + (spans.npages[tail] << rt.config.page_shift)
        if end != heap.arena_used or spans.npreleased[tail]:
            return False
    waiting = {place.sizeclass for place in batch.places if place.supplied < place.total}
    return all(rt.central[c].nonempty.first == NIL for c in waiting)


def _sums(each: Ints, which: Ints) -> array[int]:
    """What all before a moment take, from no moment at all to all of them."""
    sums = np.zeros(len(which) + 1, np.int64)
    np.cumsum(each[which], out=sums[1:])
    return as_array(sums)
