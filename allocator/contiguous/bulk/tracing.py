"""Following the stored pointers of a whole heap at once: objects are numbers, pointers are edges.

Spans of a class have numbers side by side. All words that are stored become edges from the object that they
lie in to the one that they point into. What is reached is written down only if no bad pointer is among it; if
one is, nothing has changed and the collector finds it in its own order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.edges import Edges, WordRows, alike, edges_of_rows, in_words
from allocator.common.bulk.engine import note_followed
from allocator.common.bulk.numbers import ObjectNumbers, SpanColumns
from allocator.common.bulk.reach import Pointers, pointers_of, reach
from allocator.contiguous.bulk.marking import column, extents_of, owners
from allocator.contiguous.heap_bitmap import LargeBits
from allocator.contiguous.mspan import IN_USE, NIL, STACK

if TYPE_CHECKING:
    from allocator.common.at_once import Trial
    from allocator.contiguous.core import Core
    from allocator.contiguous.gc import Collector

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 17  # words of contents looked at together


class Numbers(ObjectNumbers):
    """The objects of all spans in use, by number. `total`, one more than the last, is a bad pointer.

    `ids` are the spans, those of a class together, by address.
    """

    def __init__(self, rt: Core) -> None:
        self.rt = rt
        spans = rt.spans
        ids = np.flatnonzero(column(spans.state) == IN_USE)
        self.ids = ids = ids[np.lexsort((column(spans.base)[ids], column(spans.sizeclass)[ids]))]
        columns = (spans.base, spans.limit, spans.elemsize, spans.nelems, spans.npages)
        super().__init__(SpanColumns(*(column(each)[ids] for each in columns)), rt.config.page_shift)

    def without_lost(self, edges: Edges) -> tuple[Ints, Ints]:
        """Sources and targets of edges to objects, and to `total` where the pointer is bad."""
        sources, targets, missed = edges
        if not len(missed):
            return sources, targets
        lost = np.flatnonzero(targets < 0)
        if self.rt.debug_invalidptr:
            heap = self.rt.heap
            inside = np.flatnonzero((missed >= heap.arena_start) & (missed < heap.arena_used))
            if len(inside):
                pages = (missed[inside].astype(np.int64) - heap.arena_start) >> heap.page_shift
                span = owners(self.rt, pages)
                bad = (span != NIL) & (column(self.rt.spans.state)[span] != STACK)
                targets[lost[inside[bad]]] = self.total
        keep = np.flatnonzero(targets >= 0)
        return sources[keep], targets[keep]


def follow(collector: Collector, trial: Trial) -> bool:
    """Marks all that is reached from the grey objects. False: a bad pointer is; nothing was done."""
    rt = collector.rt
    numbers = Numbers(rt)
    note_followed(numbers.total)
    seen = _marked(rt, numbers)
    extents = _extents(collector, numbers)
    grey = np.array(collector.grey, np.uint64)
    frontier = numbers.of(grey)
    before = seen.copy()
    roots = numbers.roots(trial, frontier, seen)
    reach(_pointers(rt, numbers, extents), roots, seen)
    if seen[-1]:
        return False
    fresh = seen[:-1] - before[:-1]
    collector.scan_work += int(extents[frontier].sum()) + _sum_of(extents, fresh, numbers)
    bytes_grey = int(numbers.columns.elemsize[numbers.spans_at(grey)].sum())
    collector.bytes_marked += bytes_grey + _write_marks(rt, numbers, seen, fresh)
    collector.grey = []
    return True


def _marked(rt: Core, numbers: Numbers) -> Ints:
    """A byte for each number, and one for bad pointers: whether the object is marked."""
    seen = np.zeros(numbers.total + 1, np.uint8)
    marks = rt.spans.mark_bits
    for s, first, width in zip(
        numbers.ids.tolist(), numbers.first.tolist(), numbers.width.tolist(), strict=True
    ):
        if marks[s]:
            packed = np.frombuffer(marks[s].to_bytes(width, "little"), np.uint8)
            seen[first : first + 8 * width] = np.unpackbits(packed, bitorder="little")
    return seen


def _write_marks(rt: Core, numbers: Numbers, seen: Ints, fresh: Ints) -> int:
    """Writes the marks back to the spans; bytes of the objects that are marked now and were not."""
    count = numbers.counts(fresh)
    packed = np.packbits(seen[:-1], bitorder="little").tobytes()
    changed = np.flatnonzero(count)
    begin = numbers.first[changed] // 8
    marks = rt.spans.mark_bits
    for s, low, high in zip(
        numbers.ids[changed].tolist(), begin.tolist(), (begin + numbers.width[changed]).tolist(), strict=True
    ):
        marks[s] = int.from_bytes(packed[low:high], "little")
    return int((count[changed] * numbers.columns.elemsize[changed]).sum())


def _extents(collector: Collector, numbers: Numbers) -> Ints:
    """Bytes that scanning reads of each object, by number."""
    rt = collector.rt
    spans = rt.spans
    ptr = rt.config.ptr_size
    extents = np.zeros(numbers.total + 1, np.min_scalar_type(max(spans.elemsize, default=0)))
    drawn: dict[int, list[tuple[int, int]]] = {}
    for s, first in zip(numbers.ids.tolist(), numbers.first.tolist(), strict=True):
        bits = spans.bits[s]
        if isinstance(bits, bytearray):
            drawn.setdefault(spans.sizeclass[s], []).append((s, first))
        elif isinstance(bits, LargeBits):
            extents[first] = collector.scan_extent(s, 0)
        elif bits:
            extents[first : first + spans.nelems[s]] = spans.elemsize[s]
    for those in drawn.values():
        s = those[0][0]
        nelems, words = spans.nelems[s], spans.elemsize[s] // ptr
        step = max(AT_ONCE // (nelems * words), 1)
        for at in range(0, len(those), step):
            part = those[at : at + step]
            bitmaps = np.frombuffer(b"".join([spans.bits[s] for s, _ in part]), np.uint8)  # type: ignore[misc]
            found = extents_of(bitmaps.reshape(len(part), -1), nelems, words, ptr)
            begin, end, width = part[0][1], part[-1][1], (nelems + 7) // 8 * 8
            if end - begin == (len(part) - 1) * width:
                # Their numbers lie side by side.
                extents[begin : end + width].reshape(-1, width)[:, :nelems] = found
                continue
            for (_, first), row in zip(part, found, strict=True):
                extents[first : first + nelems] = row
    return extents


def _sum_of(extents: Ints, fresh: Ints, numbers: Numbers) -> int:
    """Of those objects."""
    total = 0
    ends = [*numbers.first.tolist(), numbers.total]
    for part in alike(numbers.columns.elemsize):
        these = slice(ends[part.start], ends[part.stop])
        each, chosen = extents[these], fresh[these]
        if each.min() == each.max():
            total += int(each[0]) * int(np.count_nonzero(chosen))
        else:
            total += int((each * chosen).sum(dtype=np.int64))
    return total


def _pointers(rt: Core, numbers: Numbers, extents: Ints) -> Pointers:
    """All pointers that lie in pointer words, as far as their objects are scanned."""
    memory = rt.memory
    words = in_words(extents, memory.word_shift)
    pages = np.array(list(memory.pages), np.uint64)
    spans = numbers.spans_at(pages << np.uint64(memory.shift)).astype(np.int64)
    keep = np.flatnonzero(spans < numbers.count)
    keep = keep[np.lexsort((pages[keep], spans[keep]))]  # by number
    spans, pages = spans[keep], pages[keep].astype(np.int64)
    classes = column(rt.spans.sizeclass)[numbers.ids[spans]]
    # Each large object is a kind of its own.
    kinds = np.where(classes > 0, classes, -1 - spans)
    parts = [
        _edges_of(rt, numbers, words, spans[part], pages[part])
        for part in alike(kinds, max(AT_ONCE // memory.per_page, 1))
    ]
    return pointers_of(parts, numbers.total + 1)


def _edges_of(rt: Core, numbers: Numbers, words: Ints, spans: Ints, pages: Ints) -> tuple[Ints, Ints]:
    """Edges of pages of spans of one class, in the order of numbers: from and to."""
    memory, columns = rt.memory, numbers.columns
    s = int(spans[0])
    raw = b"".join([memory.all_of(memory.pages[page]) for page in pages.tolist()])
    found = edges_of_rows(
        numbers,
        WordRows(
            contents=np.frombuffer(raw, memory.typecode),
            per_page=memory.per_page,
            begin=((pages << memory.shift) - columns.base[spans]) >> memory.word_shift,
            first=numbers.first.take(spans),
            words=int(columns.elemsize[s]) >> memory.word_shift,
            header=0,
            nelems=int(columns.nelems[s]),
            bitmap=np.frombuffer(
                b"".join(_bitmaps(rt, pages.tolist(), numbers.ids[spans].tolist())), np.uint8
            ),
        ),
        words,
    )
    return numbers.without_lost(found)


def _bitmaps(rt: Core, pages: list[int], owner: list[int]) -> list[bytes | bytearray]:
    """The heap bitmap of each page."""
    spans, shift = rt.spans, rt.memory.shift
    each = rt.memory.per_page // 4
    uniform: dict[int, bytes] = {}
    found: list[bytes | bytearray] = []
    whole: tuple[int, bytes | bytearray] = (NIL, b"")
    for page, s in zip(pages, owner, strict=True):
        bits = spans.bits[s]
        if isinstance(bits, int):
            found.append(uniform.get(bits) or uniform.setdefault(bits, bytes((bits,)) * each))
            continue
        if whole[0] != s:
            whole = s, bits if isinstance(bits, bytearray) else rt.bitmap(s)
        at = (page - (spans.base[s] >> shift)) * each
        found.append(bytes(whole[1][at : at + each]).ljust(each, b"\0"))
    return found
