"""Following the stored pointers of a whole heap at once: objects are numbers, pointers are edges.

Spans of a class have numbers side by side. All words that are stored become edges from the object that they
lie in to the one that they point into. What is reached is written down only if no bad pointer is among it; if
one is, nothing has changed and the collector finds it in its own order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.edges import add_edges, alike, pointers_of
from allocator.common.bulk.engine import note_followed
from allocator.common.bulk.held import Held
from allocator.common.bulk.numbers import NONE, ObjectNumbers, SpanColumns
from allocator.common.bulk.word_rows import ALL, NOTHING, WordRows
from allocator.contiguous.bulk.marking import column, owners
from allocator.contiguous.bulk.span_bits import SpanBits
from allocator.contiguous.mspan import IN_USE, NIL, STACK

if TYPE_CHECKING:
    from allocator.common.at_once import Trial
    from allocator.common.bulk.compiled_edges import CompiledPointers
    from allocator.common.bulk.reach import Pointers
    from allocator.contiguous.core import Core
    from allocator.contiguous.gc import Collector

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 17  # words of contents looked at together


class Numbers(ObjectNumbers):
    """The objects of all spans in use, by number. `total`, one more than the last, is a bad pointer,
    and so is a number of no object.

    `ids` are the spans, those of a class together, by address.
    """

    def __init__(self, rt: Core) -> None:
        self.rt = rt
        spans = rt.spans
        ids = np.flatnonzero(column(spans.state) == IN_USE)
        self.ids = ids = ids[np.lexsort((column(spans.base)[ids], column(spans.sizeclass)[ids]))]
        columns = (spans.base, spans.limit, spans.elemsize, spans.nelems, spans.npages)
        super().__init__(SpanColumns(*(column(each)[ids] for each in columns)), rt.config.page_shift)

    def stray(self, addresses: Ints) -> Ints:
        """`total` for a bad pointer."""
        found = np.full(len(addresses), NONE)
        if self.rt.debug_invalidptr:
            heap = self.rt.heap
            inside = np.flatnonzero((addresses >= heap.arena_start) & (addresses < heap.arena_used))
            if len(inside):
                pages = (addresses[inside].astype(np.int64) - heap.arena_start) >> heap.page_shift
                span = owners(self.rt, pages)
                bad = (span != NIL) & (column(self.rt.spans.state)[span] != STACK)
                found[inside[bad]] = self.total
        return found


def follow(collector: Collector, trial: Trial) -> bool:
    """Marks all that is reached from the grey objects. False: a bad pointer is; nothing was done."""
    rt = collector.rt
    numbers = Numbers(rt)
    note_followed(numbers.total)
    seen = _marked(rt, numbers)
    bits = SpanBits(collector, numbers, numbers.ids)
    grey = np.array(collector.grey, np.uint64)
    frontier = numbers.of(grey)
    if not rt.debug_invalidptr:
        seen[numbers.unused] = 1
    before = seen.copy()
    roots = numbers.roots(trial, frontier, seen)
    pointers, held = _pointers(rt, numbers, bits)
    pointers.reach(roots, seen)
    if rt.debug_invalidptr and (seen[-1] or seen[numbers.unused].any()):
        return False
    seen[numbers.unused] = before[numbers.unused] = 0
    fresh = seen[:-1] - before[:-1]
    count = numbers.counts(fresh)
    collector.scan_work += int(bits.extents[frontier].sum()) + bits.sum_of(count, fresh)
    bytes_grey = int(numbers.columns.elemsize[numbers.spans_at(grey)].sum())
    collector.bytes_marked += bytes_grey + int(count @ numbers.columns.elemsize)
    _write_marks(rt, numbers, seen, count)
    collector.grey = []
    collector.stale = held.outside(seen)
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


def _write_marks(rt: Core, numbers: Numbers, seen: Ints, count: Ints) -> None:
    """Writes the marks back to the spans of which so many objects are marked now and were not."""
    packed = np.packbits(seen[:-1], bitorder="little").tobytes()
    changed = np.flatnonzero(count)
    begin = numbers.first[changed] // 8
    marks = rt.spans.mark_bits
    for s, low, high in zip(
        numbers.ids[changed].tolist(), begin.tolist(), (begin + numbers.width[changed]).tolist(), strict=True
    ):
        marks[s] = int.from_bytes(packed[low:high], "little")


def _pointers(rt: Core, numbers: Numbers, bits: SpanBits) -> tuple[Pointers | CompiledPointers, Held]:
    """All pointers in pointer words, as far as their objects are scanned, and what objects have any words."""
    memory = rt.memory
    pages = np.array(list(memory.pages), np.uint64)
    spans = numbers.spans_at(pages << np.uint64(memory.shift)).astype(np.int64)
    keep = np.flatnonzero(spans < numbers.count)
    keep = keep[np.lexsort((pages[keep], spans[keep]))]  # by number
    spans, pages = spans[keep], pages[keep].astype(np.int64)
    classes = column(rt.spans.sizeclass)[numbers.ids[spans]]
    # Each large object is a kind of its own.
    kinds = np.where(classes > 0, classes, -1 - spans)
    held, pointers = Held(numbers, spans), pointers_of(numbers, numbers.total + 1)
    for part in alike(kinds, max(AT_ONCE // memory.per_page, 1)):
        add_edges(pointers, numbers, _rows_of(rt, numbers, bits, spans[part], pages[part]), held)
    return pointers, held


def _rows_of(rt: Core, numbers: Numbers, bits: SpanBits, spans: Ints, pages: Ints) -> WordRows:
    """Pages of spans of one class, in the order of numbers."""
    memory, columns = rt.memory, numbers.columns
    s = int(spans[0])
    page = bits.page_of(spans)
    bitmap = NOTHING
    if not len(page):
        bitmap = np.frombuffer(b"".join(_bitmaps(rt, pages.tolist(), numbers.ids[spans].tolist())), np.uint8)
    return WordRows(
        memory=memory,
        pages=[memory.pages[page] for page in pages.tolist()],
        per_page=memory.per_page,
        spans=spans,
        begin=((pages << memory.shift) - columns.base[spans]) >> memory.word_shift,
        first=numbers.first.take(spans),
        words=int(columns.elemsize[s]) >> memory.word_shift,
        header=0,
        nelems=int(columns.nelems[s]),
        page=page,
        bitmap=bitmap,
        extents=ALL if len(page) else bits.words,
    )


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
