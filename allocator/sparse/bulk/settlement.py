"""What a row of spans leaves behind: the page table, the lists, and what its places hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.sparse.bulk.full_spans import FullSpans

if TYPE_CHECKING:
    from allocator.sparse.bulk.row import RowPlace, SpanRow

Ints = np.ndarray[Any, np.dtype[Any]]


class RowSettlement:
    """The spans of a row that were taken, to be written down."""

    def __init__(self, row: SpanRow) -> None:
        self.row = row
        self.rt = row.rt
        self.n = row.done
        self.spanclass = np.array([part.place.spanclass for part in row.parts], np.uint8)[row.which[: self.n]]

    def write(self) -> None:
        """All of it."""
        if not self.n:
            return
        row = self.row
        self._flush_counters()
        first, counts = np.array(row.pages, np.int64).T
        pages = np.repeat(first - np.array(row.page_moments), counts) + np.arange(self.n)
        base = (pages << self.rt.config.page_shift).astype(np.uint64)
        rank = np.zeros(self.n, np.int64)
        for part in row.parts:
            self._place(part, base, rank)
        highest, many = np.array(row.records, np.int64).T
        self.numbers = np.repeat(highest + np.array(row.record_moments), many) - np.arange(self.n)
        for part in row.parts:
            self._full(part)
        self._records(base, rank)
        self._page_table()

    def _flush_counters(self) -> None:
        """The cache's counters were emptied when the last spans were fetched."""
        row, rt, batch = self.row, self.rt, self.row.batch
        rt.pacer.heap_scan += batch.cache.scan_alloc
        batch.cache.scan_alloc = 0
        batch.refilled = max(batch.refilled, int(row.moments.times[row.first + self.n - 1]))
        for part in row.parts:
            done = int(part.moments.searchsorted(self.n))
            # The first one replaces nothing, where nothing was cached.
            if part.place.spanclass == rt.tiny_spanclass and done > int(part.cached is None):
                rt.heap_stats.tiny_allocs += batch.cache.tiny_allocs
                batch.cache.tiny_allocs = 0
                at = row.first + int(part.moments[done - 1])
                batch.tiny_refilled = max(batch.tiny_refilled, int(row.moments.times[at]))

    def _place(self, part: RowPlace, base: Ints, rank: Ints) -> None:
        """Gives a place its spans' objects, and the last span to cache."""
        done = int(part.moments.searchsorted(self.n))
        if not done:
            return
        self.row.push(part, done)
        if not part.lost:
            s = self.row.made(part, done - 1)
            if part.place.cached.span is not s:
                part.place.cached.open(s)
        each = self.rt.layout[part.place.spanclass].nelems
        mine = part.moments[:done]
        rank[mine] = part.rank + np.arange(done) * each
        part.place.supply(mine, base[mine], each)

    def _full(self, part: RowPlace) -> None:
        """The spans that a place had before are in the set of full ones, in their order."""
        spans = self.rt.central[part.place.spanclass].full_swept().spans
        # Those that were fetched by themselves are there already, without the others between them.
        fetched = [spans.pop() for _ in range(len(spans) - part.before)]
        pushed = part.pushed
        if part.lost and fetched and fetched[0] is part.last:
            pushed += 1
        if not pushed:
            return
        if part.cached is not None:
            spans.append(part.cached)
        spans.extend(self.numbers[part.moments[: pushed - 1]].tolist())

    def _records(self, base: Ints, rank: Ints) -> None:
        """The spans that have no records yet."""
        row = self.row
        unmade = np.ones(self.n, bool)
        unmade[row.real_moments] = False
        at = np.flatnonzero(unmade)
        if not len(at):
            return
        numbers = self.numbers[at]
        row.lazy = lazy = FullSpans(self.rt, numbers, at, base, self.spanclass, rank, row.dirty)
        # Runs of numbers: where those that there are begin and end.
        known = np.zeros(len(lazy.at) + 2, np.int8)
        known[numbers - (lazy.first - 1)] = 1
        edges = np.flatnonzero(np.diff(known)) + lazy.first
        for first, end in edges.reshape(-1, 2).tolist():
            self.rt.heap.allspans.fill(first, end - first, lazy)

    def _page_table(self) -> None:
        """Enters the spans for their pages, and sets those pages' bits."""
        row, heap = self.row, self.rt.heap
        inline = np.array([layout.inline_marks for layout in self.rt.layout])[self.spanclass]
        records = self.numbers.tolist()
        for (page, n), k in zip(row.pages, row.page_moments, strict=True):
            if n > 1 or row.npages is None or row.npages[k] == 1:
                heap.table.set_each(page, records[k : k + n])
            else:
                heap.table.set_range(page, row.npages[k], records[k])
            heap.in_use.add_bits(page, (1 << n) - 1)
            marks = np.packbits(inline[k : k + n], bitorder="little").tobytes()
            heap.inline.add_bits(page, int.from_bytes(marks, "little"))
