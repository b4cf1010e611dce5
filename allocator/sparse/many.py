"""malloc_many: many allocations at once, the same addresses and machine as one by one.

Objects are grouped by the place that they come from, a span class of an mcache. Within a place the
addresses follow from the runs of free objects that it gets, so that only the moments matter at
which a place has run out: those are played in the order in which the objects would have asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from allocator.common.bulk import tiny_runs as tiny
from allocator.common.bulk.arguments import Kinds, kinds_of, procs_of, sizes_of
from allocator.common.types import BadType, Type
from allocator.sparse.heap_bits import ObjectType
from allocator.sparse.pacer import NO_LIMIT

if TYPE_CHECKING:
    from allocator.sparse.heap import Heap
    from allocator.sparse.mcache import CachedSpan

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 21  # objects handled at a time: what is kept for each stays in bounds
SMALL = 64  # fewer than so many are quicker one by one

# Codes below ZERO are span classes.
ZERO = 253
TINY = 254
ALONE = 255  # an object that is allocated by itself: a large one, or one that cannot be


def malloc_many(
    rt: Heap,
    sizes: Any,
    noscan: bool | None = None,
    typ: Type | Sequence[Type] | None = None,
    types: Any = None,
    needzero: bool = True,
    p: Any = 0,
) -> Ints:
    """The addresses (uint64) of objects of these sizes, as `malloc` would have given them one by one.

    sizes: a flat array of bytes. typ: one type for all, or several with `types`, an index into them
    for each object, -1 for none. noscan and needzero are those of `malloc`, for all objects. p: the
    P that allocates, one for all or one for each.

    Raises Death where the runtime dies in the middle, BadType for a type and size that contradict
    each other, both with the machine as it was then; and BadRequest, before anything happens, for
    what cannot be asked.
    """
    asked, _, _ = sizes_of(sizes, rt.config.uintptr_mask)
    kinds = kinds_of(rt.pointer_type, typ, types, noscan, asked.size)
    who = procs_of(p, asked.size, len(rt.ps))
    out = np.empty(asked.size, np.uint64)
    # A cycle may begin behind any object, and watchers look at each: then they come one by one.
    steady = rt.plain and rt.pacer.gc_percent < 0 and rt.pacer.memory_limit == NO_LIMIT
    at = 0
    while at < asked.size:
        end = min(at + AT_ONCE, asked.size)
        part = kinds.part(at, end)
        if steady and isinstance(who, int) and end - at >= SMALL:
            Batch(rt, asked[at:end], part, needzero, who, out[at:end]).run()
        else:
            numbers = who if isinstance(who, int) else who[at:end]
            _one_by_one(rt, asked[at:end], part, needzero, numbers, out[at:end])
        at = end
    return out


def _one_by_one(rt: Heap, sizes: Ints, kinds: Kinds, needzero: bool, procs: Ints | int, out: Ints) -> None:
    for i, size in enumerate(sizes.tolist()):
        number = procs if isinstance(procs, int) else int(procs[i])
        out[i] = _one(rt, size, kinds.of(i), needzero, number)


def _one(rt: Heap, size: int, typ: Type | None, needzero: bool, p: int) -> int:
    if typ is rt.pointer_type:
        return rt.malloc(size, None, False, needzero, p)
    return rt.malloc(size, typ, None, needzero, p)


class Run(NamedTuple):
    """Objects of a place from number `first` on, that lie side by side from `base` on."""

    first: int
    base: int
    types: list[ObjectType | None] | None
    at: int  # number of the first in its span


class Place:
    """A span class of the mcache, and the objects that come from it: their times, places in the batch."""

    __slots__ = ("cached", "runs", "spanclass", "taken", "times")

    def __init__(self, spanclass: int, cached: CachedSpan, times: Ints) -> None:
        self.spanclass = spanclass
        self.cached = cached
        self.times = times
        self.taken = 0
        self.runs: list[Run] = []

    def has(self) -> int | None:
        """Takes what the cache has; the time at which it has no more, None if it is enough."""
        cached = self.cached
        if cached.next != cached.end:
            self.runs.append(Run(self.taken, cached.next, None, (cached.next - cached.base) // cached.size))
            self.taken += (cached.end - cached.next) // cached.size
        return int(self.times[self.taken]) if self.taken < len(self.times) else None

    def addresses(self) -> Ints:
        """The slots of all objects."""
        n = len(self.times)
        if not n:
            return np.empty(0, np.int64)
        size = self.cached.size
        first = np.array([run.first for run in self.runs], np.int64)
        base = np.array([run.base for run in self.runs], np.int64) - first * size
        counts = np.diff(first, append=n)
        return np.repeat(base, counts) + np.arange(n, dtype=np.int64) * size


class Batch:
    """Objects of one P, none of which begins a collection."""

    def __init__(self, rt: Heap, sizes: Ints, kinds: Kinds, needzero: bool, p: int, out: Ints) -> None:
        self.rt = rt
        self.sizes = sizes
        self.kinds = kinds
        self.needzero = needzero
        self.number = p
        self.cache = rt.ps[p].mcache
        self.out = out
        self.plans: list[tuple[ObjectType | None, int]] = [(None, 0)]
        self.tiny_times: Ints = np.empty(0, np.int64)
        self.scanned = 0  # objects whose scan bytes the cache has counted
        self.begin = self.cache.tiny, self.cache.tiny_offset

    # From objects to places.

    def _code(self) -> None:
        """Codes of all objects, and numbers of their plans where any has pointers."""
        rt, kinds = self.rt, self.kinds
        most = rt.config.max_small_size - rt.config.malloc_header_size
        width = most + 2
        sizes = np.minimum(self.sizes, most + 1).astype(np.int64)
        plain = np.full(width, ALONE, np.uint8)
        plain[: most + 1] = np.frombuffer(rt.noscan_class, np.uint8)[: most + 1]
        plain[1 : rt.config.tiny_size] = TINY
        plain[0] = ZERO
        types = [*kinds.table, kinds.default] if kinds.index is not None else [kinds.default]
        if all(t is None or t.noscan for t in types):
            self.codes = plain[sizes]
            self.numbers: Ints | None = None
            return
        keys = sizes
        if kinds.index is not None:
            keys = sizes + np.where(kinds.index < 0, len(types) - 1, kinds.index).astype(np.int64) * width
        codes = np.tile(plain, len(types))
        numbers = np.zeros(len(codes), np.int32)
        for key in np.flatnonzero(np.bincount(keys, minlength=len(codes))).tolist():
            row, size = divmod(key, width)
            typ = types[row]
            if typ is None or typ.noscan or not size or size > most:
                continue
            if typ is rt.pointer_type and size < rt.config.ptr_size:
                continue  # where no whole word is, there is no pointer either
            try:
                spanclass, what, scan, _ = rt.plan(typ, size)
            except BadType:
                codes[key] = ALONE
                continue
            codes[key] = spanclass
            numbers[key] = len(self.plans)
            self.plans.append((what, scan))
        self.codes = codes[keys]
        self.numbers = numbers[keys]

    def _group(self) -> None:
        """The places, each with the times of its objects."""
        order = np.argsort(self.codes, kind="stable")
        counts = np.bincount(self.codes, minlength=256)
        ends = np.cumsum(counts)
        times = {
            code: order[ends[code] - counts[code] : ends[code]] for code in np.flatnonzero(counts).tolist()
        }
        self.zeros = times.pop(ZERO, np.empty(0, np.int64))
        self.alone = times.pop(ALONE, np.empty(0, np.int64)).tolist()
        if TINY in times:
            self._tiny(times)
        alloc = self.cache.alloc
        self.places = [Place(spanclass, alloc[spanclass], those) for spanclass, those in times.items()]

    def _tiny(self, times: dict[int, Ints]) -> None:
        """Which tiny objects begin a new block, which is an object of the tiny class."""
        rt, cache = self.rt, self.cache
        self.tiny_times = times.pop(TINY)
        those = self.sizes[self.tiny_times].astype(np.uint8)
        state = cache.tiny_offset if cache.tiny else tiny.NO_BLOCK
        self.outcome, _ = tiny.run(those, state, tiny.RULE_12 if rt.narrow else tiny.RULE)
        blocks = self.tiny_times[self.outcome >= tiny.NEW_CURRENT]
        others = times.get(rt.tiny_spanclass)
        if len(blocks):
            times[rt.tiny_spanclass] = blocks if others is None else np.sort(np.concatenate((blocks, others)))

    # The order of events.

    def run(self) -> None:
        """Allocates all. Whatever ends it early leaves the machine as it was at that object."""
        self._code()
        self._group()
        self.rt.run_on(self.number)
        waiting = []
        for i, place in enumerate(self.places):
            place.cached.sync()
            out_at = place.has()
            if out_at is not None:
                waiting.append((out_at, i))
        heapq.heapify(waiting)
        alone = self.alone
        next_alone = time = 0
        try:
            while waiting or next_alone < len(alone):
                if next_alone < len(alone) and (not waiting or alone[next_alone] < waiting[0][0]):
                    time = alone[next_alone]
                    next_alone += 1
                    self._allocate_alone(time)
                    continue
                time, i = waiting[0]
                again = self._more(self.places[i], time)
                if again is None:
                    heapq.heappop(waiting)
                else:
                    heapq.heapreplace(waiting, (again, i))
        except BaseException:
            self._settle(time)
            raise
        self._settle(len(self.sizes))

    def _allocate_alone(self, time: int) -> None:
        self.out[time] = _one(self.rt, int(self.sizes[time]), self.kinds.of(time), self.needzero, self.number)

    def _more(self, place: Place, time: int) -> int | None:
        """A place has run out at that time: its next run, or another span. When it runs out again."""
        cached = place.cached
        self._open_types(place)
        cached.next = cached.end
        if not cached.advance():
            self._count_scan(time)
            self.cache.refill(place.spanclass)
        return place.has()

    def writes_types(self, place: Place) -> bool:
        """Whether anything is written down of the place's objects: they have pointers, and not just one."""
        return (
            self.numbers is not None
            and not place.spanclass & 1
            and place.cached.size != self.rt.config.ptr_size
        )

    def _open_types(self, place: Place) -> None:
        """Remembers where the last run's types stand, before its span goes."""
        if not self.writes_types(place) or not place.runs:
            return
        last = place.runs[-1]
        if last.types is None:
            types = place.cached.types
            if types is None:
                types = self.rt.open_types(place.cached)
            place.runs[-1] = last._replace(types=types)

    def _count_scan(self, time: int) -> None:
        """Adds what a collector scans of the objects before that time, as far as not added yet."""
        if self.numbers is not None:
            scans = np.array([scan for _, scan in self.plans], np.int64)
            self.cache.scan_alloc += int(scans[self.numbers[self.scanned : time]].sum())
            self.scanned = time

    # Where everybody stands afterwards.

    def _settle(self, time: int) -> None:
        """Writes addresses, types and counts of the objects before that time."""
        self._count_scan(time)
        tiny_blocks: Ints | None = None
        for place in self.places:
            self._open_types(place)
            n = int(np.searchsorted(place.times, time))
            self._rewind(place, n)
            place.times = place.times[:n]
            place.runs = [run for run in place.runs if run.first < n]
            slots = place.addresses()
            if place.spanclass == self.rt.tiny_spanclass:
                tiny_blocks = slots
                tiny_at = place.times
            header = 0 if place.cached.span is None else self.rt.header_of(place.cached.span)
            self.out[place.times] = slots + header
            if n and self.writes_types(place):
                self._write_types(place, n)
        self.out[self.zeros[: int(np.searchsorted(self.zeros, time))]] = self.rt.zerobase
        if len(self.tiny_times):
            blocks = (tiny_at, tiny_blocks) if tiny_blocks is not None else None
            self._settle_tiny(time, blocks)

    def _rewind(self, place: Place, n: int) -> None:
        """The cache has handed out the first n of the place's objects, and no more."""
        if place.runs and n > place.runs[-1].first:
            last = place.runs[-1]
            place.cached.next = last.base + (n - last.first) * place.cached.size
        elif place.runs:
            place.cached.next = place.runs[-1].base

    def _write_types(self, place: Place, n: int) -> None:
        """What the spans' bits or headers hold of a place's objects."""
        assert self.numbers is not None
        numbers = self.numbers[place.times]
        same = self.plans[int(numbers[0])][0] if bool((numbers == numbers[0]).all()) else None
        whats = None if same is not None else [self.plans[k][0] for k in numbers.tolist()]
        bounds = [*(run.first for run in place.runs[1:]), n]
        for run, end in zip(place.runs, bounds, strict=False):
            if run.types is None or end <= run.first:
                continue
            count = end - run.first
            into = slice(run.at, run.at + count)
            run.types[into] = [same] * count if whats is None else whats[run.first : end]

    def _settle_tiny(self, time: int, blocks: tuple[Ints, Ints] | None) -> None:
        """Addresses of tiny objects, and the block that is open afterwards."""
        cache = self.cache
        n = int(np.searchsorted(self.tiny_times, time))
        times, outcome = self.tiny_times[:n], self.outcome[:n].astype(np.int64)
        new = outcome >= tiny.NEW_CURRENT
        if blocks is not None:
            at, slots = blocks
            self.out[times[new]] = slots[np.searchsorted(at, times[new])]
        current = np.maximum.accumulate(np.where(outcome == tiny.NEW_CURRENT, np.arange(n), -1))
        fitted = np.flatnonzero(~new)
        opened = current[fitted]
        base = np.full(len(fitted), self.begin[0], np.uint64)
        base[opened >= 0] = self.out[times[opened[opened >= 0]]]
        self.out[times[fitted]] = base + outcome[fitted].astype(np.uint64)
        cache.tiny_allocs += len(fitted)
        if n:
            self._leave_open(times, outcome, int(current[-1]))

    def _leave_open(self, times: Ints, outcome: Ints, opened: int) -> None:
        """The tiny block that is open after the last of these objects."""
        cache = self.cache
        offset = self.begin[1]
        if opened >= 0:
            cache.tiny = int(self.out[times[opened]])
            offset = int(self.sizes[times[opened]])
        fits = np.flatnonzero(outcome[opened + 1 :] < tiny.NEW_CURRENT)
        if len(fits):
            last = opened + 1 + int(fits[-1])
            offset = int(outcome[last]) + int(self.sizes[times[last]])
        cache.tiny_offset = offset
