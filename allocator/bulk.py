"""Many allocations at once: the same addresses, and the same machine afterwards, as one by one.

Objects are grouped by the place that they come from, a size class of an mcache.
Within a place the addresses follow from the spans that it takes, so only the
moments matter at which a place has run out and takes another span: those are
played in the order in which the objects would have asked for them. While the
heap has nothing free but the run of pages at its end, and nothing waits to be
swept, even these moments need no playing: spans then follow each other in
memory, and only the places where the OS is asked are gone through (`_Growth`).

What a machine that is not plain wants to see of each object (a recording, a
watch, marking) is done one by one.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.gc import OFF
from allocator.heap_bitmap import NOTHING, WHOLE, Type, press, press_noscan
from allocator.mspan import DEAD, FREE, IN_USE, NIL
from allocator.throw import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.malloc import Plan
    from allocator.mcache import CachedSpan, MCache
    from allocator.runtime import Runtime

Ints = np.ndarray[Any, np.dtype[Any]]

# What the table of classes says of sizes that have none.
LARGE, ZERO, FITTED = 253, 254, 255
# The tiny allocator as an automaton: the state is tiny_offset, or that there is no block.
NO_BLOCK = 17
STATES = 18
NEW_CURRENT, NEW_ASIDE = 16, 17  # outcomes besides the offset in the current block
CHUNK = 512
WARM_UP = 48
AT_ONCE = 1 << 22  # objects handled at a time: memory stays in bounds and in the cache
SMALL = 64  # fewer than so many are quicker one by one


def malloc_many(
    rt: Runtime,
    sizes: Any,
    noscan: bool | None = None,
    typ: Type | Sequence[Type] | None = None,
    types: Any = None,
    needzero: bool = True,
    p: Any = 0,
) -> Ints:
    """The addresses (uint64) of objects of these sizes, as `malloc` would have given them one by one.

    typ: one type for all, or several with `types`, an index into them for each object (-1: no
    pointers). p: the P that allocates, one for all or one for each. Raises Death where the runtime
    dies in the middle, the machine being as it was then, and BadRequest for what cannot be asked.
    """
    asked = np.asarray(sizes)
    if asked.ndim != 1 or (asked.size and asked.dtype.kind not in "iu"):
        raise BadRequest("sizes are a flat array of whole numbers")
    if asked.size and (int(asked.min()) < 0 or int(asked.max()) > rt.config.uintptr_mask):
        raise BadRequest(f"a size is 0 to {rt.config.uintptr_mask}")
    table, index = _types(rt, typ, types, noscan, asked.size)
    procs = np.asarray(p)
    if procs.ndim > 1 or procs.dtype.kind not in "iu" or (procs.ndim and procs.size != asked.size):
        raise BadRequest("p is one number, or one for each object")
    if procs.size and not 0 <= int(procs.min()) <= int(procs.max()) < len(rt.caches):
        raise BadRequest(f"there are Ps 0 to {len(rt.caches) - 1}")
    out = np.zeros(asked.size, np.uint64)
    at = 0
    while at < asked.size:
        end = min(at + AT_ONCE, asked.size)
        part = slice(at, end)
        which = index if index is None or index.ndim == 0 else index[part]
        who = procs if procs.ndim == 0 else procs[part]
        if end - at < SMALL or not _can(rt):
            at += _one_by_one(rt, asked[part], table, which, needzero, who, out[part])
        else:
            at += _Batch(rt, asked[part], table, which, who, out[part], needzero).run()
    return out


def _types(
    rt: Runtime, typ: Any, types: Any, noscan: bool | None, n: int
) -> tuple[list[Type | None], Ints | None]:
    """The types there are, and for each object which; None: none has pointers."""
    if types is None:
        if typ is None and noscan is False:
            return [rt.pointer_type], np.asarray(0)
        if typ is None or noscan or typ.noscan:
            return [], None
        if not isinstance(typ, Type):
            raise BadRequest("several types want `types`, which says which object has which")
        return [typ], np.asarray(0)
    table: list[Type | None] = [t if not t.noscan else None for t in typ] if typ is not None else []
    index = np.asarray(types)
    if index.shape != (n,) or (n and index.dtype.kind not in "iu"):
        raise BadRequest("types is a flat array of whole numbers, one for each size")
    if n and not -1 <= int(index.min()) <= int(index.max()) < len(table):
        raise BadRequest(f"types are -1 to {len(table) - 1}")
    return table, index


def _can(rt: Runtime) -> bool:
    """Whether the machine wants to see no object by itself."""
    return rt.plain and len(rt.class_to_size) < LARGE


def _one_by_one(
    rt: Runtime, sizes: Ints, table: list[Type | None], index: Ints | None, needzero: bool, procs: Ints, out: Ints
) -> int:
    malloc = rt.malloc
    single = None if index is None or index.ndim else table[int(index)]
    for i, size in enumerate(sizes.tolist()):
        t = single
        if index is not None and index.ndim:
            k = int(index[i])
            t = table[k] if k >= 0 else None
        if t is rt.pointer_type:
            out[i] = malloc(size, None, False, needzero, int(procs if procs.ndim == 0 else procs[i]))
        else:
            out[i] = malloc(size, t, None, needzero, int(procs if procs.ndim == 0 else procs[i]))
    return len(sizes)


class _Place:
    """A size class of an mcache, and the objects of the batch that come from it.

    `times` are their places in the batch. `taken` counts the addresses in `supply`: those of the
    spans' free objects, in order, which may be more than are asked for.
    """

    __slots__ = ("addresses", "cache", "cached", "sizeclass", "spans", "starts", "supply", "taken", "times")

    def __init__(self, cache: MCache, sizeclass: int, times: Ints) -> None:
        self.cache = cache
        self.sizeclass = sizeclass
        self.cached: CachedSpan = cache.alloc[sizeclass]
        self.times = times
        self.supply: list[Ints] = []
        self.spans: list[int] = []  # the spans, in the order in which they were cached
        self.starts: list[int] = []  # how many objects come before each of them
        self.taken = 0

    @property
    def left(self) -> bool:
        """Whether there are objects without an address."""
        return self.taken < len(self.times)


class _Batch:
    """One call's objects, or so many of them as come before a collection."""

    def __init__(
        self, rt: Runtime, sizes: Ints, table: list[Type | None], index: Ints | None, procs: Ints, out: Ints,
        needzero: bool,
    ) -> None:  # fmt: skip
        self.rt = rt
        self.sizes = sizes
        self.table = table
        self.index = index
        self.procs = procs
        self.out = out
        self.needzero = needzero
        self.n = len(sizes)
        self.scan: Ints | None = None
        self.stop = self.n

    def run(self) -> int:
        """Allocates; how many objects were, all unless a collection had to come between."""
        rt = self.rt
        self._classify()
        self._places()
        rt.sync_caches()
        try:
            collect = self._play()
        except BaseException:
            self._settle(self.stop)
            raise
        self._settle(self.stop - 1)
        if collect:
            rt.start_collection()
        return self.stop

    # Before anything happens: which object comes from where.

    def _classify(self) -> None:
        rt = self.rt
        classes = np.full(rt.config.max_small_size + 2, LARGE, np.uint8)
        classes[:-1] = np.frombuffer(rt.class_of, np.uint8)
        classes[0] = ZERO
        sizes = self.sizes
        most = int(sizes.max()) if self.n else 0
        small = sizes if most <= rt.config.max_small_size else np.minimum(sizes, rt.config.max_small_size + 1)
        self.key = classes.take(small)
        self.pairs: list[Plan] = []
        scalar: Ints | None = None  # which objects have no pointers; None: all
        self.pair: Ints | None = None
        if self.index is not None:
            scalar = self._plans(small)
        tiny = small < 16
        if scalar is not None:
            tiny &= scalar
        tiny &= small > 0
        self.tiny = np.flatnonzero(tiny)
        self.large = np.flatnonzero(self.key == LARGE) if most > rt.config.max_small_size else []
        self.zero = self.key == ZERO if int(sizes.min()) == 0 else None

    def _plans(self, small: Ints) -> Ints:
        """Works out every pair of type and size once; which objects have no pointers."""
        rt = self.rt
        width = rt.config.max_small_size + 2
        lookup = np.full((len(self.table) + 1) * width, -1, np.int32)
        if self.index is not None and self.index.ndim:
            keys = (self.index.astype(np.int64) + 1) * width + small
        else:
            keys = small + width
        used = np.zeros(lookup.size, bool)
        used[keys] = True
        scans = []
        for key in np.flatnonzero(used).tolist():
            number, size = divmod(key, width)
            t = self.table[number - 1] if number else None
            if t is None or size == 0 or size > rt.config.max_small_size:
                continue
            if t is rt.pointer_type and size < rt.config.ptr_size:
                continue  # no whole word: no pointer either
            data = size - size % rt.config.ptr_size if t is rt.pointer_type else None
            plan = rt.plan(t, size, data)
            lookup[key] = len(self.pairs)
            self.pairs.append(plan)
            scans.append(plan.scan)
        pair = lookup.take(keys)
        self.pair = pair
        if scans:
            by_pair = np.array([*scans, 0], np.int64)
            self.scan = np.cumsum(by_pair.take(pair))
        return pair < 0

    def _places(self) -> None:
        rt = self.rt
        key = self.key
        if self.procs.ndim == 0:
            self.caches = [rt.caches[int(self.procs)]]
            owner = None
        else:
            self.caches = list(rt.caches)
            owner = self.procs
        self.fits: dict[int, tuple[Ints, Ints]] = {}
        for number, cache in enumerate(self.caches):
            mine = self.tiny if owner is None else self.tiny[owner[self.tiny] == number]
            self._tiny(number, cache, mine)
        # Cumulative counts by P, for what each visit to the page heap flushes.
        classes = len(rt.class_to_size)
        if owner is None:
            order = np.argsort(key, kind="stable")
            counts = np.bincount(key, minlength=256)
            width = 1
        else:
            wide = key.astype(np.uint16) + owner.astype(np.uint16) * 256
            order = np.argsort(wide, kind="stable")
            counts = np.bincount(wide, minlength=256 * len(self.caches))
            width = len(self.caches)
        ends = np.cumsum(counts)
        self.places: list[_Place] = []
        for number in range(width):
            for sizeclass in range(1, classes):
                k = number * 256 + sizeclass
                if counts[k]:
                    times = order[ends[k] - counts[k] : ends[k]]
                    self.places.append(_Place(self.caches[number], sizeclass, times))

    def _tiny(self, number: int, cache: MCache, mine: Ints) -> None:
        """Runs the tiny allocator over a P's tiny objects: which fit, and where."""
        if not len(mine):
            return
        sizes = self.sizes[mine].astype(np.uint8)
        state = cache.tiny_offset if cache.tiny else NO_BLOCK
        outcome = _run_tiny(sizes, state)
        fitted = outcome < NEW_CURRENT
        self.key[mine] = np.where(fitted, FITTED, self.rt.config.tiny_size_class)
        self.fits[number] = mine, outcome

    # The moments at which spans are taken.

    def _play(self) -> bool:
        """Plays them in order. True: a collection is to be started at `stop`."""
        rt = self.rt
        gc = rt.gc
        moments: list[tuple[int, int]] = []
        for i, place in enumerate(self.places):
            cached = place.cached
            if cached.span != NIL:
                self._add_supply(place, cached.span, _free_objects(rt, cached.span))
            self._await(moments, i, place)
        large = [int(t) for t in self.large]
        large.reverse()
        seen = dict.fromkeys(range(len(self.caches)), 0)
        self.flushed = seen
        heapq.heapify(moments)
        while moments or large:
            t = moments[0][0] if moments else self.n
            if large and large[-1] < t:
                t = large.pop()
                if self._large_object(t):
                    self.stop = t + 1
                    return True
                continue
            if len(moments) and _grows_only(rt, self.places, moments):
                growth = Growth(self, moments, large[-1] if large else self.n)
                played = growth.run()
                if growth.collect:
                    self.stop = growth.stopped + 1
                    return True
                if played:
                    moments = [(int(p.times[p.taken]), i) for i, p in enumerate(self.places) if p.left]
                    heapq.heapify(moments)
                    continue
            t, i = moments[0]
            place = self.places[i]
            self._flush(place.cache, t)
            rt.cache = place.cache
            cached = place.cached
            self._spent(cached)
            try:
                place.cache.refill(place.sizeclass)
            except BaseException:
                self.stop = t
                raise
            self._add_supply(place, cached.span, _free_objects(rt, cached.span))
            heapq.heappop(moments)
            self._await(moments, i, place)
            if gc.should_start():
                self.stop = t + 1
                return True
        return False

    def _await(self, moments: list[tuple[int, int]], i: int, place: _Place) -> None:
        if place.left:
            heapq.heappush(moments, (int(place.times[place.taken]), i))

    def _add_supply(self, place: _Place, span: int, addresses: Ints) -> None:
        place.starts.append(place.taken)
        place.spans.append(span)
        place.supply.append(addresses)
        place.taken += len(addresses)

    def _spent(self, cached: CachedSpan) -> None:
        """The cached span has given all it had."""
        s = cached.span
        if s != NIL:
            spans = self.rt.spans
            spans.alloc_count[s] = spans.nelems[s]
            spans.free_index[s] = spans.nelems[s]
            cached.next = cached.end = cached.start = cached.base + spans.nelems[s] * cached.size

    def _flush(self, cache: MCache, t: int) -> None:
        """Counts into a P's own counters what it allocated before the moment t."""
        number = self.caches.index(cache)
        since = self.flushed[number]
        self.flushed[number] = t
        if self.scan is not None and t > since:
            if self.procs.ndim == 0:
                before = int(self.scan[since - 1]) if since else 0
                cache.local_scan += (int(self.scan[t - 1]) if t else 0) - before
            else:
                cache.local_scan += int(self._scans_of(number, since, t))
        if number in self.fits:
            mine, outcome = self.fits[number]
            a, b = np.searchsorted(mine, (since, t))
            cache.local_tinyallocs += int(np.count_nonzero(outcome[a:b] < NEW_CURRENT))

    def _scans_of(self, number: int, since: int, t: int) -> int:
        assert self.scan is not None
        each = np.diff(self.scan[since:t], prepend=self.scan[since - 1] if since else 0)
        return int(each[self.procs[since:t] == number].sum())

    def _large_object(self, t: int) -> bool:
        """Allocates the large object of that moment; whether a collection is due after it."""
        rt = self.rt
        number = 0 if self.procs.ndim == 0 else int(self.procs[t])
        cache = self.caches[number]
        self._flush(cache, t)
        typ = None
        if self.index is not None:
            k = int(self.index if self.index.ndim == 0 else self.index[t])
            typ = self.table[k] if k >= 0 else None
        size = int(self.sizes[t])
        data = size - size % rt.config.ptr_size if typ is rt.pointer_type else None
        enabled, rt.stats.enablegc = rt.stats.enablegc, False
        try:
            self.out[t] = rt.mallocgc(size, typ, self.needzero, cache.id, data)
        except BaseException:
            self.stop = t
            raise
        finally:
            rt.stats.enablegc = enabled
        return rt.gc.should_start()

    # Afterwards: addresses, bitmaps, and where everybody stands.

    def _settle(self, last: int) -> None:
        """Leaves the machine as the objects before `stop` leave it; `last` was asked for last."""
        rt = self.rt
        stop = self.stop
        for cache in self.caches:
            self._flush(cache, stop)
        if self.zero is not None:
            self.out[:stop][self.zero[:stop]] = rt.zerobase
        for place in self.places:
            times = place.times
            n = len(times) if stop >= self.n else int(np.searchsorted(times, stop))
            if not n:
                continue
            addresses = place.supply[0] if len(place.supply) == 1 else np.concatenate(place.supply)
            self.out[times[:n]] = addresses[:n]
            place.addresses = addresses
            self._stand(place, n, int(addresses[n - 1]))
            if self.pair is not None or self._has_bits(place):
                self._stamp(place, n)
        for number, (mine, outcome) in self.fits.items():
            self._settle_tiny(self.caches[number], mine, outcome)
        rt.cache = self.caches[0 if self.procs.ndim == 0 else int(self.procs[last])]

    def _stand(self, place: _Place, n: int, address: int) -> None:
        """Leaves the place where the last object taken from it leaves it."""
        rt = self.rt
        spans = rt.spans
        last = len(place.starts) - 1
        while last > 0 and place.starts[last] >= n:
            last -= 1
        # A stop comes with the first object of a new span, so the last span is the cached one.
        cached = place.cached
        taken = n - place.starts[last]
        s = place.spans[last]
        index = (address - cached.base) // cached.size + 1
        bits = spans.alloc_bits[s] >> index
        nelems = spans.nelems[s]
        run = (bits & -bits).bit_length() - 1 if bits else nelems - index
        spans.alloc_count[s] += taken
        spans.free_index[s] = index
        cached.next = cached.start = cached.base + index * cached.size
        cached.end = cached.next + min(run, nelems - index) * cached.size

    def _has_bits(self, place: _Place) -> bool:
        bits = self.rt.spans.bits
        return any(type(bits[s]) is bytearray for s in place.spans)

    def _stamp(self, place: _Place, n: int) -> None:
        """Writes the heap bitmap of a place's objects, span by span."""
        rt = self.rt
        spans = rt.spans
        pair = None if self.pair is None else self.pair[place.times[:n]]
        size = place.cached.size
        if size == rt.config.ptr_size == 8:
            return  # every word of these spans is a pointer, from the beginning
        rows = _Rows(self.pairs, place.sizeclass, size, rt.config.ptr_size) if pair is not None else None
        for k, s in enumerate(place.spans):
            a = place.starts[k]
            b = min(place.starts[k + 1] if k + 1 < len(place.starts) else n, n)
            if a >= b:
                continue
            mine = None if pair is None else pair[a:b]
            if mine is not None and int(mine.max()) < 0:
                mine = None
            bits = spans.bits[s]
            if mine is None:
                if type(bits) is bytearray:
                    for word in ((place.addresses[a:b] - np.uint64(spans.base[s])) >> np.uint64(rt.word_shift)).tolist():
                        press_noscan(bits, word)
                continue
            whole = (spans.npages[s] << rt.config.page_shift) // rt.config.heap_bitmap_scale
            first = int(place.addresses[a]) - spans.base[s]
            if type(bits) is int and first == 0 and not spans.alloc_bits[s] and rows is not None:
                drawn = rows.draw(mine)
                drawn.extend(bytes(whole - len(drawn)))
                spans.bits[s] = drawn
            else:
                if type(bits) is not bytearray:
                    bits = spans.bits[s] = bytearray(whole)
                words = ((place.addresses[a:b] - np.uint64(spans.base[s])) >> np.uint64(rt.word_shift)).tolist()
                for word, number in zip(words, mine.tolist(), strict=True):
                    if number < 0:
                        press_noscan(bits, word)
                    else:
                        press(bits, word, self.pairs[number].stamp)
            if place.cached.span == s:
                place.cached.bits = spans.bits[s]  # type: ignore[assignment]

    def _settle_tiny(self, cache: MCache, mine: Ints, outcome: Ints) -> None:
        stop = self.stop
        if stop < self.n:
            keep = int(np.searchsorted(mine, stop))
            mine, outcome = mine[:keep], outcome[:keep]
        if not len(mine):
            return
        current = np.flatnonzero(outcome == NEW_CURRENT)
        blocks = np.concatenate((np.array([cache.tiny], np.uint64), self.out[mine[current]]))
        # The current block of each object: the last one made current before it.
        which = np.cumsum(outcome == NEW_CURRENT)
        fitted = outcome < NEW_CURRENT
        self.out[mine[fitted]] = blocks[which[fitted]] + outcome[fitted]
        if len(current):
            cache.tiny = int(blocks[-1])
        # Where the current block stands: behind the last object put into it.
        last = len(outcome) - 1
        while outcome[last] == NEW_ASIDE:
            last -= 1
            if last < 0:
                return
        size = int(self.sizes[mine[last]])
        cache.tiny_offset = size if outcome[last] == NEW_CURRENT else int(outcome[last]) + size


# Growing without looking.


def _grows_only(rt: Runtime, places: list[_Place], moments: list[tuple[int, int]]) -> bool:
    """Whether every span to come will be cut from the end of the heap."""
    heap, spans = rt.heap, rt.spans
    if not heap.sweepdone or rt.sweeper.pages_per_byte or rt.gc.phase != OFF or rt.log is not None:
        return False
    tail = _only_free_span(rt)
    if tail is None:
        return False
    if tail != NIL:
        end = spans.base[tail] + (spans.npages[tail] << rt.config.page_shift)
        if end != heap.arena_used or spans.npreleased[tail]:
            return False
    if any(rt.central[places[i].sizeclass].nonempty.first != NIL for _, i in moments):
        return False
    wanted = sum(
        (len(places[i].times) - places[i].taken) // (rt.config.page_size // places[i].cached.size + 1) for _, i in moments
    )
    room = heap.arena_end - heap.arena_used >= rt.config.heap_alloc_chunk
    return wanted >= WORTH_IT and room and rt.config.heap_alloc_chunk >= 64 * rt.config.page_size


WORTH_IT = 48  # spans to come, for the preparations to pay


def _only_free_span(rt: Runtime) -> int | None:
    """The one free span there is, NIL if there is none, None if there are several."""
    heap, after = rt.heap, rt.spans.next
    mask = heap.free_mask
    if mask & (mask - 1):
        return None
    first = heap.free[mask.bit_length() - 1].first if mask else NIL
    large = heap.freelarge.first
    if first != NIL and large != NIL:
        return None
    tail = first if first != NIL else large
    return None if tail != NIL and after[tail] != NIL else tail


class Growth:
    """Spans cut one after the other from the end of a heap that has nothing else free.

    Which span comes where is a sum over pages. What has to be gone through are the moments at
    which somebody needs the OS or persistent memory, in the allocator's own order: the heap
    (a megabyte), the span records (16 KB), allspans, the sweep buffer's blocks, the arenas of
    mark bits. `collect` tells that the collector's trigger was reached at the moment `stopped`.
    """

    def __init__(self, batch: _Batch, moments: list[tuple[int, int]], until: int) -> None:
        rt = batch.rt
        self.batch = batch
        self.rt = rt
        self.collect = False
        self.stopped = -1
        times, which = [], []
        for _, i in moments:
            place = batch.places[i]
            nelems = rt.central[place.sizeclass].npages * rt.config.page_size // place.cached.size
            part = place.times[place.taken :: nelems]
            times.append(part)
            which.append(np.full(len(part), i))
        all_times, all_which = np.concatenate(times), np.concatenate(which)
        order = np.argsort(all_times, kind="stable")
        self.times = all_times[order]
        self.which = all_which[order]
        if until < batch.n:
            keep = int(np.searchsorted(self.times, until))
            self.times, self.which = self.times[:keep], self.which[:keep]
        sizeclass = np.array([place.sizeclass for place in batch.places])
        self.sizeclass = sizeclass[self.which]
        by_class = rt.config.size_classes
        pages = np.array(by_class.class_to_allocnpages, np.int64)
        size = np.array(by_class.class_to_size, np.int64)
        self.npages = pages[self.sizeclass]
        self.elemsize = size[self.sizeclass]
        self.nelems = self.npages * rt.config.page_size // self.elemsize
        live = rt.stats.heap_live + np.cumsum(self.npages) * rt.config.page_size
        if rt.stats.enablegc and rt.gc.gcpercent >= 0 and len(live):
            reached = int(np.searchsorted(live, rt.stats.gc_trigger))
            if reached < len(live):
                self.collect = True
                self.stopped = int(self.times[reached])
                self._cut(reached + 1)

    def _cut(self, n: int) -> None:
        self.times, self.which, self.sizeclass = self.times[:n], self.which[:n], self.sizeclass[:n]
        self.npages, self.elemsize, self.nelems = self.npages[:n], self.elemsize[:n], self.nelems[:n]

    def run(self) -> bool:
        """Takes all the spans, or as many as the reservation holds. False: not one."""
        rt = self.rt
        heap, spans, records = rt.heap, rt.spans, rt.spanalloc
        shift = rt.config.page_shift
        n = len(self.times)
        pages = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.npages)))
        need = (self.nelems + 63) // 64 * 8
        bits = np.concatenate((np.zeros(1, np.int64), np.cumsum(2 * need)))
        self.ids = np.empty(n, np.int64)
        self.old = self.total = len(spans)
        self.addresses: list[tuple[int, int]] = []  # of new records: the first, and how many
        self.dead: dict[int, tuple[int, int, int, int, int]] = {}
        found = _only_free_span(rt)
        self.tail = self.first = tail = NIL if found is None else found
        if tail == NIL:
            self.first_page, self.left = heap.arena_used >> shift, 0
            self.needzero = self.unused = self.generation = 0
        else:
            self.first_page, self.left = spans.base[tail] >> shift, spans.npages[tail]
            self.needzero, self.unused = spans.needzero[tail], spans.unused_since[tail]
            self.generation = spans.sweepgen[tail]
            heap._remove_free(tail, self.left)
        self.page = self.first_page
        swept = rt.sweep_spans.bufs[heap.sweepgen // 2 % 2]
        arenas = rt.arenas
        depth = len(swept.spans)
        i = 0
        try:
            while i < n:
                fit = int(np.searchsorted(pages, pages[i] + self.left, "right")) - 1
                exact = fit > i and int(pages[fit] - pages[i]) == self.left
                supply = records.nchunk // records.size
                supply = len(records.free_list) + min(supply, records.allspans_cap - self.total)
                end = min(fit, i + supply, i + swept.blocks * rt.config.sweep_block_entries - depth)
                if arenas.next:
                    room = arenas.capacity - arenas.next_free
                    end = min(end, int(np.searchsorted(bits, bits[i] + room, "right")) - 1)
                else:
                    end = i
                if end > i:
                    count = end - i
                    whole = exact and end == fit
                    fresh = self._records(count - whole)
                    self.ids[i] = self.tail
                    self.ids[i + 1 : end] = fresh[: count - 1]
                    used = int(pages[end] - pages[i])
                    self.page += used
                    self.left -= used
                    self.tail = NIL if whole else fresh[-1]
                    arenas.next_free += int(bits[end] - bits[i])
                else:
                    if not self._step(i, int(self.npages[i]), int(self.nelems[i]), depth):
                        break
                    end = i + 1
                depth += end - i
                i = end
        finally:
            self._settle(i)
        return i > 0

    def _records(self, n: int) -> list[int]:
        """The next n span records, freed ones first; there must be so many without asking anybody."""
        records = self.rt.spanalloc
        out = []
        while n and records.free_list:
            s = records.free_list.pop()
            self._revive(s)
            out.append(s)
            n -= 1
        if n:
            self.addresses.append((records.chunk, n))
            out.extend(range(self.total, self.total + n))
            self.total += n
            records.chunk += n * records.size
            records.nchunk -= n * records.size
            self.generation = 0
        records.inuse += len(out) * records.size
        return out

    def _revive(self, s: int) -> None:
        """A freed record is used again; what it was before is in its columns or in `dead`."""
        if s in self.dead:
            self.generation = self.dead.pop(s)[4]
        else:
            self.generation = self.rt.spans.sweepgen[s]

    def _record(self) -> int:
        """One span record, its memory asked for if there is none."""
        rt = self.rt
        records = rt.spanalloc
        if not records.free_list:
            records.provide(self.total)
        return self._records(1)[0]

    def _step(self, i: int, npages: int, nelems: int, depth: int) -> bool:
        """One span with all that it may need, in the allocator's order. False: not from this reservation."""
        rt = self.rt
        heap = rt.heap
        shift = rt.config.page_shift
        ask = rt.config.heap_alloc_chunk
        if self.left < npages and ask > heap.arena_end - heap.arena_used:
            return False
        place = self.batch.places[int(self.which[i])]
        rt.cache = place.cache
        try:
            if self.left < npages:
                self._grow(ask, ask >> shift)
            s = self.tail
            self.page += npages
            self.left -= npages
            if self.left:
                self.tail = self._record()
            else:
                self.tail = NIL
            self.ids[i] = s
            rt.sweep_spans.bufs[heap.sweepgen // 2 % 2].provide(depth)
            rt.arenas.new_bits(nelems)
            rt.arenas.new_bits(nelems)
        except BaseException:
            # The dead machine stands where refill would have left it.
            self.batch.stop = int(self.times[i])
            self.batch._spent(place.cached)
            raise
        return True

    def _grow(self, ask: int, npages: int) -> None:
        """mheap.grow, when what it gets joins what is left."""
        rt = self.rt
        heap = rt.heap
        v = heap.sys_alloc(ask)
        generation = self.generation
        grown = self._record()
        first = heap.page(v)
        if self.left:
            heap.pages.set(first - 1, self.tail)
        heap.pages.set_range(first, npages, grown)
        rt.stats.heap_idle += ask
        if self.left:
            heap.pages.set(first - self.left, grown)
            tail = self.tail
            self.dead[tail] = self.page, self.left, self.needzero, self.unused, generation
            rt.spanalloc.free_list.append(tail)
            rt.spanalloc.inuse -= rt.spanalloc.size
        else:
            self.needzero = 0
        self.generation = heap.sweepgen
        self.unused = rt.nanotime
        self.tail = grown
        self.left += npages

    def _settle(self, n: int) -> None:
        """Writes n spans into the columns, the tables and the lists, and what is left at the end."""
        rt = self.rt
        heap, spans, stats = rt.heap, rt.spans, rt.stats
        shift = rt.config.page_shift
        ids = self.ids[:n]
        npages = self.npages[:n]
        self._columns(n)
        used = int(npages.sum())
        stats.heap_inuse += used << shift
        stats.heap_idle -= used << shift
        stats.heap_live += used << shift
        heap.pages_in_use += used
        names = ids.tolist()
        rt.sweep_spans.swept.extend(names)
        heap.pages.fill(self.first_page - (heap.arena_start >> shift), np.repeat(ids, npages).tolist())
        for t, (page, length, needzero, unused, generation) in self.dead.items():
            spans.state[t] = DEAD
            self._rest(t, page, length, needzero, unused, generation)
        if self.tail != NIL and self.left:
            t = self.tail
            page = self.page - (heap.arena_start >> shift)
            self._rest(t, self.page, self.left, self.needzero, self.unused, self.generation)
            spans.state[t] = FREE
            heap.pages.set(page, t)
            heap.pages.set(page + self.left - 1, t)
            heap._insert_free(t, self.left)
        self._places(n)

    def _rest(self, t: int, page: int, length: int, needzero: int, unused: int, generation: int) -> None:
        """Writes a record that is no span in use; the first of all is what it was if nothing was cut off."""
        spans = self.rt.spans
        if t == self.first and page == self.first_page:
            spans.npages[t] = length
        else:
            spans.init(t, page << self.rt.config.page_shift, length)
        spans.needzero[t] = needzero
        spans.unused_since[t] = unused
        spans.sweepgen[t] = generation

    def _columns(self, n: int) -> None:
        """The spans' own fields."""
        rt = self.rt
        spans = rt.spans
        shift = rt.config.page_shift
        ids = self.ids[:n]
        base = (self.first_page + np.cumsum(self.npages[:n]) - self.npages[:n]) << shift
        self.base = base
        lists = [*(central.empty for central in rt.central), None]
        after, before = self._links(n)
        word = 8 if rt.config.ptr_size == 8 else -1
        columns: list[tuple[list[Any], Ints, int]] = [
            (spans.base, base, 0),
            (spans.npages, self.npages[:n], 0),
            (spans.sizeclass, self.sizeclass[:n], 0),
            (spans.elemsize, self.elemsize[:n], 0),
            (spans.nelems, self.nelems[:n], 0),
            (spans.limit, base + self.nelems[:n] * self.elemsize[:n], 0),
            (spans.free_index, self.nelems[:n], 0),
            (spans.alloc_count, self.nelems[:n], 0),
            (spans.next, after, NIL),
            (spans.prev, before, NIL),
            (spans.bits, np.where(self.elemsize[:n] == word, 0xFF, 0), 0),
        ]
        constants: list[tuple[list[Any], Any]] = [
            (spans.state, IN_USE), (spans.sweepgen, rt.heap.sweepgen), (spans.needzero, 0),
            (spans.npreleased, 0), (spans.unused_since, 0), (spans.alloc_bits, 0), (spans.mark_bits, 0),
            (spans.in_cache, False), (spans.specials, None),
        ]  # fmt: skip
        # Records that are new make up the columns' new ends; the few that are not are written one by one.
        count = self.total - self.old
        new = ids >= self.old
        at = ids[new] - self.old
        again = np.flatnonzero(~new).tolist()
        spans.self_addr.extend(a + k * rt.spanalloc.size for a, many in self.addresses for k in range(many))
        spans.stack_free.extend([None] * count)
        for column, values, missing in columns:
            end = np.full(count, missing, np.int64)
            end[at] = values[new]
            column.extend(end.tolist())
            for i in again:
                column[int(ids[i])] = int(values[i])
        for column, value in constants:
            column.extend([value] * count)
            for i in again:
                column[int(ids[i])] = value
        classes = np.full(count, -1)
        classes[at] = self.sizeclass[:n][new]
        spans.on_list.extend([lists[c] for c in classes.tolist()])
        for i in again:
            spans.on_list[int(ids[i])] = lists[int(self.sizeclass[i])]

    def _links(self, n: int) -> tuple[Ints, Ints]:
        """The spans in line at the end of their class's list; also sets the lists' ends."""
        rt = self.rt
        spans = rt.spans
        ids = self.ids[:n]
        after = np.full(n, NIL)
        before = np.full(n, NIL)
        order = np.argsort(self.sizeclass[:n], kind="stable")
        classes = self.sizeclass[:n][order]
        edges = np.flatnonzero(np.diff(classes)) + 1
        for part in np.split(order, edges):
            if not len(part):
                continue
            line = ids[part]
            after[part[:-1]] = line[1:]
            before[part[1:]] = line[:-1]
            lst = rt.central[int(self.sizeclass[part[0]])].empty
            before[part[0]] = lst.last
            if lst.last != NIL:
                spans.next[lst.last] = int(line[0])
            else:
                lst.first = int(line[0])
            lst.last = int(line[-1])
        return after, before

    def _places(self, n: int) -> None:
        """Gives every place its spans' objects, and the last span to cache."""
        rt = self.rt
        spans = rt.spans
        order = np.argsort(self.which[:n], kind="stable")
        groups = self.which[:n][order]
        edges = np.flatnonzero(np.diff(groups)) + 1
        for part in np.split(order, edges):
            if not len(part):
                continue
            place = self.batch.places[int(self.which[part[0]])]
            cached = place.cached
            if cached.span != NIL:
                self.batch._spent(cached)
                spans.in_cache[cached.span] = False
            nelems = int(self.nelems[part[0]])
            size = cached.size
            base = self.base[part].astype(np.uint64)
            place.supply.append((base[:, None] + np.arange(0, nelems * size, size, np.uint64)).reshape(-1))
            place.spans.extend(self.ids[part].tolist())
            place.starts.extend(range(place.taken, place.taken + nelems * len(part), nelems))
            place.taken += nelems * len(part)
            last = place.spans[-1]
            spans.in_cache[last] = True
            spans.free_index[last] = spans.alloc_count[last] = 0
            cached.span = last
            cached.base = spans.base[last]
            cached.bits = None
            cached.next = cached.end = cached.start = cached.base
        for cache in self.batch.caches:
            mine = [i for i, place in enumerate(self.batch.places) if place.cache is cache]
            moments = np.flatnonzero(np.isin(self.which[:n], mine)) if len(self.batch.caches) > 1 else np.arange(n)
            if len(moments):
                self.batch._flush(cache, int(self.times[moments[-1]]))
                rt.flush_local_scan(cache)
        if n:
            rt.cache = self.batch.places[int(self.which[n - 1])].cache


class _Rows:
    """The bitmap bytes of a fresh span, from the stamps of the objects in it."""

    def __init__(self, pairs: list[Plan], sizeclass: int, size: int, ptr_size: int) -> None:
        words = size // ptr_size
        self.whole = words % 4 == 0
        half = max(words // 2, 1)
        width = words // 4 if self.whole else half
        table = np.zeros((len(pairs) + 1, width), np.uint8)
        for i, plan in enumerate(pairs):
            what = plan.stamp
            if plan.sizeclass != sizeclass:
                continue
            if what.how == WHOLE:
                table[i] = np.frombuffer(what.body, np.uint8)
            elif what.how != NOTHING:
                table[i] = _halves(what, words)
        # Row -1, the last: an object without pointers leaves a fresh bitmap as it is.
        self.table = table

    def draw(self, numbers: Ints) -> bytearray:
        """The bytes of a span whose first objects are of these kinds."""
        rows = self.table[numbers].reshape(-1)
        if self.whole:
            return bytearray(rows.tobytes())
        if len(rows) % 2:
            rows = np.append(rows, np.uint8(0))
        low, high = rows[0::2], rows[1::2]
        return bytearray((low | high << 2).tobytes())


def _halves(what: Any, words: int) -> Ints:
    """A stamp as half bytes of two words each, as they come to stand in the low half of a byte."""
    bits = bytearray((words + 7) // 4)
    press(bits, 0, what)
    out = []
    for i in range(words // 2):
        byte = bits[i // 2]
        out.append((byte >> 2 if i % 2 else byte) & 0x33)
    return np.array(out, np.uint8)


def _free_objects(rt: Runtime, s: int) -> Ints:
    """The addresses of a span's free objects at or behind free_index."""
    spans = rt.spans
    index, nelems = spans.free_index[s], spans.nelems[s]
    taken = spans.alloc_bits[s] >> index
    base, size = spans.base[s], spans.elemsize[s]
    if not taken:
        return np.arange(base + index * size, base + nelems * size, size, np.uint64)
    n = nelems - index
    bits = np.frombuffer(taken.to_bytes((n + 7) // 8, "little"), np.uint8)
    free = np.flatnonzero(np.unpackbits(bits, count=n, bitorder="little") == 0)
    return (free.astype(np.uint64) + np.uint64(index)) * np.uint64(size) + np.uint64(base)


# The tiny allocator.


def _tables() -> tuple[Ints, Ints]:
    after = np.zeros(16 * STATES, np.uint8)
    outcome = np.zeros(16 * STATES, np.uint8)
    for size in range(1, 16):
        align = 8 if size % 8 == 0 else 4 if size % 4 == 0 else 2 if size % 2 == 0 else 1
        for state in range(STATES):
            off = -(-state // align) * align
            if state != NO_BLOCK and off + size <= 16:
                result, then = off, off + size
            elif state == NO_BLOCK or size < state:
                result, then = NEW_CURRENT, size
            else:
                result, then = NEW_ASIDE, state
            after[size * STATES + state] = then
            outcome[size * STATES + state] = result
    return after, outcome


_AFTER, _OUTCOME = _tables()


def _run_tiny(sizes: Ints, state: int) -> Ints:
    """What becomes of each tiny object: its offset in the current block, or a new block.

    The automaton forgets where it came from after a few objects. So pieces of the sequence are
    run side by side, each from a guess a little ahead of its beginning, and a piece that turns
    out not to join the one before it is run again.
    """
    n = len(sizes)
    base = sizes.astype(np.uint16) * np.uint16(STATES)
    if n < 8 * CHUNK:
        return _run_slowly(base, state)[0]
    chunks = n // CHUNK
    body = np.ascontiguousarray(base[: chunks * CHUNK].reshape(chunks, CHUNK).T)
    now = np.full(chunks, 16, np.uint8)
    for row in body[CHUNK - WARM_UP :]:
        now[1:] = _AFTER.take(row[:-1] + now[1:])
    now[0] = state
    begin = now.copy()
    before = np.empty((CHUNK, chunks), np.uint16)
    for k, row in enumerate(body):
        index = row + now
        before[k] = index
        now = _AFTER.take(index)
    result = _OUTCOME.take(np.ascontiguousarray(before.T)).reshape(-1)
    wrong = np.flatnonzero(begin[1:] != now[:-1]) + 1
    while len(wrong):
        c = int(wrong[0])
        part, then = _run_slowly(base[c * CHUNK : (c + 1) * CHUNK], int(now[c - 1]))
        result[c * CHUNK : (c + 1) * CHUNK] = part
        begin[c] = now[c - 1]
        now[c] = then
        wrong = np.flatnonzero(begin[1:] != now[:-1]) + 1
    rest, _ = _run_slowly(base[chunks * CHUNK :], int(now[-1]))
    return np.concatenate((result, rest))


def _run_slowly(base: Ints, state: int) -> tuple[Ints, int]:
    after, outcome = _AFTER.tolist(), _OUTCOME.tolist()
    out = bytearray(len(base))
    for i, b in enumerate(base.tolist()):
        out[i] = outcome[b + state]
        state = after[b + state]
    return np.frombuffer(bytes(out), np.uint8), state
