"""Central lists of one span class: spans with room and without, swept and not yet (mcentral.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.sparse.span_set import SpanSet

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.mspan import MSpan

SPAN_BUDGET = 100  # spans tried for room before a new one is taken


class MCentral:
    """One mcentral. Of two sets each, the heap's sweepgen tells which one is swept this cycle."""

    __slots__ = ("core", "full", "npages", "partial", "span_bytes", "spanclass")

    def __init__(self, core: HeapCore, spanclass: int) -> None:
        self.core = core
        self.spanclass = spanclass
        self.npages = core.config.size_classes.class_to_allocnpages[spanclass >> 1]
        self.span_bytes = self.npages << core.config.page_shift
        self.partial = (SpanSet(core), SpanSet(core))
        self.full = (SpanSet(core), SpanSet(core))

    def partial_swept(self) -> SpanSet:
        """Swept spans with room."""
        return self.partial[self.core.heap.sweepgen >> 1 & 1]

    def partial_unswept(self) -> SpanSet:
        """Spans that had room in the last cycle."""
        return self.partial[1 - (self.core.heap.sweepgen >> 1 & 1)]

    def full_swept(self) -> SpanSet:
        """Swept spans without room."""
        return self.full[self.core.heap.sweepgen >> 1 & 1]

    def full_unswept(self) -> SpanSet:
        """Spans that had no room in the last cycle."""
        return self.full[1 - (self.core.heap.sweepgen >> 1 & 1)]

    def cache_span(self) -> MSpan | None:
        """A span with room, for an mcache; None where memory has run out (cacheSpan)."""
        core = self.core
        heap, steps = core.heap, core.steps
        if heap.sweep_pages_per_byte or steps is not None:
            core.sweeper.deduct_credit(self.span_bytes, 0)
        swept = self.partial[heap.sweepgen >> 1 & 1]
        s = swept.pop() if swept.spans or steps is not None else None
        if s is None and not (core.sweeper.drained and steps is None):
            s = self._sweep_for_room()
        if s is None:
            s = heap.alloc(self.npages, self.spanclass)
            if s is None:
                return None
            s.types = s.large_type = None  # whatever its pages held (initHeapBits)
        if s.alloc_count == s.nelems or s.free_index == s.nelems:
            raise Throw("span has no free objects")
        return s

    def _sweep_for_room(self) -> MSpan | None:
        """Sweeps up to a hundred spans of the last cycle until one has room."""
        sweeper = self.core.sweeper
        steps = self.core.steps
        if steps is not None and not steps.looks():
            return None
        budget = SPAN_BUDGET + 1
        unswept = self.partial_unswept()
        while budget:
            s = unswept.pop()
            if s is None:
                break
            if sweeper.try_acquire(s):
                sweeper.sweep(s, True)
                return s
            budget -= 1
        unswept = self.full_unswept()
        while budget:
            s = unswept.pop()
            if s is None:
                break
            if sweeper.try_acquire(s):
                sweeper.sweep(s, True)
                free = s.first_free(s.free_index)
                if free != s.nelems:
                    s.free_index = free
                    return s
                s.free_index = free
                self.full_swept().push(s)
            budget -= 1
        return None

    def uncache_span(self, s: MSpan) -> None:
        """Takes a span back from an mcache (uncacheSpan)."""
        if not s.alloc_count:
            raise Throw("uncaching span but s.allocCount == 0")
        sweepgen = self.core.heap.sweepgen
        if s.sweepgen == sweepgen + 1:
            # It was cached before this cycle's sweep began, so the cache sweeps it.
            s.sweepgen = sweepgen - 1
            self.core.sweeper.sweep(s, False)
            return
        s.sweepgen = sweepgen
        (self.partial if s.alloc_count < s.nelems else self.full)[sweepgen >> 1 & 1].push(s)
