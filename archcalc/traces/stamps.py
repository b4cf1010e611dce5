"""The heap bitmap of many objects at once: what each leaves in it, as rows of a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allocator.contiguous.heap_bitmap import NOTHING, PAIR, Stamp

if TYPE_CHECKING:
    import numpy as np

    from allocator.contiguous.mcache import CachedSpan
    from allocator.contiguous.runtime import Runtime

    Array = np.ndarray[Any, np.dtype[Any]]

ALL_BITS = (1 << 64) - 1
NUMBERS = (1, 2, 4, 8)  # so many bytes are a number to NumPy
# What was handed out of a span, which an mcache had at that place: from which rank to which.
Piece = tuple["CachedSpan", int, int, int]


class Stamps:
    """The stamps that a size class's objects leave in the bitmap, numbered, and as arrays (`tables`).

    Stamp 0 stands for an object without pointers; `how` is NOTHING as long as there is no other.
    """

    def __init__(self) -> None:
        self.how = NOTHING
        self.stamps: list[Stamp] = [Stamp(NOTHING)]
        self.numbers: dict[int, int] = {}
        self.tables: list[tuple[Array, Array]] | None = None

    def number(self, mark: Stamp) -> int:
        """The number of a stamp."""
        number = self.numbers.get(id(mark))
        if number is None:
            number = self.numbers[id(mark)] = len(self.stamps)
            self.stamps.append(mark)
            self.how = mark.how or self.how
            self.tables = None
        return number

    def lay_down(
        self, np: Any, rt: Runtime, pieces: list[Piece], addresses: Array, stamps: Array, bare: bool
    ) -> None:
        """Lays down the stamps of objects of the class in the bitmaps of their spans, all at once.

        A piece is a place of an mcache, the span that it had, and the ranks of the objects out of it;
        addresses and stamps go by rank. `bare` says that there may be some without pointers. No object
        stands in two pieces.
        """
        words = pieces[0][0].size >> rt.word_shift
        if words == 1:
            return
        bits = rt.spans.bits
        pieces = [
            (cached, s, a, b)
            for cached, s, a, b in pieces
            # Where no object has pointers there is nothing to write in a bitmap that nobody has written in.
            if type(bits[s]) is bytearray or (self.how != NOTHING and stamps[a:b].any())
        ]
        if not pieces:
            return
        if self.tables is None:
            self.tables = _tables(np, self.stamps, words)
        # The bitmaps of those spans side by side, each once. As if the spans lay side by side too, an address
        # minus its piece's origin is where the object is.
        number: dict[int, int] = {}
        origins: list[int] = []
        base, scale = rt.spans.base, rt.config.heap_bitmap_scale
        for cached, s, _, _ in pieces:
            opened = rt.open_bits_of(s)
            if cached.span == s:
                cached.bits = opened
            at = number.setdefault(s, len(number))
            origins.append((base[s] - at * len(opened) * scale) & ALL_BITS)
        memory = bytearray().join([bits[s] for s in number])  # type: ignore[misc]
        sizes = np.array([b - a for _, _, a, b in pieces])
        which = np.concatenate([stamps[a:b] for _, _, a, b in pieces])
        where = np.concatenate([addresses[a:b] for _, _, a, b in pieces])
        where -= np.repeat(np.array(origins, np.uint64), sizes)
        self._write(
            np, np.frombuffer(memory, np.uint8), words, where.view(np.int64) >> rt.word_shift, which, bare
        )
        length = len(memory) // len(number)
        for at, s in enumerate(number):
            bits[s][:] = memory[at * length : (at + 1) * length]  # type: ignore[index]

    def _write(self, np: Any, view: Array, words: int, at: Array, stamps: Array, bare: bool) -> None:
        """Writes stamps of objects of so many words into `view`; `at` are their first words."""
        assert self.tables is not None
        if words & 3 == 0:
            keep, body = self.tables[0]
            length = words >> 2
            where = at >> 2
            if body.ndim == 1:
                view = view.view(body.dtype)
                where //= length
            else:
                where = where[:, None] + np.arange(length)
            if bare:
                view[where] = view[where] & keep.take(stamps, 0) | body.take(stamps, 0)
            else:
                view[where] = body.take(stamps, 0)
            return
        # Two objects share the byte in the middle, and neither touches the other's bits.
        length = words >> 2
        for odd, (keep, body) in enumerate(self.tables):
            mine = np.flatnonzero((at & 2) == 2 * odd)
            which = stamps.take(mine)
            where = at.take(mine) >> 2
            if length:
                where = where[:, None] + np.arange(length + 1)
            view[where] = view[where] & keep.take(which, 0) | body.take(which, 0)


def _tables(np: Any, stamps: list[Stamp], words: int) -> list[tuple[Array, Array]]:
    """Stamps as arrays: the bits that each leaves as they were, and those that it sets.

    A row a stamp, row 0 for objects without pointers, which clear the bits of their first word.
    Where two objects share a byte there are two tables, for those in the first half of their
    first byte and in the second.
    """
    marks = stamps[1:]
    if words & 3 == 0:
        length = words >> 2
        rows = [(b"\xee" + b"\xff" * (length - 1), bytes(length))]
        rows += [(bytes(length), mark.body) for mark in marks]
        return [_table(np, rows, length in NUMBERS)]
    length = (words >> 2) + 1
    first = [(b"\xee" + b"\xff" * (length - 1), bytes(length))]
    second = [(b"\xbb" + b"\xff" * (length - 1), bytes(length))]
    for mark in marks:
        if mark.how == PAIR:
            first.append((bytes((~mark.clear & 0xFF,)), bytes((mark.tail,))))
            second.append((bytes((~(mark.clear << 2) & 0xFF,)), bytes((mark.tail << 2 & 0xFF,))))
        else:
            inner = length - 1
            first.append((bytes(inner) + bytes((0xCC,)), mark.body + bytes((mark.tail,))))
            second.append((bytes((~(0x13 << 2) & 0xFF,)) + bytes(inner), bytes((mark.head,)) + mark.rest))
    return [_table(np, first, length == 1), _table(np, second, length == 1)]


def _table(np: Any, rows: list[tuple[bytes, bytes]], numbers: bool) -> tuple[Array, Array]:
    """Rows of two kinds of bytes as two matrices, or as two lists of numbers of so many bytes."""
    found = []
    for part in (0, 1):
        flat = np.frombuffer(b"".join(row[part] for row in rows), np.uint8)
        found.append(flat.view(f"u{len(rows[0][0])}") if numbers else flat.reshape(len(rows), -1))
    return found[0], found[1]
