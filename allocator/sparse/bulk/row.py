"""Fresh spans, one after the other, with what each needs of others, in the runtime's order.

A span takes a place in the set of full spans (for the one that it replaces), pages, a record, and mark and
allocation bits. Most spans need no new memory: their pages are in the P's cache, or in the chunk that the
cache is filled from next, and there is memory for the rest. These are taken many at a time, and written down
at the end. A span that needs memory from the system is fetched like any other.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.sparse.bulk.settlement import RowSettlement
from allocator.sparse.mheap import HEAP, UNLIMITED
from allocator.sparse.mspan import IN_USE, MSpan
from allocator.sparse.page_cache import GROUP
from allocator.sparse.pallocbits import trailing_zeros
from allocator.sparse.procs import MSPAN_CACHE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from allocator.sparse.bulk.batch import Batch
    from allocator.sparse.bulk.fresh_moments import FreshMoments
    from allocator.sparse.bulk.full_spans import FullSpans
    from allocator.sparse.bulk.object_types import ObjectTypes
    from allocator.sparse.bulk.places import SpanPlace
    from allocator.sparse.span_set import SpanSet

Ints = np.ndarray[Any, np.dtype[Any]]

RECORDS = MSPAN_CACHE // 2  # records that a P's cache is filled with


class RowPlace:
    """A place's part in a row. `moments` are its own, counted from the row's first, and `rank` is that of
    the first object that they bring.

    A span is pushed to the set of full ones when the next takes its place in the cache: `pushed` counts the
    moments for which that is done. `cached` is the span in the cache at the beginning, `real` are those of
    the row that have been made records and are not pushed yet. `lost`: the runtime died when it got a span.
    """

    __slots__ = ("before", "cached", "last", "lost", "moments", "place", "pushed", "rank", "real")

    def __init__(self, place: SpanPlace, moments: Ints, full: SpanSet) -> None:
        self.place = place
        self.moments = moments
        self.cached = place.cached.span
        self.before = len(full)  # spans in the set of full ones at the beginning
        self.pushed = 0
        self.rank = place.supplied
        self.real: list[tuple[int, MSpan]] = []
        self.lost = False
        self.last: MSpan | None = None  # the span that it was to replace then


class SpanRow:
    """The spans of the moments from the first that is not past; `done` counts those that were taken."""

    def __init__(self, batch: Batch, moments: FreshMoments) -> None:
        self.batch = batch
        self.moments = moments
        self.rt = rt = batch.rt
        self.first = moments.at
        self.done = 0
        rt.run_on(batch.p)
        assert rt.p is not None
        self.proc = rt.p
        # Pages of spans side by side, a page each, or of one span: the first of them, how many spans, and
        # the first one's moment.
        self.pages: list[tuple[int, int]] = []
        self.page_moments: list[int] = []
        # Records by number: the first, how many, each of them one lower, and the first one's moment.
        self.records: list[tuple[int, int]] = []
        self.record_moments: list[int] = []
        self.real_moments: list[int] = []  # of spans that have been made records
        self.dirty: set[int] = set()  # the moments of spans whose pages had been used before
        self.used = self.scavenged = 0  # pages and bytes since the counters were last brought up to date
        self.lazy: FullSpans | None = None

    # What is taken, and in which order.

    def play(self, end: int) -> None:
        """Takes the spans of the moments before `end`."""
        n = end - self.first
        self._begin(n)
        try:
            while self.done < n:
                if not self._take(n):
                    self._fetch(self.done)
        finally:
            RowSettlement(self).write()
            self.moments.at += self.done

    def _begin(self, n: int) -> None:
        moments = self.moments
        self.which = moments.which[self.first : self.first + n]
        order = np.argsort(self.which.astype(np.uint8), kind="stable")
        ends = np.cumsum(np.bincount(self.which, minlength=len(self.batch.places))).tolist()
        begins = [0, *ends[:-1]]
        self.parts = [
            RowPlace(place, order[a:b], self.rt.central[place.spanclass].full_swept())
            for place, a, b in zip(self.batch.places, begins, ends, strict=True)
        ]
        self.npages: list[int] | None = None
        if (moments.npages != 1).any():
            self.npages = moments.npages[self.which].tolist()
        # The moments at which a set of full spans needs a block, the first one last.
        blocks = []
        for i, part in enumerate(self.parts):
            full = self.rt.central[part.place.spanclass].full_swept()
            missing = int(part.cached is None)  # then the first moment has nothing to push
            first = (missing - full.tail) % full.block_entries
            if missing and not first:
                first = full.block_entries
            blocks += [(k, i) for k in part.moments[first :: full.block_entries].tolist()]
        self.blocks = sorted(blocks, reverse=True)
        self.kept = self._kept()

    def _take(self, n: int) -> bool:
        """Takes as many as need no new memory; False if even the next does."""
        i = begin = self.done
        bits, sums, at = self.rt.gc_bits, self.moments.bits, self.first
        while i < n:
            stop = n
            if self.blocks:
                stop, part = self.blocks[-1]
                if stop == i:
                    full = self.rt.central[self.parts[part].place.spanclass].full_swept()
                    if not full.block_at_hand():
                        break
                    full.new_block()
                    self.blocks.pop()
                    continue
            if not bits.next:
                break
            room = sums[at + i] + bits.capacity - bits.next_free
            stop = min(stop, bisect_right(sums, room, at + i, at + stop + 1) - 1 - at)
            if stop == i and self._begin_bits(i):
                i += 1
                continue
            last, i = i, self._pages(i, stop)
            bits.next_free += sums[at + i] - sums[at + last]
            if i < stop or i == last:
                break
        self.done = i
        self._count()
        return i > begin

    def _begin_bits(self, i: int) -> bool:
        """The span of moment i gets pages, a record, and bits in a new arena, if all is at hand."""
        bits = self.rt.gc_bits
        room = self._room_of_records()
        if room < 1 or not self._pages_at_hand(i) or not bits.arena_at_once():
            return False
        self._pages(i, i + 1)
        bits.new_span(self.rt.layout[self.parts[int(self.which[i])].place.spanclass].nelems)
        return True

    def _pages_at_hand(self, i: int) -> bool:
        """Whether the span of moment i gets its pages from the cache, without growth."""
        cache = self.proc.page_cache
        if not cache.cache:
            cache.fill(self.rt.pages)
        return cache.cache != 0 and cache.find(1 if self.npages is None else self.npages[i]) >= 0

    def _pages(self, i: int, stop: int) -> int:
        """Pages and records for the moments from i up to stop, or as far as there are any; how far."""
        heap = self.rt.heap
        while i < stop:
            room = self._room_of_records()
            if not room and not self.kept and self._pages_at_hand(i) and heap.renew_records():
                room = heap.room_of_records()
            limit = min(stop, i + room)
            last, i = i, self._pages_alone(i, limit)
            self._take_records(last, i - last)
            if i < limit or i == last:
                break
        return i

    def _pages_alone(self, i: int, stop: int) -> int:
        """Pages for the moments from i up to stop, for which there are records; how far there are any."""
        cache = self.proc.page_cache
        while i < stop:
            n = self._groups(i, stop) if self.npages is None else 0
            if n:
                i += n
                continue
            if not cache.cache:
                cache.fill(self.rt.pages)
                if not cache.cache:
                    n = self._grow(i, stop)
                    if n < 0:
                        break
                    i += n
                    continue
            npages = 1 if self.npages is None else self.npages[i]
            if npages > 1:
                first = cache.find(npages)
                if first < 0:
                    break
                n = 1
            else:
                most = stop - i if self.npages is None else _ones(self.npages, i, stop - i)
                first = trailing_zeros(cache.cache)
                n = npages = min(trailing_zeros(~(cache.cache >> first)), most)
            self._taken(i, first, npages, n)
            i += n
        return i

    def _groups(self, i: int, stop: int) -> int:
        """Pages that the cache would be filled with and emptied of again; how many spans."""
        cache, pages = self.proc.page_cache, self.rt.pages
        at_top = cache.pass_top(pages, stop - i)
        if at_top is not None:
            base, n = at_top
            if n:
                self._note_taken(i, base, n, n, (1 << n) - 1)
            return n
        groups = 0 if cache.cache else cache.whole_groups(pages, (stop - i) // GROUP)
        if not groups:
            return 0
        n = groups * GROUP
        base, scavenged = cache.pass_groups(pages, groups)
        self._note_taken(i, base, n, n, scavenged)
        return n

    def _grow(self, i: int, stop: int) -> int:
        """The heap, in which nothing is free, grows for the span of moment i if that is granted at once; -1
        where it is not. How many spans have got their pages: the first page may well wait for the second.
        """
        rt, npages = self.rt, 1 if self.npages is None else self.npages[i]
        growth = rt.growth.go_on(npages) if rt.scavenger.gc_percent_goal == UNLIMITED else 0
        if not growth:
            return -1
        rt.heap_stats.released += growth
        if self.npages is None and stop - i > 1:
            return 0
        base, _ = rt.pages.alloc(npages)
        self._note_taken(i, base, npages, 1, (1 << npages) - 1)
        return 1

    def _room_of_records(self) -> int:
        """How many unused records the P has, or can have without asking for memory."""
        heap, cache = self.rt.heap, self.proc.mspan_cache
        if not cache and heap.spanalloc.free_list and heap.records_at_hand():
            heap.fill_mspan_cache(self.proc)
            self.kept = self._kept()
        room = len(cache) - self.kept
        return room if self.kept or heap.spanalloc.free_list else room + heap.room_of_records()

    def _take_records(self, k: int, n: int) -> None:
        """Records, for which there is room, for n spans from moment k on, in the order of the P's cache."""
        heap, cache = self.rt.heap, self.proc.mspan_cache
        have = min(n, len(cache))
        if have:
            found: list[int] = cache[: -have - 1 : -1]  # type: ignore[assignment]
            del cache[-have:]
            if found == list(range(found[0], found[0] - have, -1)):
                self._note_records(k, found[0], have)
            else:
                for at, number in enumerate(found, k):
                    self._note_records(at, number, 1)
        end, k = k + n, k + have
        if k == end:
            return
        # The cache is filled to half, and emptied from its end.
        begins = heap.new_records(-(-(end - k) // RECORDS))
        self.records += [(begin + RECORDS - 1, RECORDS) for begin in begins]
        self.record_moments += range(k, end, RECORDS)
        rest = (end - k) % RECORDS
        if rest:
            self.records[-1] = begins[-1] + RECORDS - 1, rest
            cache += range(begins[-1], begins[-1] + RECORDS - rest)

    def _note_records(self, k: int, first: int, n: int) -> None:
        self.records.append((first, n))
        self.record_moments.append(k)

    def _record(self, k: int) -> int:
        """The number of the record of the span of that moment."""
        run = bisect_right(self.record_moments, k) - 1
        return self.records[run][0] - (k - self.record_moments[run])

    def _kept(self) -> int:
        """How many of the P's records stay in its cache: the last that was a span's, and those below it."""
        records = self.proc.mspan_cache
        return next((at for at in range(len(records), 0, -1) if type(records[at - 1]) is not int), 0)

    def _taken(self, i: int, first: int, npages: int, n: int) -> None:
        """The next n spans, which begin at moment i, get so many pages of the cache."""
        heap, cache = self.rt.heap, self.proc.page_cache
        mask = (1 << npages) - 1 << first
        scavenged = cache.scav & mask
        cache.cache &= ~mask
        cache.scav &= ~mask
        self._note_taken(i, cache.base + (first << heap.page_shift), npages, n, scavenged >> first)

    def _note_taken(self, i: int, base: int, npages: int, n: int, scavenged: int) -> None:
        """Pages side by side became n spans, which begin at moment i; `scavenged` has bits of them."""
        heap = self.rt.heap
        self._note_pages(i, base >> heap.page_shift, n, npages == n)
        if heap.was_used(base, npages):
            each = npages // n
            for k in range(n):
                scav = (scavenged >> k * each & (1 << each) - 1).bit_count() << heap.page_shift
                if heap.needs_zero(base + (k * each << heap.page_shift), each, scav):
                    self.dirty.add(i + k)
        else:
            heap.alloc_needs_zero(base, npages)
        self.used += npages
        self.scavenged += scavenged.bit_count() << heap.page_shift

    def _note_pages(self, i: int, page: int, n: int, single: bool) -> None:
        if single and self.pages and sum(self.pages[-1]) == page and page & 511:
            self.pages[-1] = self.pages[-1][0], self.pages[-1][1] + n  # all of one entry of the page table
        else:
            self.pages.append((page, n))
            self.page_moments.append(i)

    def _count(self) -> None:
        """Brings the heap's counters up to date."""
        rt = self.rt
        nbytes = self.used << rt.config.page_shift
        rt.stats.mapped_ready += self.scavenged  # sysUsed
        rt.heap.count_span(HEAP, nbytes, self.scavenged)
        rt.heap.pages_in_use += self.used
        rt.pacer.heap_live += nbytes
        self.used = self.scavenged = 0

    # A span that needs memory of the system.

    def _fetch(self, k: int) -> None:
        """The span of that moment, fetched by itself."""
        part = self.parts[int(self.which[k])]
        place = part.place
        index = int(part.moments.searchsorted(k))
        self.push(part, index)
        if index:
            place.cached.open(self.made(part, index - 1))
        place.spend()
        part.lost, part.last = True, place.cached.span
        had = len(self.proc.mspan_cache)
        self.batch.fetch(int(self.moments.times[self.first + k]), place)
        part.lost = False
        part.pushed = index + 1
        while self.blocks and self.blocks[-1][0] <= k:
            self.blocks.pop()
        s = place.cached.span
        assert s is not None
        part.real = [(k, s)]
        place.fresh.append((part.rank + index * s.nelems, s))
        self._note_pages(k, s.base >> self.rt.config.page_shift, 1, s.npages == 1)
        self._note_records(k, self.rt.heap.allspans.number_of(s.self_addr), 1)
        self.real_moments.append(k)
        self.done = k + 1
        if len(self.proc.mspan_cache) >= had:
            self.kept = self._kept()

    def push(self, part: RowPlace, index: int) -> None:
        """Pushes the spans that a place had before its moments up to `index`, that one not counted.

        What is in the set is settled at the end.
        """
        first, part.pushed = part.pushed, index
        if first >= index:
            return
        rt, place = self.rt, part.place
        pushes = index - first
        objects = pushes * rt.layout[place.spanclass].nelems
        if not first:
            place.spend()
            objects -= rt.layout[place.spanclass].nelems
            s = part.cached
            if s is None:
                pushes -= 1
            else:
                objects += s.alloc_count - s.alloc_count_before_cache
                self._leave(s)
        last = int(part.moments[index - 1])
        for k, s in part.real:
            if k < last:
                s.alloc_count = s.free_index = s.nelems
                self._leave(s)
        part.real = [each for each in part.real if each[0] >= last]
        rt.central[place.spanclass].full_swept().tail += pushes
        rt.heap_stats.small_allocs[place.spanclass >> 1] += objects
        rt.pacer.total_alloc += objects * place.size

    def _leave(self, s: MSpan) -> None:
        s.sweepgen = self.rt.heap.sweepgen
        s.alloc_count_before_cache = 0

    def made(self, part: RowPlace, index: int) -> MSpan:
        """The record of the span that one of a place's moments brought, which is cached."""
        k = int(part.moments[index])
        heap, spanclass = self.rt.heap, part.place.spanclass
        s = heap.allspans[self._record(k)]
        if part.real and part.real[-1][0] == k:
            return s
        self.real_moments.append(k)
        run = bisect_right(self.page_moments, k) - 1
        page = self.pages[run][0] + k - self.page_moments[run]
        s.init(page << heap.page_shift, self.rt.layout[spanclass].npages, heap.page_size)
        heap.shape(s, spanclass)
        s.needzero = int(k in self.dirty)
        s.sweepgen = heap.sweepgen + 3
        s.state = IN_USE
        part.real.append((k, s))
        part.place.fresh.append((part.rank + index * s.nelems, s))
        return s

    def take_types(self, types: Mapping[int, ObjectTypes]) -> None:
        """What the objects of the spans that have no records yet are given, by span class."""
        if self.lazy is not None:
            self.lazy.types = types


def _ones(npages: list[int], i: int, most: int) -> int:
    """How many moments from i on, `most` at most, need one page."""
    n = 1
    while n < most and npages[i + n] == 1:
        n += 1
    return n
