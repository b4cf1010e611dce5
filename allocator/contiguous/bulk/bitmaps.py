"""The heap bitmap of many objects at once: whole spans drawn together, or laid over what was there.

A word pair's four bits form a byte: pointer bits 0 and 1 and scan bits 4 and 5; such half
bytes are the unit here, since objects of 48 or 80 bytes begin in the middle of a byte. What a
stamp does to them, and what it leaves alone, is found by laying it down once on zeros and on ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.contiguous.heap_bitmap import NOTHING, press, press_noscan
from allocator.contiguous.mspan import NIL

if TYPE_CHECKING:
    from allocator.common.bulk.batch_layout import BatchLayout
    from allocator.common.bulk.compiled import CompiledLayout
    from allocator.common.bulk.supply import Piece
    from allocator.contiguous.bulk.places import BulkPlace
    from allocator.contiguous.heap_bitmap import Stamp
    from allocator.contiguous.plan import Plan
    from allocator.contiguous.runtime import Runtime

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 20  # bytes of bitmap drawn at a time


class Bitmaps:
    """The bitmaps of a batch. `numbers` are the objects' places in `plans` and one more; 0: no pointers."""

    def __init__(
        self, rt: Runtime, layout: BatchLayout | CompiledLayout, plans: list[Plan], numbers: Ints | int
    ) -> None:
        self.rt = rt
        self.layout = layout
        self.plans = plans
        self.numbers = numbers

    def write(self, place: BulkPlace) -> None:
        """Writes the bitmap of a place's objects."""
        rt = self.rt
        size = place.cached.size
        if size == rt.config.ptr_size == 8:
            return  # every word of these spans is a pointer, from the beginning
        numbers = self.numbers
        if not isinstance(numbers, int):
            numbers = self.layout.grouped(numbers, place.code)
            low = int(numbers.min())
            if low == int(numbers.max()):
                numbers = low
        rows = None
        if np.any(numbers):
            rows = _Rows(self.plans, place.sizeclass, size // rt.config.ptr_size)
        for piece in place.pieces:
            count = place.total - piece.first
            if count <= 0:
                break
            if piece.bounds is None:
                if rows is not None:
                    self._draw(piece, _part(numbers, piece.first, place.total), count, rows)
                continue
            for s, a, b in zip(piece.spans, piece.bounds, piece.bounds[1:], strict=False):
                if rows is not None or type(rt.spans.bits[s]) is bytearray:
                    mine = _part(numbers, piece.first + a, piece.first + b)
                    self._lay(place, s, piece.starts[a : min(b, count)], mine, rows)
        s = place.cached.span
        if s != NIL and type(bits := rt.spans.bits[s]) is bytearray:
            place.cached.bits = bits

    def _bytes(self, s: int) -> int:
        return (self.rt.spans.npages[s] << self.rt.config.page_shift) // self.rt.config.heap_bitmap_scale

    def _draw(self, piece: Piece, numbers: Ints | int, count: int, rows: _Rows) -> None:
        """Gives fresh spans the bitmaps of their objects; those that have no pointers stay without."""
        each, spans = piece.each, np.asarray(piece.spans).tolist()
        count = min(count, each * len(spans))
        bits = self.rt.spans.bits
        length = self._bytes(spans[0])
        if isinstance(numbers, int):
            whole = rows.draw(np.full((1, each), numbers), length)[0].tobytes()
            for s in spans[: count // each]:
                bits[s] = bytearray(whole)
            if count % each:
                rest = rows.draw(np.full((1, count % each), numbers), length)
                bits[spans[count // each]] = bytearray(rest[0].tobytes())
            return
        step = max(AT_ONCE // length, 1)
        for a in range(0, -(-count // each), step):
            part = numbers[a * each : min((a + step) * each, count)]
            if len(part) % each:
                part = np.append(part, np.zeros(-len(part) % each, part.dtype))
            part = part.reshape(-1, each)
            drawn = rows.draw(part, length).data.cast("B")
            for k in np.flatnonzero(part.any(axis=1)).tolist():
                bits[spans[a + k]] = bytearray(drawn[k * length : (k + 1) * length])

    def _lay(self, place: BulkPlace, s: int, starts: Ints, numbers: Ints | int, rows: _Rows | None) -> None:
        """Lays the bits of the objects at these addresses over what their span has."""
        bits = self.rt.spans.bits
        old = bits[s]
        if type(old) is not bytearray:
            if not np.any(numbers):
                return  # there is nothing that an object without pointers would have to clear
            old = bits[s] = bytearray(self._bytes(s))
        size = place.cached.size
        if rows is None:
            rows = _Rows(self.plans, place.sizeclass, size // self.rt.config.ptr_size)
        index = (starts - np.uint64(self.rt.spans.base[s])).astype(np.int64) // size
        rows.lay(old, index, numbers)


def _part(numbers: Ints | int, a: int, b: int) -> Ints | int:
    return numbers if isinstance(numbers, int) else numbers[a:b]


class _Rows:
    """What an object of each number leaves in its own half bytes, one row each.

    `keep` are the bits that stay as they were, apart for objects that begin at a whole byte and
    those that do not.
    """

    def __init__(self, plans: list[Plan], sizeclass: int, words: int) -> None:
        self.words = words
        self.units = words // 2
        self.whole = words % 4 == 0
        shape = len(plans) + 1, self.units
        self.values = np.zeros((2, *shape), np.uint8)
        self.keep = np.full((2, *shape), 0x33, np.uint8)
        for odd in range(2):
            word = 0 if self.whole else 2 * odd
            # A block without pointers: only its first word's bits are cleared, and only if there is a bitmap.
            self._try(odd, 0, word, None)
            for i, plan in enumerate(plans):
                if plan.sizeclass == sizeclass and plan.stamp.how != NOTHING:
                    self._try(odd, i + 1, word, plan.stamp)
        if self.whole:
            self.table: Ints = self.values[0, :, 0::2] | self.values[0, :, 1::2] << 2
            width = self.table.shape[1]
            if width in (2, 4, 8):
                # One element a row is looked up much faster than a row.
                self.table = self.table.view(f"u{width}")[:, 0]

    def _try(self, odd: int, number: int, word: int, what: Stamp | None) -> None:
        length = (self.words + word + 7) // 4
        low, high = bytearray(length), bytearray(b"\xff" * length)
        for bits in (low, high):
            if what is None:
                press_noscan(bits, word)
            else:
                press(bits, word, what)
        zeros, ones = _halves(low, word, self.units), _halves(high, word, self.units)
        self.values[odd, number] = zeros
        self.keep[odd, number] = ones & ~zeros

    def draw(self, numbers: Ints, length: int) -> Ints:
        """The bytes of fresh spans, a row of `length` each, whose first objects have these numbers."""
        spans = len(numbers)
        out = np.zeros((spans, length), np.uint8)
        if self.whole:
            drawn = self.table.take(numbers, axis=0).view(np.uint8).reshape(spans, -1)
            out[:, : drawn.shape[1]] = drawn
            return out
        # Objects without pointers leave a fresh bitmap as it is.
        units = self.values[0].take(numbers, axis=0).reshape(spans, -1)
        low, high = units[:, 0::2], units[:, 1::2]
        out[:, : low.shape[1]] = low
        out[:, : high.shape[1]] |= high << 2
        return out

    def lay(self, bits: bytearray, index: Ints, numbers: Ints | int) -> None:
        """Changes a span's bytes where those objects are."""
        data = np.frombuffer(bits, np.uint8)
        units = np.empty(2 * len(data), np.uint8)
        units[0::2] = data & 0x33
        units[1::2] = data >> 2 & 0x33
        objects = units[: len(units) // self.units * self.units].reshape(-1, self.units)
        odd = np.zeros(len(index), np.int64) if self.whole else index & 1
        objects[index] = objects[index] & self.keep[odd, numbers] | self.values[odd, numbers]
        data[:] = units[0::2] | units[1::2] << 2


def _halves(bits: bytearray, word: int, count: int) -> Ints:
    data = np.frombuffer(bits, np.uint8)
    units = np.stack((data & 0x33, data >> 2 & 0x33), axis=1).reshape(-1)
    return units[word // 2 : word // 2 + count]
