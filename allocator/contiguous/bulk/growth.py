"""Spans cut one after the other from the end of a heap that has nothing else free.

Which span comes where is then a sum over pages. What has to be carried out are the moments at
which a part needs the OS or persistent memory, in the allocator's own order: the heap
(a megabyte), the span records (16 KB), allspans, the sweep buffer's blocks, the arenas of
mark bits, the heap profile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from allocator.common.bulk.moments import Moments
from allocator.common.throw import Death
from allocator.contiguous.bulk.row import SpanRow, only_free_span
from allocator.contiguous.bulk.snapshot import Snapshot
from allocator.contiguous.gc import OFF
from allocator.contiguous.mspan import NIL

if TYPE_CHECKING:
    from allocator.contiguous.bulk.batch import Batch


class BulkGrowth(Moments):
    """The moments at which a batch's places take spans from the end of the heap."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.rt = rt = batch.rt
        self.dying = 0  # the moment that is being carried out
        sizes = rt.config.size_classes
        self.sizeclass = np.array([place.sizeclass for place in batch.places], np.int64)
        npages = np.array(sizes.class_to_allocnpages, np.int64)[self.sizeclass]
        nelems = npages * rt.config.page_size // np.array(sizes.class_to_size, np.int64)[self.sizeclass]
        super().__init__(batch, npages, nelems)

    def run(self, until: int) -> bool:
        """Takes every span asked for before `until`, or as many as the reservation and the collector's
        trigger allow. False: not one."""
        rt, first, room = self.rt, self.at, None
        if rt.stats.enablegc and rt.gc.gcpercent >= 0:
            room = (rt.stats.gc_trigger - rt.stats.heap_live) / rt.config.page_size
        end = self.end(until if until < self.batch.n else None, room)
        if not end:
            return False
        before = Snapshot(self.batch)
        try:
            n = SpanRow(self, first, end).play()
        except Death:
            # Up to the span that there is no memory for, and that one by itself.
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
