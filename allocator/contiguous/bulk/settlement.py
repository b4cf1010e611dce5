"""What a row of spans leaves behind: their columns, the page table, the lists, and what their places hold."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.moments import as_array
from allocator.contiguous.mspan import DEAD, FREE, IN_USE, NIL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from allocator.contiguous.bulk.places import BulkPlace
    from allocator.contiguous.bulk.row import SpanRow
    from allocator.contiguous.core import Core
    from allocator.contiguous.mcache import CachedSpan

Ints = np.ndarray[Any, np.dtype[Any]]


@dataclass(slots=True)
class Ends:
    """The ends of the columns of spans, where new records are; the few that are not new one by one."""

    ids: array[int]  # each span's record
    which: Ints  # and its place
    new: Ints  # the spans whose records are new
    at: Ints  # and where these are in the ends
    again: list[int]  # the other spans
    kind: Ints  # the place of each new record, one more than there are for none

    def fill(self, column: array[int], values: Ints, missing: int) -> None:
        """One value for each span."""
        end = np.full(len(self.kind), missing, np.int64)
        end[self.at] = values[self.new]
        column.frombytes(end.data.cast("B"))
        for i in self.again:
            column[self.ids[i]] = int(values[i])

    def by_place(self, values: Ints, *columns: array[int]) -> None:
        """One value for each place."""
        end = np.append(values, 0).take(self.kind).data.cast("B")
        for column in columns:
            column.frombytes(end)
            for i in self.again:
                column[self.ids[i]] = int(values[self.which[i]])

    def all(self, value: int, *columns: array[int]) -> None:
        """One value for all."""
        end = np.full(len(self.kind), value, np.int64).data.cast("B")
        for column in columns:
            column.frombytes(end)
            for i in self.again:
                column[self.ids[i]] = value

    def objects(self, value: Any, *columns: list[Any]) -> None:
        """One object for all."""
        end = [value] * len(self.kind)
        for column in columns:
            column.extend(end)
            for i in self.again:
                column[self.ids[i]] = value


class Settlement:
    """The first n spans of a row, to be written. `which` has their places; `ids` and `base` are theirs."""

    ids: array[int]
    base: Ints

    def __init__(self, row: SpanRow, n: int) -> None:
        self.row = row
        self.n = n
        self.rt = row.rt
        self.batch = row.batch
        self.growth = row.growth
        self.which = row.growth.which[row.first : row.first + n]

    def write(self) -> None:
        """Writes the columns, the page table, the lists, and what is left at the end."""
        rt = self.rt
        growth = self.growth
        heap, spans, stats = rt.heap, rt.spans, rt.stats
        shift = rt.config.page_shift
        n = self.n
        used = growth.pages[self.row.first + n] - growth.pages[self.row.first]
        if self.row.first_tail != NIL:
            heap.remove_free(self.row.first_tail, self.row.first_left)
        begins, many = np.array(self.row.names, np.int64).T
        ids = np.arange(n) + np.repeat(begins - np.cumsum(many) + many, many)
        self.ids = as_array(ids)
        npages = growth.npages[self.which]
        self._columns(n, ids, npages)
        stats.heap_inuse += used << shift
        stats.heap_idle -= used << shift
        stats.heap_live += used << shift
        heap.pages_in_use += used
        rt.sweep_spans.swept.extend(self.ids)
        heap.pages.fill(self.row.first_page - (heap.arena_start >> shift), as_array(np.repeat(ids, npages)))
        for t, (page, length, needzero, unused, generation) in self.row.dead.items():
            spans.state[t] = DEAD
            self._rest(t, page, length, needzero, unused, generation)
        if self.row.tail != NIL and self.row.left:
            t = self.row.tail
            page = self.row.page - (heap.arena_start >> shift)
            self._rest(
                t, self.row.page, self.row.left, self.row.needzero, self.row.unused, self.row.generation
            )
            spans.state[t] = FREE
            heap.pages.set(page, t)
            heap.pages.set(page + self.row.left - 1, t)
            heap.insert_free(t, self.row.left)
        self._places(n, ids)

    def _rest(self, t: int, page: int, length: int, needzero: int, unused: int, generation: int) -> None:
        """Writes a record that is not a span in use; the first stays as it was if nothing was cut off."""
        spans = self.rt.spans
        if t == self.row.first_tail and page == self.row.first_page:
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
        sizeclass, of_npages, of_nelems = self.growth.sizeclass, self.growth.npages, self.growth.nelems
        sizes = np.array(rt.class_to_size, np.int64)[sizeclass]
        which = self.which
        self.base = (self.row.first_page + np.cumsum(npages) - npages) << rt.config.page_shift
        after, before = self._links(n, ids)
        # Records that are new make up the columns' new ends; the few that are not are written one by one.
        count = self.row.total - self.row.old
        new = np.flatnonzero(ids >= self.row.old)
        at = ids[new] - self.row.old
        again = np.flatnonzero(ids < self.row.old).tolist() if len(new) < n else []
        kind = np.full(count, len(sizeclass))  # the place of each new record, one more: of none
        kind[at] = which[new]

        ends = Ends(self.ids, which, new, at, again, kind)
        if self.row.addresses:
            chunk, many = np.array(self.row.addresses, np.int64).T
            within = np.arange(count) - np.repeat(np.cumsum(many) - many, many)
            spans.self_addr.frombytes((np.repeat(chunk, many) + within * rt.spanalloc.size).data.cast("B"))
        ends.fill(spans.base, self.base, 0)
        ends.fill(spans.limit, self.base + (of_nelems * sizes)[which], 0)
        ends.fill(spans.next, after, NIL)
        ends.fill(spans.prev, before, NIL)
        ends.by_place(of_npages, spans.npages)
        ends.by_place(sizeclass, spans.sizeclass)
        ends.by_place(sizes, spans.elemsize)
        ends.by_place(of_nelems, spans.nelems, spans.free_index, spans.alloc_count)
        ends.all(IN_USE, spans.state)
        ends.all(rt.heap.sweepgen, spans.sweepgen)
        ends.all(0, spans.needzero, spans.npreleased, spans.unused_since)
        ends.objects(0, spans.alloc_bits, spans.mark_bits, spans.bits)
        ends.objects(False, spans.in_cache)
        ends.objects(None, spans.specials)
        spans.stack_free.extend([None] * count)
        spans.lengthened(count)
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
        classes = self.growth.sizeclass[self.which].astype(np.uint8)
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
            each = int(self.growth.nelems[int(self.which[part[0]])])
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
            # Every visit to the page heap flushes the visitor's counters.
            batch.flush(number, int(self.growth.times[self.row.first + k]))
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
