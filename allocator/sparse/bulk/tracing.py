"""Following the stored pointers of a whole heap at once: objects are numbers, pointers are edges.

Objects are numbered span by span, those of a class together, each span's from a multiple of eight on, so
that the numbers of a span are the bits of its mark bitmap. All words that are stored become edges from the
object that they lie in to the one that they point into, as far as that is allocated.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.reach import Edges, edges_of, reach
from allocator.sparse.bulk.object_kinds import ObjectKinds

if TYPE_CHECKING:
    from allocator.sparse.gc import Collector
    from allocator.sparse.heap_core import HeapCore

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 18  # words of contents looked at together
DENSE = 1 << 22  # pages between the first and the last span up to which a table has an entry for each


def follow(collector: Collector) -> None:
    """Marks all that is reached from the grey objects, and scans it, as the collector would one by one."""
    core = collector.core
    heap = NumberedHeap(core)
    seen = heap.seen()
    before = seen.copy()
    grey = np.array(collector.grey, np.uint64)
    frontier = heap.numbers(grey)
    reach(_edges(core, heap), frontier, seen)
    fresh = seen - before
    marked = np.add.reduceat(fresh, heap.first, dtype=np.int64)
    collector.bytes_marked += int(marked @ heap.elemsize)
    scan_work = collector.scan_work
    spans = [heap.spans[k] for k in heap.spans_at(grey).tolist()]
    work = sum(scan_work.of_object(s, s.index_of(v)) for s, v in zip(spans, collector.grey, strict=True))
    collector.grey = []
    packed = np.packbits(fresh, bitorder="little").tobytes()
    for k in np.flatnonzero(marked).tolist():
        begin = int(heap.first[k]) >> 3
        bits = int.from_bytes(packed[begin : begin + int(heap.width[k])], "little")
        collector.set_mark(heap.spans[k], bits)
        work += scan_work.of_objects(heap.spans[k], bits)
    core.pacer.heap_scan_work += work


class NumberedHeap:
    """The spans in use, those of a class together, and their columns; objects by number.

    `first` is the number of a span's first object, `width` the bytes of its mark bits, `magic` what an offset
    is multiplied with to be divided by the span's object size, as Go does.
    """

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self.spans = sorted(core.in_use(), key=lambda s: s.spanclass)
        rows = [(s.base, s.limit, s.elemsize, s.nelems, s.spanclass, s.npages) for s in self.spans]
        table = np.array(rows, np.uint64)
        self.base, self.limit = table[:, 0], table[:, 1]
        self.elemsize, self.nelems = table[:, 2].astype(np.int64), table[:, 3].astype(np.int64)
        self.spanclass, self.npages = table[:, 4].astype(np.int64), table[:, 5].astype(np.int64)
        self.noscan = self.spanclass & 1 == 1
        self.width = (self.nelems + 7) >> 3
        ends = np.cumsum(self.width)
        self.first = (ends - self.width) * 8
        self.total = int(ends[-1]) * 8
        self.magic = np.where(self.nelems == 1, 0, -(-(1 << 32) // self.elemsize)).astype(np.uint64)
        self._enter_pages()

    def _enter_pages(self) -> None:
        """From pages to spans: by a table, or by search where they are too far apart."""
        pages = (self.base >> np.uint64(self.core.config.page_shift)).astype(np.int64)
        self.low = int(pages.min())
        count = int((pages + self.npages).max()) - self.low
        self.pages: Ints | None = None
        if count <= DENSE:
            self.pages = np.full(count, -1, np.int32)
            each = np.repeat(np.arange(len(pages), dtype=np.int32), self.npages)
            ends = np.cumsum(self.npages)
            within = np.arange(len(each)) - np.repeat(ends - self.npages, self.npages)
            self.pages[pages[each] - self.low + within] = each
        self.order = np.argsort(self.base)

    def spans_at(self, addresses: Ints) -> Ints:
        """The span whose objects an address lies among; -1 for none (spanOfHeap)."""
        if self.pages is not None:
            page = (addresses >> np.uint64(self.core.config.page_shift)).astype(np.int64) - self.low
            known = (page >= 0) & (page < len(self.pages))
            found = self.pages.take(page, mode="clip")
        else:
            at = np.searchsorted(self.base, addresses, "right", sorter=self.order) - 1
            known = at >= 0
            found = self.order.take(at, mode="clip")
        # A span before the first, and none, are the last one here, which `known` or the sign tells.
        known &= (found >= 0) & (addresses >= self.base[found]) & (addresses < self.limit[found])
        return found if known.all() else np.where(known, found, -1)

    def numbers(self, addresses: Ints) -> Ints:
        """The numbers of the objects that addresses point into; -1 for none."""
        spans = self.spans_at(addresses)
        index = (((addresses - self.base[spans]) * self.magic[spans]) >> np.uint64(32)).astype(np.int64)
        index += self.first[spans]
        lost = spans < 0
        if lost.any():
            index[lost] = -1
        return index

    def seen(self) -> Ints:
        """A byte for each number: whether the object is marked already, or free."""
        packed = bytearray()
        for s, width in zip(self.spans, self.width.tolist(), strict=True):
            every = (1 << 8 * width) - 1
            packed += (every & ~s.allocated() | s.mark_bits).to_bytes(width, "little")
        return np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")


def _edges(core: HeapCore, heap: NumberedHeap) -> Edges:
    """All pointers in words where their objects have pointers."""
    memory = core.memory
    pages = np.array(list(memory.pages), np.uint64)
    spans = heap.spans_at(pages << np.uint64(memory.shift))
    # A page's first byte may lie after the last object of a span, but then no object is on the page.
    keep = np.flatnonzero(spans >= 0)
    keep = keep[~heap.noscan[spans[keep]]]
    # By number: spans are in the order of their numbers, and pages of a span by address.
    keep = keep[np.lexsort((pages[keep], spans[keep]))]
    kinds = ObjectKinds(core)
    parts: list[tuple[Ints, Ints]] = []
    step = max(AT_ONCE // memory.per_page, 1)
    rows = list(zip(spans[keep].tolist(), pages[keep].tolist(), strict=True))
    for _, group in groupby(rows, key=lambda row: heap.spans[row[0]].spanclass or -row[0]):
        mine = list(group)
        for at in range(0, len(mine), step):
            parts.append(_edges_of(core, heap, mine[at : at + step], kinds))
    sources = np.concatenate([source for source, _ in parts]) if parts else np.zeros(0, np.int64)
    targets = np.concatenate([target for _, target in parts]) if parts else np.zeros(0, np.int64)
    return edges_of(sources, targets, heap.total)


def _edges_of(
    core: HeapCore, heap: NumberedHeap, rows: list[tuple[int, int]], kinds: ObjectKinds
) -> tuple[Ints, Ints]:
    """Edges of pages of spans of one class, in the order of numbers: from and to."""
    memory = core.memory
    shift = memory.word_shift
    s = heap.spans[rows[0][0]]
    words, header = s.elemsize >> shift, core.header_of(s) >> shift
    raw = b"".join([memory.all_of(memory.pages[page]) for _, page in rows])
    contents: Ints = np.frombuffer(raw, np.uint64 if core.config.ptr_size == 8 else np.uint32)
    where = np.flatnonzero(contents)
    values = contents[where].astype(np.uint64, copy=False)
    spans, pages = np.array(rows, np.uint64).T
    spans = spans.astype(np.int64)
    # Of each page: the word of its span that it begins with.
    begin = (((pages << np.uint64(memory.shift)) - heap.base[spans]) >> np.uint64(shift)).astype(np.int64)
    row = where >> (memory.shift - shift)
    word = (where & memory.per_page - 1) + begin[row]
    index = word // words
    offset = word - index * words - header
    good = (offset >= 0) & (index < s.nelems)
    numbers, which = np.unique(spans, return_inverse=True)
    those = [heap.spans[k] for k in numbers.tolist()]
    good &= kinds.are_pointers(those, which[row], index, offset)
    keep = np.flatnonzero(good)
    target = heap.numbers(values[keep])
    source = heap.first[spans[row[keep]]] + index[keep]
    found = np.flatnonzero(target >= 0)
    return source[found], target[found]
