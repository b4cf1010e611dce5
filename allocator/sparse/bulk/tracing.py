"""Following the stored pointers of a whole heap at once: objects are numbers, pointers are edges.

Spans of a class have numbers side by side. All words that are stored become edges from the object that they
lie in to the one that they point into, as far as that is allocated.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.edges import WordRows, alike, edges_of_rows
from allocator.common.bulk.numbers import ObjectNumbers, SpanColumns
from allocator.common.bulk.reach import Pointers, pointers_of, reach
from allocator.sparse.bulk.object_kinds import ObjectKinds

if TYPE_CHECKING:
    from allocator.sparse.gc import Collector
    from allocator.sparse.heap_core import HeapCore

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 17  # words of contents looked at together


def follow(collector: Collector) -> None:
    """Marks all that is reached from the grey objects, and scans it, as the collector would one by one."""
    core = collector.core
    heap = NumberedHeap(core)
    seen = heap.seen()
    before = seen.copy()
    grey = np.array(collector.grey, np.uint64)
    frontier = heap.of(grey)
    reach(_pointers(core, heap), frontier, seen)
    fresh = seen - before
    marked = np.add.reduceat(fresh, heap.first, dtype=np.int64)
    collector.bytes_marked += int(marked @ heap.columns.elemsize)
    scan_work = collector.scan_work
    spans = [heap.spans[k] for k in heap.spans_at(grey).tolist()]
    work = sum(scan_work.of_object(s, s.index_of(v)) for s, v in zip(spans, collector.grey, strict=True))
    collector.grey = []
    packed = np.packbits(fresh, bitorder="little").tobytes()
    changed = np.flatnonzero(marked)
    begin = heap.first[changed] >> 3
    ends = (begin + heap.width[changed]).tolist()
    for k, at, end in zip(changed.tolist(), begin.tolist(), ends, strict=True):
        bits = int.from_bytes(packed[at:end], "little")
        collector.set_mark(heap.spans[k], bits)
        work += scan_work.of_objects(heap.spans[k], bits)
    core.pacer.heap_scan_work += work


class NumberedHeap(ObjectNumbers):
    """The objects of the spans in use, those of a class together, by number."""

    def __init__(self, core: HeapCore) -> None:
        self.spans = sorted(core.in_use(), key=attrgetter("spanclass"))
        columns = SpanColumns(*(self._column(name) for name in SpanColumns._fields))
        super().__init__(columns, core.config.page_shift)
        self.spanclass = self._column("spanclass")

    def _column(self, name: str) -> Ints:
        """A field of all spans."""
        kind = np.uint64 if name in ("base", "limit") else np.int64
        return np.fromiter(map(attrgetter(name), self.spans), kind, len(self.spans))

    def seen(self) -> Ints:
        """A byte for each number: whether the object is marked already, or free."""
        packed = bytearray()
        for s, width in zip(self.spans, self.width.tolist(), strict=True):
            every = (1 << 8 * width) - 1
            packed += (every & ~s.allocated() | s.mark_bits).to_bytes(width, "little")
        return np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")


def _pointers(core: HeapCore, heap: NumberedHeap) -> Pointers:
    """All pointers in words where their objects have pointers."""
    memory = core.memory
    pages = np.array(list(memory.pages), np.uint64)
    spans = heap.spans_at(pages << np.uint64(memory.shift))
    keep = np.flatnonzero(spans < heap.count)
    keep = keep[heap.spanclass[spans[keep]] & 1 == 0]
    # By number: spans are in the order of their numbers, and pages of a span by address.
    keep = keep[np.lexsort((pages[keep], spans[keep]))]
    spans, pages = spans[keep], pages[keep].astype(np.int64)
    classes = heap.spanclass[spans]
    kinds = ObjectKinds(core)
    parts = [
        _edges_of(core, heap, spans[part], pages[part], kinds)
        # Each large object is a kind of its own.
        for part in alike(np.where(classes > 1, classes, -1 - spans), max(AT_ONCE // memory.per_page, 1))
    ]
    return pointers_of(parts, heap.total)


def _edges_of(
    core: HeapCore, heap: NumberedHeap, spans: Ints, pages: Ints, kinds: ObjectKinds
) -> tuple[Ints, Ints]:
    """Edges of pages of spans of one class, in the order of numbers: from and to."""
    memory = core.memory
    shift = memory.word_shift
    s = heap.spans[int(spans[0])]
    raw = b"".join([memory.all_of(memory.pages[page]) for page in pages.tolist()])
    numbers, which = np.unique(spans, return_inverse=True)
    pattern, tell = kinds.pointers([heap.spans[k] for k in numbers.tolist()], which)
    found = edges_of_rows(
        heap,
        WordRows(
            contents=np.frombuffer(raw, memory.typecode),
            per_page=memory.per_page,
            # Pages lie behind their spans' beginnings, whatever the sign of an address is.
            begin=((pages << memory.shift) - heap.base[spans].view(np.int64)) >> shift,
            first=heap.first.take(spans),
            words=s.elemsize >> shift,
            header=core.header_of(s) >> shift,
            nelems=s.nelems,
            pattern=pattern,
            tell=tell,
        ),
    )
    keep = np.flatnonzero(found.targets >= 0)
    return found.sources[keep], found.targets[keep]
