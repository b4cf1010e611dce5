"""The objects of a heap of today by number; spans that have no records are not given any."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.edges import alike
from allocator.common.bulk.numbers import ObjectNumbers, SpanColumns
from allocator.sparse.bulk.full_spans import FullSpans
from allocator.sparse.mspan import MSpan

if TYPE_CHECKING:
    from allocator.sparse.gc import Collector
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.span_records import Entry

Ints = np.ndarray[Any, np.dtype[Any]]

# Entries, the row of many that they are in, and which of it they are.
Member = tuple[Ints, FullSpans, Ints]

COLUMNS = (*SpanColumns._fields, "spanclass")


class NumberedHeap(ObjectNumbers):
    """The objects of the spans in use, those of a class together, by number.

    Of each span, `entries` has its record, or the number of that, `like` the place of a span with a record,
    itself or one whose objects are of the same type. `rows` are the places of spans without records, the
    row of many that they are in, and which of it they are.
    """

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        entries = core.heap.entries_in_use()
        members = self._members(entries)
        columns = self._columns(entries, members)
        order = np.argsort(columns["spanclass"], kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        self.entries = [entries[at] for at in order.tolist()]
        self.spanclass = columns.pop("spanclass")[order]
        self.rows = [(place[at], row, places) for at, row, places in members]
        self.like = np.arange(len(order))
        for at, row, _ in self.rows:
            for part in alike(self.spanclass[at]):
                self.like[at[part]] = place[self._first[row, int(self.spanclass[at[part.start]])]]
        spans = SpanColumns(**{name: column[order] for name, column in columns.items()})
        super().__init__(spans, core.config.page_shift)

    def _columns(self, entries: list[Entry], members: list[Member]) -> dict[str, Ints]:
        """What is to be known of all spans, by name."""
        made = [at for at, entry in enumerate(entries) if type(entry) is MSpan]
        columns = {name: np.zeros(len(entries), _kind(name)) for name in COLUMNS}
        for name, column in columns.items():
            values = map(attrgetter(name), [entries[at] for at in made])
            column[made] = np.fromiter(values, _kind(name), len(made))
        layouts = self.core.layout
        for at, row, places in members:
            columns["base"][at] = row.base[places]
            columns["spanclass"][at] = spanclass = row.spanclass[places]
            for name in ("elemsize", "nelems", "npages"):
                columns[name][at] = np.array(list(map(attrgetter(name), layouts))).take(spanclass)
            extent = np.array([layout.extent for layout in layouts], np.uint64)
            columns["limit"][at] = row.base[places] + extent.take(spanclass)
        return columns

    def _members(self, entries: list[Entry]) -> list[Member]:
        """The entries that are left without a record, by row, in the order of span classes.

        A record is given to one span of each class of a row, and to all of a class whose objects differ.
        """
        records = self.core.heap.allspans
        unmade = [k for k, entry in enumerate(entries) if type(entry) is int]
        rows = records.rows_of([entries[k] for k in unmade])  # type: ignore[misc]
        for k, row in zip(unmade, rows, strict=True):
            if type(row) is not FullSpans:
                entries[k] = records.of(entries[k])
        lazy = np.array([k for k, row in zip(unmade, rows, strict=True) if type(row) is FullSpans], np.int64)
        held: list[FullSpans] = [row for row in rows if type(row) is FullSpans]
        ids = np.fromiter(map(id, held), np.uint64, len(held))
        by_row = np.argsort(ids, kind="stable")
        found = []
        self._first: dict[tuple[FullSpans, int], int] = {}
        for those in alike(ids[by_row]):
            at = lazy[by_row[those]]
            row = held[by_row[those.start]]
            places = row.places([entries[k] for k in at.tolist()])
            order = np.argsort(row.spanclass[places], kind="stable")
            at, places = at[order], places[order]
            kept = np.ones(len(at), bool)
            for part in alike(row.spanclass[places]):
                spanclass = int(row.spanclass[places[part.start]])
                self._first[row, spanclass] = int(at[part.start])
                some = slice(part.start, part.start + 1) if row.alike(spanclass) else part
                kept[some] = False
                for k in at[some].tolist():
                    entries[k] = records.of(entries[k])
            found.append((at[kept], row, places[kept]))
        return found

    def span(self, place: int) -> MSpan:
        """The record of a span, which it is given if need be."""
        return self.core.heap.allspans.of(self.entries[place])

    def seen(self) -> Ints:
        """A byte for each number: whether the object is marked already, or free."""
        packed: list[bytes] = []
        widths = self.width.tolist()
        for part in alike(self.spanclass):
            width = widths[part.start]
            behind = (1 << 8 * width) - (1 << int(self.columns.nelems[part.start]))  # numbers of no object
            packed += [behind.to_bytes(width, "little")] * (part.stop - part.start)
        some = [
            (k, entry.allocated(), entry.mark_bits)
            for k, entry in enumerate(self.entries)
            if type(entry) is MSpan and (entry.mark_bits or entry.free_index < entry.nelems)
        ]
        for at, row, places in self.rows:
            if row.left or row.marks:
                left, marks = row.left, row.marks
                some += [
                    (k, left.get(place, -1), marks.get(place, 0))
                    for k, place in zip(at.tolist(), places.tolist(), strict=True)
                    if place in left or place in marks
                ]
        for k, allocated, marked in some:
            bits = int.from_bytes(packed[k], "little") if allocated < 0 else ~allocated
            packed[k] = ((1 << 8 * widths[k]) - 1 & bits | marked).to_bytes(widths[k], "little")
        return np.unpackbits(np.frombuffer(b"".join(packed), np.uint8), bitorder="little")

    def mark(self, collector: Collector, fresh: Ints) -> int:
        """Marks objects that were not marked, a byte for each number; the bytes that are scanned of them."""
        marked = self.counts(fresh)
        collector.bytes_marked += int(marked @ self.columns.elemsize)
        packed = np.packbits(fresh, bitorder="little").tobytes()
        begin = self.first >> 3
        work, scan_work = 0, collector.scan_work
        alone = np.ones(self.count, bool)
        for at, row, places in self.rows:
            alone[at] = False
            chosen = np.flatnonzero(marked[at])
            at, places = at[chosen], places[chosen]
            marks = row.marks
            ends = (begin[at] + self.width[at]).tolist()
            row.marked[places] += marked[at]
            new = [
                int.from_bytes(packed[low:high], "little")
                for low, high in zip(begin[at].tolist(), ends, strict=True)
            ]
            names = places.tolist()
            if marks:
                new = [marks.get(k, 0) | bits for k, bits in zip(names, new, strict=True)]
            marks.update(zip(names, new, strict=True))
            for part in alike(self.like[at]):
                one = self.span(int(self.like[at[part.start]]))
                work += scan_work.of_object(one, 0) * int(marked[at[part]].sum())
        changed = np.flatnonzero(marked)
        self._note_marked(changed)
        for k in changed[alone[changed]].tolist():
            s = self.span(k)
            low = int(begin[k])
            bits = int.from_bytes(packed[low : low + int(self.width[k])], "little")
            s.mark_bits |= bits
            work += scan_work.of_objects(s, bits)
        return work

    def _note_marked(self, spans: Ints) -> None:
        """Spans have marks (pageMarks)."""
        pages = np.sort((self.base[spans] >> self.shift).astype(np.int64))
        for part in alike(pages >> 9):
            bits = np.zeros(512, np.uint8)
            bits[pages[part] & 511] = 1
            first = int(pages[part.start]) & ~511
            self.core.heap.marked.add_bits(
                first, int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")
            )


def _kind(name: str) -> type[np.generic]:
    return np.uint64 if name in ("base", "limit") else np.int64
