"""Following the stored pointers of a whole heap at once: objects are numbers, pointers are edges.

Spans of a class have numbers side by side. All words that are stored become edges from the object that they
lie in to the one that they point into, as far as that is allocated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.edges import add_edges, alike, pointers_of
from allocator.common.bulk.engine import note_followed
from allocator.common.bulk.held import Held
from allocator.common.bulk.word_rows import WordRows
from allocator.sparse.bulk.numbered_heap import NumberedHeap
from allocator.sparse.bulk.object_kinds import ObjectKinds

if TYPE_CHECKING:
    from allocator.common.at_once import Trial
    from allocator.common.bulk.compiled_edges import CompiledPointers
    from allocator.common.bulk.reach import Pointers
    from allocator.sparse.gc import Collector
    from allocator.sparse.heap_core import HeapCore

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 17  # words of contents looked at together


def follow(collector: Collector, trial: Trial) -> None:
    """Marks all that is reached from the grey objects, and scans it, as the collector would one by one."""
    core = collector.core
    heap = NumberedHeap(core)
    note_followed(heap.total)
    seen = heap.seen()
    before = seen.copy()
    grey = np.array(collector.grey, np.uint64)
    roots = heap.roots(trial, heap.of(grey), seen)
    pointers, held = _pointers(core, heap)
    pointers.reach(roots, seen)
    collector.stale = held.outside(seen)
    seen -= before
    scan_work = collector.scan_work
    spans = [heap.span(k) for k in heap.spans_at(grey).tolist()]
    work = sum(scan_work.of_object(s, s.index_of(v)) for s, v in zip(spans, collector.grey, strict=True))
    collector.grey = []
    core.pacer.heap_scan_work += work + heap.mark(collector, seen)


def _pointers(core: HeapCore, heap: NumberedHeap) -> tuple[Pointers | CompiledPointers, Held]:
    """All pointers in words where their objects have pointers, and which objects have words at all."""
    memory = core.memory
    pages = np.array(list(memory.pages), np.uint64)
    spans = heap.spans_at(pages << np.uint64(memory.shift))
    keep = np.flatnonzero(spans < heap.count)
    held = Held(heap, spans[keep])
    keep = keep[heap.spanclass[spans[keep]] & 1 == 0]
    # By number: spans are in the order of their numbers, and pages of a span by address.
    keep = keep[np.lexsort((pages[keep], spans[keep]))]
    spans, pages = spans[keep], pages[keep].astype(np.int64)
    classes = heap.spanclass[spans]
    kinds, pointers = ObjectKinds(core), pointers_of(heap, heap.total)
    # Each large object is a kind of its own.
    for part in alike(np.where(classes > 1, classes, -1 - spans), max(AT_ONCE // memory.per_page, 1)):
        add_edges(pointers, heap, _rows_of(core, heap, spans[part], pages[part], kinds), held)
    return pointers, held


def _rows_of(core: HeapCore, heap: NumberedHeap, spans: Ints, pages: Ints, kinds: ObjectKinds) -> WordRows:
    """Pages of spans of one class, in the order of numbers."""
    memory = core.memory
    shift = memory.word_shift
    s = heap.span(int(heap.like[spans[0]]))
    like = heap.like[spans]
    pattern, tell = kinds.pointers({k: heap.span(k) for k in dict.fromkeys(like.tolist())}, like)
    return WordRows(
        memory=memory,
        pages=[memory.pages[page] for page in pages.tolist()],
        per_page=memory.per_page,
        spans=spans,
        # Pages lie behind their spans' beginnings, whatever the sign of an address is.
        begin=((pages << memory.shift) - heap.base[spans].view(np.int64)) >> shift,
        first=heap.first.take(spans),
        words=s.elemsize >> shift,
        header=core.header_of(s) >> shift,
        nelems=s.nelems,
        pattern=pattern,
        tell=tell,
    )
