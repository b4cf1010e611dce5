"""Spans cut one after the other from the end of a heap that has nothing else free.

Which span comes where is then a sum over pages. What has to be gone through are the moments at
which somebody needs the OS or persistent memory, in the allocator's own order: the heap
(a megabyte), the span records (16 KB), allspans, the sweep buffer's blocks, the arenas of
mark bits, the heap profile.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.throw import Death
from allocator.contiguous.bulk.snapshot import Snapshot
from allocator.contiguous.gc import OFF
from allocator.contiguous.mspan import DEAD, FREE, IN_USE, NIL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from allocator.contiguous.bulk.batch import Batch
    from allocator.contiguous.bulk.places import BulkPlace
    from allocator.contiguous.core import Core
    from allocator.contiguous.mcache import CachedSpan

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
            n = _Run(self, first, end).play()
        except Death:
            # Up to the span that cannot be had once more, and that one by itself.
            before.restore()
            n = _Run(self, first, self.dying).play() if self.dying > first else 0
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


def only_free_span(rt: Core) -> int | None:
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


def _sums(each: Ints, which: Ints) -> array[int]:
    """What all before a moment take, from no moment at all to all of them."""
    sums = np.zeros(len(which) + 1, np.int64)
    np.cumsum(each[which], out=sums[1:])
    return as_array(sums)


def as_array(values: Ints) -> array[int]:
    """The same numbers, of 64 bits, as the columns have them."""
    found = array("q")
    found.frombytes(np.ascontiguousarray(values, np.int64).data.cast("B"))
    return found


class _Run:
    """One uninterrupted row of spans, the moments from `first` up to `end`."""

    def __init__(self, growth: BulkGrowth, first: int, end: int) -> None:
        self.growth = growth
        self.batch = growth.batch
        self.rt = growth.rt
        self.first = first
        self.end = end
        # The spans' ids: one, and how many in a row from it on.
        self.names: list[tuple[int, int]] = []
        self.ids = array("q")
        self.old = self.total = len(self.rt.spans)
        self.addresses: list[tuple[int, int]] = []  # of new records: the first, and how many
        # Runs that were joined to longer ones: page, length, needzero, unused_since, sweepgen.
        self.dead: dict[int, tuple[int, int, int, int, int]] = {}
        # The free run at the heap's end, of `left` pages from `page` on, that spans are cut from.
        heap, spans = self.rt.heap, self.rt.spans
        found = only_free_span(self.rt)
        self.tail = self.first_tail = NIL if found is None else found
        if self.tail == NIL:
            self.first_page, self.left = heap.arena_used >> heap.page_shift, 0
            self.needzero = self.unused = self.generation = 0
        else:
            tail = self.tail
            self.first_page, self.left = spans.base[tail] >> heap.page_shift, spans.npages[tail]
            self.needzero, self.unused = spans.needzero[tail], spans.unused_since[tail]
            self.generation = spans.sweepgen[tail]
        self.first_left = self.left
        self.page = self.first_page

    def play(self) -> int:
        """Takes the spans; how many."""
        rt = self.rt
        growth = self.growth
        heap, records, arenas = rt.heap, rt.spanalloc, rt.arenas
        pages, bits = growth.pages, growth.bits
        first, end = self.first, self.end
        swept = rt.sweep_spans.bufs[heap.sweepgen // 2 % 2]
        blocks = rt.config.sweep_block_entries
        depth = len(swept.spans) - first
        i = first
        sampled = self._sample(i)
        while i < end:
            growth.dying = i
            stop = bisect_right(pages, pages[i] + self.left, i, end + 1) - 1
            # Until then nobody but the span records needs memory.
            stop = min(
                stop,
                swept.blocks * blocks - depth,
                sampled,
                i + len(records.free_list) + records.allspans_cap - self.total,
            )
            if stop > i and arenas.next:
                room = arenas.capacity - arenas.next_free
                stop = bisect_right(bits, bits[i] + room, i, stop + 1) - 1
            if stop > i and arenas.next:
                used = pages[stop] - pages[i]
                self.page += used
                self.left -= used
                self._name(self.tail, 1)
                if self.left:
                    self._records(stop - i - 1, i)
                    self.tail = self._record(stop - 1)
                else:
                    self._records(stop - i - 1, i)
                    self.tail = NIL
                arenas.next_free += bits[stop] - bits[i]
                i = stop
            else:
                if not self._step(i, depth + i):
                    break
                i += 1
            if i == sampled:
                sampled = self._sample(i)
        if i > first:
            self._settle(i - first)
        return i - first

    def _name(self, s: int, many: int) -> None:
        """The next spans are that record and those behind it."""
        if self.names and self.names[-1][0] + self.names[-1][1] == s:
            self.names[-1] = self.names[-1][0], self.names[-1][1] + many
        else:
            self.names.append((s, many))

    def _sample(self, i: int) -> int:
        """Takes the profile's samples up to the moment i; how many spans are taken before the next one."""
        profile, times = self.batch.profile, self.growth.times
        if profile is None:
            return self.end
        while True:
            # Whoever asks for a span gets it before it is sampled.
            before = int(times.searchsorted(t := profile.next(), "right"))
            if before > i or i == self.end:
                return before
            profile.take(t, later=True)

    def _records(self, n: int, i: int) -> None:
        """The next n span records are the next spans', freed ones first; that of the moment i asks first."""
        records = self.rt.spanalloc
        records.inuse += n * records.size
        while n and records.free_list:
            s = records.free_list.pop()
            self._revive(s)
            self._name(s, 1)
            n -= 1
            i += 1
        while n:
            many = min(n, records.nchunk // records.size)
            if not many:
                self.rt.cache = self.batch.places[int(self.growth.which[i])].cache
                records.provide(self.total)
                continue
            self._name(self._fresh(many), many)
            n -= many
            i += many

    def _fresh(self, many: int) -> int:
        """So many records that were never used, for which there must be memory; the first of them."""
        records = self.rt.spanalloc
        if self.addresses and self.addresses[-1][0] + self.addresses[-1][1] * records.size == records.chunk:
            self.addresses[-1] = self.addresses[-1][0], self.addresses[-1][1] + many
        else:
            self.addresses.append((records.chunk, many))
        records.chunk += many * records.size
        records.nchunk -= many * records.size
        self.total += many
        self.generation = 0
        return self.total - many

    def _revive(self, s: int) -> None:
        """A freed record is used again; what it was before is in its columns or in `dead`."""
        if s in self.dead:
            self.generation = self.dead.pop(s)[4]
        else:
            self.generation = self.rt.spans.sweepgen[s]

    def _record(self, i: int) -> int:
        """A span record for what the moment i leaves over, its memory asked for if there is none."""
        records = self.rt.spanalloc
        if records.free_list:
            s = records.free_list.pop()
            self._revive(s)
        else:
            if records.nchunk < records.size or self.total >= records.allspans_cap:
                self.rt.cache = self.batch.places[int(self.growth.which[i])].cache
                records.provide(self.total)
            s = self._fresh(1)
        records.inuse += records.size
        return s

    def _step(self, i: int, depth: int) -> bool:
        """One span with all that it may need, in the allocator's order. False: not from this reservation."""
        rt = self.rt
        heap = rt.heap
        growth = self.growth
        which = int(growth.which[i])
        npages, nelems = int(growth.of_place[1][which]), int(growth.of_place[2][which])
        ask = rt.config.heap_alloc_chunk
        rt.cache = self.batch.places[which].cache
        if self.left < npages:
            if ask > heap.arena_end - heap.arena_used:
                return False
            self._grow(i, ask, ask >> rt.config.page_shift)
        s = self.tail
        self.page += npages
        self.left -= npages
        self._name(s, 1)
        self.tail = self._record(i) if self.left else NIL
        rt.sweep_spans.bufs[heap.sweepgen // 2 % 2].provide(depth)
        rt.arenas.new_bits(nelems)
        rt.arenas.new_bits(nelems)
        return True

    def _grow(self, i: int, ask: int, npages: int) -> None:
        """mheap.grow, when what it gets joins what is left."""
        rt = self.rt
        heap = rt.heap
        v = heap.sys_alloc(ask)
        generation = self.generation
        grown = self._record(i)
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
        growth = self.growth
        heap, spans, stats = rt.heap, rt.spans, rt.stats
        shift = rt.config.page_shift
        self.which = growth.which[self.first : self.first + n]
        used = growth.pages[self.first + n] - growth.pages[self.first]
        if self.first_tail != NIL:
            heap._remove_free(self.first_tail, self.first_left)
        begins, many = np.array(self.names, np.int64).T
        ids = np.arange(n) + np.repeat(begins - np.cumsum(many) + many, many)
        self.ids = as_array(ids)
        npages = growth.of_place[1][self.which]
        self._columns(n, ids, npages)
        stats.heap_inuse += used << shift
        stats.heap_idle -= used << shift
        stats.heap_live += used << shift
        heap.pages_in_use += used
        rt.sweep_spans.swept.extend(self.ids)
        heap.pages.fill(self.first_page - (heap.arena_start >> shift), as_array(np.repeat(ids, npages)))
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
        self._places(n, ids)

    def _rest(self, t: int, page: int, length: int, needzero: int, unused: int, generation: int) -> None:
        """Writes a record that is no span in use; the first of all is what it was if nothing was cut off."""
        spans = self.rt.spans
        if t == self.first_tail and page == self.first_page:
            spans.npages[t] = length
        else:
            spans.init(t, page << self.rt.config.page_shift, length)
        spans.needzero[t] = needzero
        spans.unused_since[t] = unused
        spans.sweepgen[t] = generation

    def _columns(self, n: int, ids: Ints, npages: Ints) -> None:
        """The spans' own fields."""
        rt = self.rt
        spans = rt.spans
        sizeclass, of_npages, of_nelems = self.growth.of_place
        sizes = np.array(rt.class_to_size, np.int64)[sizeclass]
        which = self.which
        self.base = (self.first_page + np.cumsum(npages) - npages) << rt.config.page_shift
        after, before = self._links(n, ids)
        # Records that are new make up the columns' new ends; the few that are not are written one by one.
        count = self.total - self.old
        new = np.flatnonzero(ids >= self.old)
        at = ids[new] - self.old
        again = np.flatnonzero(ids < self.old).tolist() if len(new) < n else []
        kind = np.full(count, len(sizeclass))  # the place of each new record, one more: of none
        kind[at] = which[new]

        def fill(column: array[int], values: Ints, missing: int) -> None:
            end = np.full(count, missing, np.int64)
            end[at] = values[new]
            column.frombytes(end.data.cast("B"))
            for i in again:
                column[self.ids[i]] = int(values[i])

        def fill_by_place(values: Ints, *columns: array[int]) -> None:
            end = np.append(values, 0).take(kind).data.cast("B")
            for column in columns:
                column.frombytes(end)
                for i in again:
                    column[self.ids[i]] = int(values[which[i]])

        def fill_all(value: int, *columns: array[int]) -> None:
            end = np.full(count, value, np.int64).data.cast("B")
            for column in columns:
                column.frombytes(end)
                for i in again:
                    column[self.ids[i]] = value

        def fill_objects(value: Any, *columns: list[Any]) -> None:
            end = [value] * count
            for column in columns:
                column.extend(end)
                for i in again:
                    column[self.ids[i]] = value

        if self.addresses:
            chunk, many = np.array(self.addresses, np.int64).T
            within = np.arange(count) - np.repeat(np.cumsum(many) - many, many)
            spans.self_addr.frombytes((np.repeat(chunk, many) + within * rt.spanalloc.size).data.cast("B"))
        fill(spans.base, self.base, 0)
        fill(spans.limit, self.base + (of_nelems * sizes)[which], 0)
        fill(spans.next, after, NIL)
        fill(spans.prev, before, NIL)
        fill_by_place(of_npages, spans.npages)
        fill_by_place(sizeclass, spans.sizeclass)
        fill_by_place(sizes, spans.elemsize)
        fill_by_place(of_nelems, spans.nelems, spans.free_index, spans.alloc_count)
        fill_all(IN_USE, spans.state)
        fill_all(rt.heap.sweepgen, spans.sweepgen)
        fill_all(0, spans.needzero, spans.npreleased, spans.unused_since)
        fill_objects(0, spans.alloc_bits, spans.mark_bits, spans.bits)
        fill_objects(False, spans.in_cache)
        fill_objects(None, spans.specials)
        spans.stack_free.extend([None] * count)
        lists = np.array([*(rt.central[c].empty for c in sizeclass.tolist()), None], object)
        spans.on_list.extend(lists.take(kind).tolist())
        for i in again:
            spans.on_list[self.ids[i]] = lists[which[i]]
        if rt.config.ptr_size == 8:
            # Objects of one word can only be pointers.
            for i in np.flatnonzero((sizes == 8)[which]).tolist():
                spans.bits[self.ids[i]] = 0xFF

    def _by_place(self) -> Iterator[tuple[BulkPlace, Ints]]:
        """Each place that took spans, and which of the row they are."""
        order = np.argsort(self.which.astype(np.uint16), kind="stable")  # by counting: few bits
        found = np.flatnonzero(np.diff(self.which[order], prepend=-1))
        for a, b in zip(found.tolist(), [*found[1:].tolist(), len(order)], strict=True):
            yield self.batch.places[int(self.which[order[a]])], order[a:b]

    def _links(self, n: int, ids: Ints) -> tuple[Ints, Ints]:
        """The spans in line at the end of their class's list; also sets the lists' ends."""
        rt = self.rt
        spans = rt.spans
        classes = self.growth.of_place[0][self.which].astype(np.uint8)
        order = np.argsort(classes, kind="stable")
        line = ids[order]
        after = np.empty(n, np.int64)
        before = np.empty(n, np.int64)
        after[order[:-1]] = line[1:]
        before[order[1:]] = line[:-1]
        first = np.flatnonzero(np.diff(classes[order], prepend=0))
        ends = np.append(first[1:], n) - 1
        after[order[ends]] = NIL
        for begin, end in zip(first.tolist(), ends.tolist(), strict=True):
            lst = rt.central[int(classes[order[begin]])].empty
            before[order[begin]] = lst.last
            if lst.last != NIL:
                spans.next[lst.last] = line[begin]
            else:
                lst.first = int(line[begin])
            lst.last = int(line[end])
        return after, before

    def _places(self, n: int, ids: Ints) -> None:
        """Gives every place its spans' objects, and the last span to cache."""
        rt = self.rt
        spans = rt.spans
        batch = self.batch
        last_of: dict[int, int] = {}
        for place, part in self._by_place():
            cached = place.cached
            if cached.span != NIL:
                spent(rt, cached)
                spans.in_cache[cached.span] = False
            each = int(self.growth.of_place[2][int(self.which[part[0]])])
            place.supply(ids[part], self.base[part].astype(np.uint64), each)
            last = self.ids[part[-1]]
            spans.in_cache[last] = True
            spans.free_index[last] = spans.alloc_count[last] = 0
            cached.span = last
            cached.base = spans.base[last]
            cached.bits = None
            cached.next = cached.end = cached.start = cached.base
            number = place.code >> 8
            last_of[number] = max(last_of.get(number, 0), int(part[-1]))
        for number, k in last_of.items():
            # Every visit to the page heap flushes the counters of who comes.
            batch.flush(number, int(self.growth.times[self.first + k]))
            rt.flush_local_scan(batch.caches[number])
        if n:
            rt.cache = batch.places[int(self.which[n - 1])].cache


def spent(rt: Core, cached: CachedSpan) -> None:
    """The cached span has given all it had."""
    s = cached.span
    if s != NIL:
        spans = rt.spans
        spans.alloc_count[s] = spans.free_index[s] = spans.nelems[s]
        cached.next = cached.end = cached.start = cached.base + spans.nelems[s] * cached.size
