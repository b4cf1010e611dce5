"""What the heap bitmaps of all spans say: how much of each object is scanned, and which words are pointers.

Spans of a class often have the same bitmap, since programs make many objects of a type. Those are read once.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.edges import OF_FOUR, alike, in_words
from allocator.common.bulk.word_rows import NOTHING
from allocator.contiguous.bulk.marking import column, extents_of
from allocator.contiguous.heap_bitmap import LargeBits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.common.bulk.numbers import ObjectNumbers
    from allocator.contiguous.gc import Collector

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 17  # words of spans whose bitmaps are looked at together


class SpanBits:
    """The bitmaps of spans in the order of their numbers.

    `extents` are the bytes that scanning reads of each object, by number, and `each` those of every object
    of a span, -1 where they differ. `like` is the place of a span whose bitmap is the same, maybe itself.
    """

    def __init__(self, collector: Collector, numbers: ObjectNumbers, ids: Ints) -> None:
        self.collector = collector
        self.rt = rt = collector.rt
        self.numbers = numbers
        self.ids = ids
        self.ptr = rt.config.ptr_size
        self.extents = np.zeros(numbers.total + 1, np.min_scalar_type(max(rt.spans.elemsize, default=0)))
        self.each = np.full(numbers.count, -1)
        self.like = np.arange(numbers.count)
        self._pages: dict[int, Ints] = {}
        for part in alike(column(rt.spans.sizeclass)[ids]):
            if rt.spans.sizeclass[int(ids[part.start])]:
                self._read(part)
            else:
                self._read_large(part)

    def _read_large(self, part: slice) -> None:
        """Reads the bitmaps of large objects."""
        bits, scan_extent = self.rt.spans.bits, self.collector.scan_extent
        found = [scan_extent(s, 0) if bits[s] else 0 for s in self.ids[part].tolist()]
        self.extents[self.numbers.first[part]] = found
        self.each[part] = found

    def _read(self, part: slice) -> None:
        """Reads the bitmaps of spans of one size class."""
        bits = self.rt.spans.bits
        held = [bits[s] for s in self.ids[part].tolist()]
        usual = held[len(held) // 2]  # the first and the last may not be full
        alike = np.fromiter([each == usual for each in held], bool, len(held))
        self.like[part][alike] = part.start + len(held) // 2
        row = self._row_of(usual, part.start)
        self._enter(part, row[None])
        if (row == row[0]).all():
            self.each[part][alike] = row[0]
        drawn = []
        for k in np.flatnonzero(~alike).tolist():
            if isinstance(held[k], bytearray):
                drawn.append(part.start + k)
            else:
                row = self._row_of(held[k], part.start)
                self._enter(slice(part.start + k, part.start + k + 1), row[None])
        self._draw(drawn)

    def _row_of(self, bits: bytearray | int | LargeBits, place: int) -> Ints:
        """The extents of the objects of a span like one with such bits."""
        if isinstance(bits, bytearray):
            row: Ints = self._extents_of([bits], place)[0]
            return row
        columns = self.numbers.columns
        return np.full(columns.nelems[place], columns.elemsize[place] if bits else 0)

    def _draw(self, places: list[int]) -> None:
        """Works the extents of spans of one class out, whose bitmaps differ."""
        if not places:
            return
        bits, ids = self.rt.spans.bits, self.ids.tolist()
        columns = self.numbers.columns
        words = int(columns.nelems[places[0]] * columns.elemsize[places[0]]) // self.ptr
        step = max(AT_ONCE // words, 1)
        for at in range(0, len(places), step):
            these = places[at : at + step]
            rows = self._extents_of([bits[ids[k]] for k in these], these[0])
            if these[-1] - these[0] == len(these) - 1:
                self._enter(slice(these[0], these[-1] + 1), rows)
                continue
            for k, row in zip(these, rows, strict=True):
                self._enter(slice(k, k + 1), row[None])

    def _extents_of(self, bitmaps: Sequence[bytes | bytearray], place: int) -> Ints:
        """The extents of spans like one, a row for each."""
        columns = self.numbers.columns
        packed = np.frombuffer(b"".join(bitmaps), np.uint8).reshape(len(bitmaps), -1)
        nelems, words = int(columns.nelems[place]), int(columns.elemsize[place]) // self.ptr
        return extents_of(packed, nelems, words, self.ptr)

    def _enter(self, part: slice, rows: Ints) -> None:
        """Enters the extents of spans of one class, side by side; one row may be for all."""
        begin, width = int(self.numbers.first[part.start]), int(self.numbers.width[part.start]) * 8
        end = begin + (part.stop - part.start) * width
        self.extents[begin:end].reshape(-1, width)[:, : rows.shape[1]] = rows

    @cached_property
    def words(self) -> Ints:
        """The same as `extents` in words."""
        return in_words(self.extents, self.rt.memory.word_shift)

    def sum_of(self, count: Ints, fresh: Ints) -> int:
        """The extents of some objects, a byte for each; count: how many they are of each span."""
        each = self.each.copy()
        total = 0
        ends = [*self.numbers.first.tolist(), self.numbers.total]
        for part in alike(self.numbers.columns.elemsize):
            differ = np.flatnonzero(each[part] < 0)
            if len(differ):
                low, high = part.start + int(differ[0]), part.start + int(differ[-1]) + 1
                each[low:high] = 0
                these = slice(ends[low], ends[high])
                total += int((self.extents[these] * fresh[these]).sum(dtype=np.int64))
        return total + int(each @ count)

    def page_of(self, places: Ints) -> Ints:
        """A byte for each word of a page, whether it is a pointer that is scanned, if spans have one page and
        all have the same bitmap; nothing otherwise."""
        place = int(self.like[places[0]])
        columns = self.numbers.columns
        nelems, words = int(columns.nelems[place]), int(columns.elemsize[place]) // self.ptr
        if nelems * words > self.rt.memory.per_page or not (self.like[places] == place).all():
            return NOTHING
        found = self._pages.get(place)
        if found is None:
            bitmap = np.frombuffer(self.rt.bitmap(int(self.ids[place])), np.uint8)
            found = OF_FOUR.take(bitmap).view(np.uint8)[: self.rt.memory.per_page]
            first = int(self.numbers.first[place])
            extents = self.extents[first : first + nelems, None] // self.ptr
            found[: nelems * words] &= (np.arange(words) < extents).reshape(-1)
            self._pages[place] = found
        return found
