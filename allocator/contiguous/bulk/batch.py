"""One batch of a call: the order of events, and the state afterwards."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.base_batch import BaseBatch
from allocator.common.bulk.engine import lay_out
from allocator.contiguous.bulk.bitmaps import Bitmaps
from allocator.contiguous.bulk.growth import BulkGrowth, only_grows
from allocator.contiguous.bulk.places import BulkPlace
from allocator.contiguous.bulk.profile import SampleProfile
from allocator.contiguous.bulk.settlement import spent
from allocator.contiguous.mspan import NIL

if TYPE_CHECKING:
    from allocator.common.bulk.arguments import Kinds
    from allocator.common.bulk.codes import Coder
    from allocator.common.bulk.compiled import CompiledLayout
    from allocator.contiguous.runtime import Runtime

Ints = np.ndarray[Any, np.dtype[Any]]

PATIENCE = 64  # spans to take by themselves before checking again whether the heap only grows


class Batch(BaseBatch):
    """A batch of this machine. `last` is the object asked for last, on which the runtime may have died."""

    places: list[BulkPlace]

    def __init__(
        self,
        rt: Runtime,
        sizes: Ints,
        coder: Coder,
        kinds: Kinds,
        procs: Ints | int,
        needzero: bool,
        out: Ints,
        ready: CompiledLayout | None = None,
    ) -> None:
        self.rt = self.machine = rt
        self.sizes = sizes
        self.coder = coder
        self.kinds = kinds
        self.needzero = needzero
        self.out = out
        self.owner = None if isinstance(procs, int) else procs
        self.alone = procs if isinstance(procs, int) else 0  # the P, where there is only one
        self.caches = [rt.caches[procs]] if isinstance(procs, int) else list(rt.caches)
        self.large: list[tuple[int, int]] = []  # time and address
        self.flushed = [0] * len(self.caches)
        self.layout, self.numbers = lay_out(coder, sizes, kinds.index, self.owner, self.caches, ready)
        self.n = self.stop = self.layout.n
        self.last = self.n - 1
        if not self.n:
            return
        if self.owner is not None:
            self.owner = self.owner[: self.n]
        some_large = coder.most > rt.config.max_small_size
        self.large_times = self.layout.large()[::-1] if some_large else []
        totals = self.layout.totals
        self.places = [
            BulkPlace(rt, cache, sizeclass, 256 * number + sizeclass, totals[256 * number + sizeclass])
            for number, cache in enumerate(self.caches)
            for sizeclass in range(1, len(rt.class_to_size))
            if totals[256 * number + sizeclass]
        ]
        self.profile = SampleProfile(self) if rt.mem_profile_rate > 0 else None

    def number(self, t: int) -> int:
        """The place among `caches` of the P that allocates at that time."""
        return 0 if self.owner is None else int(self.owner[t])

    def place_of(self, code: int) -> BulkPlace:
        """The place whose objects have that code."""
        return next(place for place in self.places if place.code == code)

    # The moments at which spans are taken.

    def play(self) -> bool:
        rt = self.rt
        rt.sync_caches()
        gc, profile, large = rt.gc, self.profile, self.large_times
        for place in self.places:
            s = place.cached.span
            if s != NIL:
                place.supply_span(s)
        growth: BulkGrowth | None = None
        moments = self.waiting()
        wait = 0
        while True:
            t, i = moments[0] if moments else (self.n, -1)
            sample = profile.next() if profile is not None else self.n
            if large and large[-1] < t and large[-1] <= sample:
                t = large.pop()
                self._allocate_large(t)
            elif sample < t:
                self._sample(sample)
                continue
            elif t == self.n:
                return False
            else:
                wait -= 1
                if wait <= 0:
                    wait = PATIENCE
                    if only_grows(self):
                        if growth is None or growth.spoiled:
                            growth = BulkGrowth(self)
                        if growth.run(large[-1] if large else self.n):
                            wait = 0
                            if gc.should_start():
                                return self._collect_after(growth.last)
                            moments = self.waiting()
                            continue
                fresh = self._refill(t, i)
                heapq.heappop(moments)
                self.wait(moments, i)
                if growth is not None:
                    growth.took(i, fresh)
            if gc.should_start():
                return self._collect_after(t)

    def _collect_after(self, t: int) -> bool:
        if self.profile is not None and self.profile.next() == t:
            self._sample(t)
        self.stop, self.last = t + 1, t
        return True

    def _refill(self, t: int, i: int) -> bool:
        """The place takes a span. Returns whether it is a fresh one."""
        rt = self.rt
        place = self.places[i]
        cache = rt.cache = place.cache
        spent(rt, place.cached)
        # One too many tells afterwards whether the counters were flushed, as on a visit to the page heap.
        cache.local_tinyallocs += 1
        try:
            cache.refill(place.sizeclass)
        except BaseException:
            self.stop = self.last = t
            raise
        finally:
            if cache.local_tinyallocs:
                cache.local_tinyallocs -= 1
            else:
                rt.stats.tinyallocs -= 1
                self.flush(place.code >> 8, t)
                rt.flush_local_scan(cache)
        s = place.cached.span
        return place.supply_span(s) == rt.spans.nelems[s]

    def _allocate_large(self, t: int) -> None:
        rt = self.rt
        number = self.number(t)
        self.flush(number, t)
        if self.profile is not None:
            self.profile.count(number, t)
        typ = self.kinds.of(t)
        size = int(self.sizes[t])
        data = size - size % rt.config.ptr_size if typ is rt.pointer_type else None
        # The collection that it may start has to wait for those before it.
        enabled, rt.stats.enablegc = rt.stats.enablegc, False
        try:
            self.large.append((t, rt.mallocgc(size, typ, self.needzero, self.alone + number, data)))
        except BaseException:
            self.stop = self.last = t
            raise
        finally:
            rt.stats.enablegc = enabled
        if self.profile is not None:
            self.profile.passed(t)

    def _sample(self, t: int) -> None:
        assert self.profile is not None
        try:
            self.profile.take(t)
        except BaseException:
            self.stop, self.last = t + 1, t
            raise

    def flush(self, number: int, t: int) -> None:
        """Counts into a P's own counters what it allocated before that time."""
        since = self.flushed[number]
        if t > since:
            self.flushed[number] = t
            cache = self.caches[number]
            cache.local_scan += self.scan(number, since, t)
            cache.local_tinyallocs += self.layout.fitted(since, t, number)

    # Afterwards: addresses, bitmaps, and the state of all parts.

    def settle(self) -> None:
        rt = self.rt
        stop = self.stop
        layout = self.layout
        for number in range(len(self.caches)):
            self.flush(number, stop)
            if self.profile is not None:
                self.profile.count(number, stop)
        if stop < self.n:
            layout.cut(stop)
            for place in self.places:
                place.total = layout.totals[place.code]
        self.places = places = [place for place in self.places if place.total]
        for place in places:
            place.resolve()
        self.tiny_blocks = [cache.tiny for cache in self.caches]
        bitmaps = Bitmaps(rt, layout, self.coder.plans, self.numbers)
        for place in places:
            self._stand(place)
            bitmaps.write(place)
        for number, cache in enumerate(self.caches):
            opener = layout.opener(number)
            if opener is not None:
                code, rank = layout.rank(opener)
                cache.tiny = self.place_of(code).address(rank)
            offset = layout.open_offset(number, self.sizes)
            if offset is not None:
                cache.tiny_offset = offset
        if self.profile is not None:
            self.profile.attach()
            self.profile = None  # it knows this batch
        rt.cache = self.caches[self.number(self.last)]

    def write(self) -> None:
        """Writes the addresses of the objects that were allocated."""
        self.layout.write(self.out[: self.stop], self.places, self.rt.zerobase, self.tiny_blocks)
        for t, address in self.large:
            self.out[t] = address

    def _stand(self, place: BulkPlace) -> None:
        """Leaves the place where the last object taken from it leaves it."""
        spans = self.rt.spans
        cached = place.cached
        s = cached.span
        if s == NIL:
            return  # the runtime died when it got a span
        index = (place.address(place.total - 1) - cached.base) // cached.size + 1
        taken = spans.alloc_bits[s] >> index
        nelems = spans.nelems[s]
        run = (taken & -taken).bit_length() - 1 if taken else nelems - index
        spans.alloc_count[s] += place.total - place.begun
        spans.free_index[s] = index
        cached.next = cached.start = cached.base + index * cached.size
        cached.end = cached.next + min(run, nelems - index) * cached.size
