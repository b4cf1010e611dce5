"""One batch of a call: the order of events, and the state afterwards."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.base_batch import BaseBatch
from allocator.common.bulk.engine import lay_out
from allocator.sparse.bulk.fresh_moments import FreshMoments, only_fresh
from allocator.sparse.bulk.object_types import types_of, write_types
from allocator.sparse.bulk.places import SpanPlace
from allocator.sparse.bulk.row import SpanRow

if TYPE_CHECKING:
    from allocator.common.bulk.arguments import Kinds
    from allocator.common.bulk.codes import Coder
    from allocator.common.bulk.compiled import CompiledLayout
    from allocator.common.types import Type
    from allocator.sparse.heap import Heap

Ints = np.ndarray[Any, np.dtype[Any]]

PATIENCE = 64  # spans to take by themselves before checking again whether all will be fresh


class Batch(BaseBatch):
    """A batch of this machine, all of whose objects one P allocates.

    `refilled` and `tiny_refilled` are the times of the last span fetched, and of the last one for tiny
    objects: the cache's counters are emptied then.
    """

    places: list[SpanPlace]

    def __init__(
        self,
        rt: Heap,
        sizes: Ints,
        coder: Coder,
        kinds: Kinds,
        p: int,
        needzero: bool,
        out: Ints,
        ready: CompiledLayout | None = None,
    ) -> None:
        self.rt = self.machine = rt
        self.owner = None
        self.sizes = sizes
        self.coder = coder
        self.kinds = kinds
        self.p = p
        self.needzero = needzero
        self.out = out
        self.cache = cache = rt.ps[p].mcache
        self.large: list[tuple[int, int]] = []  # time and address
        self.refilled = self.tiny_refilled = 0
        self.rows: list[SpanRow] = []
        self.layout, self.numbers = lay_out(coder, sizes, kinds.index, None, [cache], ready)
        self.n = self.stop = self.layout.n
        if not self.n:
            return
        some_large = coder.most > rt.config.max_small_size - rt.config.malloc_header_size
        self.large_times = self.layout.large()[::-1] if some_large else []
        totals = self.layout.totals
        self.places = [
            SpanPlace(rt, cached, spanclass, totals[spanclass])
            for spanclass, cached in enumerate(cache.alloc)
            if spanclass > 1 and totals[spanclass]
        ]

    # The moments at which spans are taken.

    def play(self) -> bool:
        pacer, large = self.rt.pacer, self.large_times
        for place in self.places:
            place.cached.sync()
            if place.cached.span is not None:
                place.supply_span(place.cached.span)
        fresh: FreshMoments | None = None
        waiting = self.waiting()
        patience = 0
        while True:
            t, i = waiting[0] if waiting else (self.n, -1)
            if large and large[-1] < t:
                t = large.pop()
                self._allocate_large(t)
            elif t == self.n:
                return False
            else:
                patience -= 1
                if patience <= 0:
                    patience = PATIENCE
                    if only_fresh(self):
                        if fresh is None or fresh.spoiled:
                            fresh = FreshMoments(self)
                        end = fresh.reachable(large[-1] if large else self.n)
                        if end:
                            row = SpanRow(self, fresh)
                            self.rows.append(row)
                            row.play(end)
                            patience = 0
                            if pacer.should_start():
                                return self._stop_after(fresh.last)
                            waiting = self.waiting()
                            continue
                is_fresh = self._refill(t, i)
                heapq.heappop(waiting)
                self.wait(waiting, i)
                if fresh is not None:
                    fresh.took(i, is_fresh)
            if pacer.should_start():
                return self._stop_after(t)

    def _stop_after(self, t: int) -> bool:
        self.stop = t + 1
        return True

    def _refill(self, t: int, i: int) -> bool:
        """The place takes the next span. Returns whether it is a fresh one."""
        place = self.places[i]
        place.spend()
        self.fetch(t, place)
        s = place.cached.span
        assert s is not None
        return place.supply_span(s) == s.nelems

    def fetch(self, t: int, place: SpanPlace) -> None:
        """The cache gets the place another span for the object of that time."""
        rt, cache = self.rt, self.cache
        rt.run_on(self.p)
        # One too many tells afterwards whether the counters were emptied.
        cache.scan_alloc += 1
        cache.tiny_allocs += 1
        try:
            cache.refill(place.spanclass)
        except BaseException:
            self.stop = t
            raise
        finally:
            if cache.scan_alloc:
                cache.scan_alloc -= 1
            else:
                rt.pacer.heap_scan -= 1
                self.refilled = t
            if cache.tiny_allocs:
                cache.tiny_allocs -= 1
            else:
                rt.heap_stats.tiny_allocs -= 1
                self.tiny_refilled = t

    def _allocate_large(self, t: int) -> None:
        rt = self.rt
        # The collection that it may start has to wait for those before it.
        enabled, rt.gc_enabled = rt.gc_enabled, False
        try:
            size = int(self.sizes[t])
            self.large.append((t, allocate_one(rt, size, self.kinds.of(t), self.needzero, self.p)))
        except BaseException:
            self.stop = t
            raise
        finally:
            rt.gc_enabled = enabled

    # Afterwards: addresses, types, and the state of all parts.

    def settle(self) -> None:
        rt, cache, layout, stop = self.rt, self.cache, self.layout, self.stop
        rt.pacer.heap_scan += self.scan(0, 0, self.refilled)
        cache.scan_alloc += self.scan(0, self.refilled, stop)
        rt.heap_stats.tiny_allocs += layout.fitted(0, self.tiny_refilled, 0)
        cache.tiny_allocs += layout.fitted(self.tiny_refilled, stop, 0)
        if stop < self.n:
            layout.cut(stop)
            for place in self.places:
                place.total = layout.totals[place.code]
        numbers = self.numbers if isinstance(self.numbers, int) else self.numbers[:stop]
        self.places = [place for place in self.places if place.total]
        by_class = {}
        for place in self.places:
            place.resolve()
            place.stand()
            types = types_of(layout, self.coder.plans, numbers, place)
            if types is not None:
                write_types(place, types)
                by_class[place.spanclass] = types
        for row in self.rows:
            row.take_types(by_class)
        self.rows.clear()  # which know this batch
        self._stand_tiny()

    def _stand_tiny(self) -> None:
        """The tiny block that is open after the last object."""
        cache, layout = self.cache, self.layout
        self.tiny_blocks = [cache.tiny]
        opener = layout.opener(0)
        if opener is not None:
            code, rank = layout.rank(opener)
            cache.tiny = next(place for place in self.places if place.code == code).address(rank)
        offset = layout.open_offset(0, self.sizes)
        if offset is not None:
            cache.tiny_offset = offset

    def write(self) -> None:
        """Writes the addresses of the objects that were allocated."""
        self.layout.write(self.out[: self.stop], self.places, self.rt.zerobase, self.tiny_blocks)
        for t, address in self.large:
            self.out[t] = address


def allocate_one(rt: Heap, size: int, typ: Type | None, needzero: bool, p: int) -> int:
    """An object of a type as `kinds_of` has them."""
    if typ is rt.pointer_type:
        return rt.malloc(size, None, False, needzero, p)
    return rt.malloc(size, typ, None, needzero, p)
