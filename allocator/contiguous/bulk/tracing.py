"""Following the stored pointers of a whole heap at once: objects are numbers, pointers are edges.

Objects are numbered in the order of their addresses, each span's from a multiple of eight on, so that the
numbers of a span are the bits of its mark bitmap. All words that are stored become edges from the object that
they lie in to the one that they point into. What is reached is written down only if no bad pointer is among
it; if one is, nothing has changed and the collector finds it in its own order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.reach import Edges, edges_of, reach
from allocator.contiguous.bulk.marking import column, extents_of, owners
from allocator.contiguous.heap_bitmap import LargeBits
from allocator.contiguous.mspan import IN_USE, NIL, STACK

if TYPE_CHECKING:
    from allocator.contiguous.core import Core
    from allocator.contiguous.gc import Collector

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 17  # words of contents looked at together


class Numbers:
    """The objects of all spans in use, by number. `total`, one more than the last, is a bad pointer."""

    def __init__(self, rt: Core) -> None:
        spans = rt.spans
        ids = np.flatnonzero(column(spans.state) == IN_USE)
        self.spans = ids[np.argsort(column(spans.base)[ids])]  # by address
        self.width = (column(spans.nelems)[self.spans] + 7) // 8  # bytes of mark bits
        ends = np.cumsum(self.width)
        self.total = int(ends[-1]) * 8 if len(ends) else 0
        self.first = np.full(len(spans) + 1, NIL)  # by span; the last is for NIL
        self.first[self.spans] = (ends - self.width) * 8

    def of(self, rt: Core, spans: Ints, addresses: Ints) -> Ints:
        """Addresses in those spans as numbers."""
        index = (addresses - column(rt.spans.base)[spans]) // column(rt.spans.elemsize)[spans]
        found: Ints = self.first[spans] + index
        return found


def follow(collector: Collector) -> bool:
    """Marks all that is reached from the grey objects. False: a bad pointer is; nothing was done."""
    rt = collector.rt
    numbers = Numbers(rt)
    seen = _marked(rt, numbers)
    extents = _extents(collector, numbers)
    grey = np.array(collector.grey, np.int64)
    frontier = numbers.of(rt, owners(rt, _pages(rt, grey)), grey)
    before = seen.copy()
    reach(_edges(rt, numbers, extents), frontier, seen)
    if seen[-1]:
        return False
    fresh = seen[:-1] - before[:-1]
    collector.scan_work += int(extents[frontier].sum()) + int(extents[:-1][fresh.view(bool)].sum())
    sizes = column(rt.spans.elemsize)
    bytes_grey = int(sizes[owners(rt, _pages(rt, grey))].sum())
    collector.bytes_marked += bytes_grey + _write_marks(rt, numbers, seen, fresh)
    collector.grey = []
    return True


def _pages(rt: Core, addresses: Ints) -> Ints:
    return (addresses - rt.heap.arena_start) >> rt.heap.page_shift


def _marked(rt: Core, numbers: Numbers) -> Ints:
    """A byte for each number, and one for bad pointers: whether the object is marked."""
    seen = np.zeros(numbers.total + 1, np.uint8)
    marks, first = rt.spans.mark_bits, numbers.first
    for s, width in zip(numbers.spans.tolist(), numbers.width.tolist(), strict=True):
        if marks[s]:
            packed = np.frombuffer(marks[s].to_bytes(width, "little"), np.uint8)
            seen[first[s] : first[s] + 8 * width] = np.unpackbits(packed, bitorder="little")
    return seen


def _write_marks(rt: Core, numbers: Numbers, seen: Ints, fresh: Ints) -> int:
    """Writes the marks back to the spans; bytes of the objects that are marked now and were not."""
    starts = numbers.first[numbers.spans]
    count = np.add.reduceat(fresh, starts, dtype=np.int64)
    packed = np.packbits(seen[:-1], bitorder="little").tobytes()
    changed = np.flatnonzero(count)
    names = numbers.spans[changed]
    begin = starts[changed] // 8
    marks = rt.spans.mark_bits
    for s, low, high in zip(
        names.tolist(), begin.tolist(), (begin + numbers.width[changed]).tolist(), strict=True
    ):
        marks[s] = int.from_bytes(packed[low:high], "little")
    return int((count[changed] * column(rt.spans.elemsize)[names]).sum())


def _extents(collector: Collector, numbers: Numbers) -> Ints:
    """Bytes that scanning reads of each object, by number."""
    rt = collector.rt
    spans = rt.spans
    ptr = rt.config.ptr_size
    extents = np.zeros(numbers.total + 1, np.int32 if max(spans.elemsize, default=0) < 1 << 31 else np.int64)
    drawn: dict[int, list[int]] = {}
    for s in numbers.spans.tolist():
        bits = spans.bits[s]
        if isinstance(bits, bytearray):
            drawn.setdefault(spans.sizeclass[s], []).append(s)
        elif isinstance(bits, LargeBits):
            extents[numbers.first[s]] = collector.scan_extent(s, 0)
        elif bits:
            extents[numbers.first[s] : numbers.first[s] + spans.nelems[s]] = spans.elemsize[s]
    for those in drawn.values():
        s = those[0]
        nelems, words = spans.nelems[s], spans.elemsize[s] // ptr
        step = max(AT_ONCE // (nelems * words), 1)
        for at in range(0, len(those), step):
            part = those[at : at + step]
            bitmaps = np.frombuffer(b"".join([spans.bits[s] for s in part]), np.uint8)  # type: ignore[misc]
            found = extents_of(bitmaps.reshape(len(part), -1), nelems, words, ptr)
            for first, row in zip(numbers.first[part].tolist(), found, strict=True):
                extents[first : first + nelems] = row
    return extents


def _edges(rt: Core, numbers: Numbers, extents: Ints) -> Edges:
    """All pointers that lie in pointer words, as far as their objects are scanned."""
    memory = rt.memory
    first = rt.heap.arena_start >> memory.shift
    pages = sorted(memory.pages)
    step = max(AT_ONCE // memory.per_page, 1)
    parts = [
        _edges_of(rt, numbers, extents, pages[at : at + step], first) for at in range(0, len(pages), step)
    ]
    sources = np.concatenate([source for source, _ in parts]) if parts else np.zeros(0, np.int64)
    targets = np.concatenate([target for _, target in parts]) if parts else np.zeros(0, np.int64)
    return edges_of(sources, targets, numbers.total + 1)


def _edges_of(rt: Core, numbers: Numbers, extents: Ints, pages: list[int], first: int) -> tuple[Ints, Ints]:
    """Edges of some pages, in the order of their addresses: from and to."""
    memory, spans, heap = rt.memory, rt.spans, rt.heap
    kind = np.uint64 if rt.config.ptr_size == 8 else np.uint32
    contents: Ints = np.frombuffer(b"".join([memory.all_of(memory.pages[page]) for page in pages]), kind)
    where = np.flatnonzero(contents)
    values = contents[where]
    which = where >> (memory.shift - memory.word_shift)
    inside = np.array(pages, np.int64) - first
    owner = np.full(len(pages), NIL)
    ours = np.flatnonzero((inside >= 0) & (inside < heap.arena_used - heap.arena_start >> heap.page_shift))
    if len(ours):
        owner[ours] = owners(rt, inside[ours])
    owner[column(spans.state)[owner] != IN_USE] = NIL
    bitmap = np.frombuffer(b"".join(_bitmaps(rt, pages, owner.tolist())), np.uint8)
    good = (values >= heap.arena_start) & (values < heap.arena_used)
    good &= (bitmap[where >> 2] >> (where & 3).astype(np.uint8) & 1).view(bool)
    keep = np.flatnonzero(good)
    where, which = where[keep], which[keep]
    values = values[keep].astype(np.int64)
    source_span = owner[which]
    address = (np.array(pages, np.int64) << memory.shift)[which]
    address += (where & (memory.per_page - 1)) << memory.word_shift
    offset = address - column(spans.base)[source_span]
    index, rest = np.divmod(offset, column(spans.elemsize)[source_span])
    # A page may be entered for a span that is elsewhere by now; what is not of an object becomes `total`.
    valid = (index >= 0) & (index < column(spans.nelems)[source_span])
    source = np.where(valid, numbers.first[source_span] + index, numbers.total)
    target = _targets(rt, numbers, values)
    keep = np.flatnonzero((rest < extents[source]) & (target >= 0))
    return source[keep], target[keep]


def _bitmaps(rt: Core, pages: list[int], owner: list[int]) -> list[bytes | bytearray]:
    """The heap bitmap of each page, none set where no span in use is."""
    spans, shift = rt.spans, rt.memory.shift
    each = rt.memory.per_page // 4
    uniform: dict[int, bytes] = {0: bytes(each)}
    found: list[bytes | bytearray] = []
    whole: tuple[int, bytes | bytearray] = (NIL, b"")
    for page, s in zip(pages, owner, strict=True):
        bits = spans.bits[s] if s >= 0 else 0
        if isinstance(bits, int):
            found.append(uniform.get(bits) or uniform.setdefault(bits, bytes((bits,)) * each))
            continue
        if whole[0] != s:
            whole = s, bits if isinstance(bits, bytearray) else rt.bitmap(s)
        at = (page - (spans.base[s] >> shift)) * each
        found.append(bytes(whole[1][at : at + each]).ljust(each, b"\0"))
    return found


def _targets(rt: Core, numbers: Numbers, values: Ints) -> Ints:
    """The numbers that addresses in the arena point at: below zero for nothing, `total` for a bad pointer."""
    if not len(values):
        return values
    spans = rt.spans
    span = owners(rt, _pages(rt, values))
    state = column(spans.state)[span]
    good = (state == IN_USE) & (values >= column(spans.base)[span]) & (values < column(spans.limit)[span])
    bad = ~good & (state != STACK) & rt.debug_invalidptr
    found = np.where(bad, numbers.total, NIL)
    keep = np.flatnonzero(good & (span != NIL))
    if len(keep) == len(found):
        return numbers.of(rt, span, values)
    found[keep] = numbers.of(rt, span[keep], values[keep])
    found[span == NIL] = NIL
    return found
