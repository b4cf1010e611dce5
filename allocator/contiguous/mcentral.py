"""mcentral: the spans of one size class that no mcache holds, with free objects or without (mcentral.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.contiguous.mspan import NIL, SpanList

if TYPE_CHECKING:
    from allocator.contiguous.core import Core


class MCentral:
    """The central lists of one class. Swept spans are at the end of `empty`."""

    __slots__ = ("empty", "nonempty", "npages", "object_bytes", "rt", "size", "sizeclass", "span_bytes")

    def __init__(self, rt: Core, sizeclass: int) -> None:
        self.rt = rt
        self.sizeclass = sizeclass
        self.size = rt.class_to_size[sizeclass]
        self.npages = rt.config.size_classes.class_to_allocnpages[sizeclass]
        self.span_bytes = self.npages << rt.config.page_shift
        self.object_bytes = self.size and self.span_bytes // self.size * self.size
        self.nonempty = SpanList(rt.spans, f"nonempty[{sizeclass}]")
        self.empty = SpanList(rt.spans, f"empty[{sizeclass}]")

    def cache_span(self) -> int:
        """A span with free objects for an mcache, NIL when there is no memory (cacheSpan)."""
        rt = self.rt
        spans = rt.spans
        span_bytes, empty = self.span_bytes, self.empty
        if rt.sweeper.pages_per_byte:
            rt.sweeper.deduct_credit(span_bytes, 0)
        first = empty.first
        if self.nonempty.first < 0 and (first < 0 or spans.sweepgen[first] == rt.heap.sweepgen):
            s = NIL
        else:
            s = self._swept_with_space()
        used = 0
        if s < 0:
            # A new span, chopped into objects (grow).
            s = rt.heap.alloc(self.npages, self.sizeclass, False)
            if s < 0:
                return NIL
            spans.limit[s] = spans.base[s] + self.object_bytes
            rt.init_span(s)
            empty.insert_back(s)
        else:
            count = spans.alloc_count[s]
            if spans.nelems[s] == count or spans.free_index[s] == spans.nelems[s]:
                raise Throw("span has no free objects")
            used = count * spans.elemsize[s]
            if used:
                rt.sweeper.reimburse_credit(used)
        rt.stats.heap_live += span_bytes - used
        if rt.gc.blacken:
            rt.gc.revise_if_marking()
        spans.in_cache[s] = True
        return s

    def _swept_with_space(self) -> int:
        """A span of the lists, swept now if it was not; moved to the end of `empty`."""
        rt = self.rt
        spans = rt.spans
        generation = spans.sweepgen
        sg = rt.heap.sweepgen
        nonempty, empty = self.nonempty, self.empty
        while True:
            s = nonempty.first
            while s >= 0:
                if generation[s] == sg - 2:
                    generation[s] = sg - 1
                    nonempty.remove(s)
                    empty.insert_back(s)
                    rt.sweeper.sweep(s, True)
                    return s
                if generation[s] == sg - 1:
                    s = spans.next[s]
                    continue
                nonempty.remove(s)
                empty.insert_back(s)
                return s
            s = empty.first
            while s >= 0 and generation[s] == sg - 1:
                s = spans.next[s]
            if s < 0 or generation[s] != sg - 2:
                return NIL
            generation[s] = sg - 1
            empty.remove(s)
            empty.insert_back(s)
            rt.sweeper.sweep(s, True)
            index = spans.first_free(s)
            if index != spans.nelems[s]:
                spans.free_index[s] = index
                return s
            # Full even so; the lists may have changed meanwhile.
            spans.free_index[s] = index

    def uncache_span(self, s: int) -> None:
        """Takes a span back from an mcache (uncacheSpan)."""
        rt = self.rt
        spans = rt.spans
        spans.in_cache[s] = False
        if not spans.alloc_count[s]:
            raise Throw("uncaching span but s.allocCount == 0")
        free = spans.nelems[s] - spans.alloc_count[s]
        if free > 0:
            self.empty.remove(s)
            self.nonempty.insert(s)
            # Its free objects were counted as live when it was cached.
            rt.stats.heap_live -= free * spans.elemsize[s]

    def free_span(self, s: int, preserve: bool, was_empty: bool) -> bool:
        """Files a span that was just swept, back to the heap if nothing in it lives (freeSpan).

        preserve: the caller is about to cache it, so it stays on its list. True when it went back.
        """
        rt = self.rt
        spans = rt.spans
        if spans.in_cache[s]:
            raise Throw("freeSpan given cached span")
        spans.needzero[s] = 1
        if preserve:
            if spans.on_list[s] is None:
                raise Throw("can't preserve unlinked span")
            spans.sweepgen[s] = rt.heap.sweepgen
            return False
        if was_empty:
            self.empty.remove(s)
        spans.sweepgen[s] = rt.heap.sweepgen
        if spans.alloc_count[s]:
            if was_empty:
                self.nonempty.insert(s)
            return False
        if not was_empty:
            self.nonempty.remove(s)
        rt.heap.free_span(s, 0)
        return True
