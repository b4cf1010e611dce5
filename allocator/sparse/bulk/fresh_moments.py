"""The moments at which places take spans, where all of those are fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from allocator.common.bulk.moments import Moments
from allocator.sparse.gc import OFF
from allocator.sparse.pacer import NO_LIMIT

if TYPE_CHECKING:
    from allocator.sparse.bulk.batch import Batch


class FreshMoments(Moments):
    """Those of a batch on this machine."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.rt = rt = batch.rt
        layouts = [rt.layout[place.spanclass] for place in batch.places]
        npages = np.array([layout.npages for layout in layouts], np.int64)
        super().__init__(batch, npages, np.array([layout.nelems for layout in layouts], np.int64))

    def reachable(self, until: int) -> int:
        """The moment after those before `until`, as far as the collector's trigger allows. 0: too few."""
        rt, room = self.rt, None
        if rt.gc_enabled and rt.pacer.gc_percent >= 0:
            room = (rt.pacer.trigger()[0] - rt.pacer.heap_live) / rt.config.page_size
        return self.end(until if until < self.batch.n else None, room)


def only_fresh(batch: Batch) -> bool:
    """Whether every span to come will be a fresh one that only needs to be taken."""
    rt = batch.rt
    if not rt.sweeper.done or rt.heap.sweep_pages_per_byte or rt.gc.phase != OFF or rt.steps is not None:
        return False
    if rt.pacer.memory_limit != NO_LIMIT or not rt.mem.os.used_is_nothing:
        return False
    waiting = (place.spanclass for place in batch.places if place.supplied < place.total)
    return not any(len(rt.central[spanclass].partial_swept()) for spanclass in waiting)
