"""A row of spans, cut one after the other, with what each needs of the OS and of persistent memory."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from allocator.contiguous.bulk.settlement import Settlement
from allocator.contiguous.mspan import NIL

if TYPE_CHECKING:
    from allocator.contiguous.bulk.batch import Batch
    from allocator.contiguous.bulk.growth import BulkGrowth
    from allocator.contiguous.core import Core


class SpanRow:
    """One uninterrupted row of spans, the moments from `first` up to `end`."""

    batch: Batch
    rt: Core
    first: int

    def __init__(self, growth: BulkGrowth, first: int, end: int) -> None:
        self.growth = growth
        self.batch = growth.batch
        self.rt = growth.rt
        self.first = first
        self.end = end
        # The spans' ids: one, and how many in a row from it on.
        self.names: list[tuple[int, int]] = []
        self.rt.spans.end()
        self.old = self.total = len(self.rt.spans)
        self.addresses: list[tuple[int, int]] = []  # of new records: the first, and how many
        # Runs that were merged into longer ones: page, length, needzero, unused_since, sweepgen.
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
            Settlement(self, i - first).write()
        return i - first

    def _name(self, s: int, many: int) -> None:
        """The next spans are that record and those after it."""
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
        npages, nelems = int(growth.npages[which]), int(growth.nelems[which])
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
