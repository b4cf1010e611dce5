"""The heap bitmap of many objects at once: what each leaves in it, as bytes of a few long arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allocator.contiguous.heap_bitmap import HALF, HEAD_CLEAR, NOTHING, PAIR, Stamp, press, press_noscan

if TYPE_CHECKING:
    import numpy as np

    from allocator.contiguous.mcache import CachedSpan
    from allocator.contiguous.runtime import Runtime

    Array = np.ndarray[Any, np.dtype[Any]]

# What was handed out of a span, which an mcache had at that place: from which rank to which.
Piece = tuple["CachedSpan", int, int, int]
ALL_BITS = (1 << 64) - 1
LONGEST = 64  # bytes of bitmap up to which objects are laid down together; longer ones are quicker one by one
# The byte in which an object begins, at its first word or its third; a second word's scan bit stays.
FIRST_LOWER, FIRST_UPPER, TAIL = 0xEE, 0xBB, 0xCC
# Groups of forms: for the first half of a byte, of a byte and of more; for the second; none leaves nothing.
SECOND = 4


class _Table:
    """Of each stamp some bytes, in both forms: the bits that it leaves as they were, and those that it sets.

    Row 2 n is number n's form for a byte's first half, and row 2 n + 1 the one for its second.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[bytes, bytes]] = [(b"", b""), (b"", b"")]
        self._arrays: tuple[Array, Array, Array, Array, Array] | None = None

    def add(self, forms: tuple[tuple[bytes, bytes], tuple[bytes, bytes]]) -> None:
        self.rows += forms
        self._arrays = None

    def as_arrays(self, np: Any) -> tuple[Array, Array, Array, Array, Array]:
        """What group each row belongs to, its length, where its bytes begin, and all of both kinds."""
        if self._arrays is None:
            lengths = np.array([len(keep) for keep, _ in self.rows])
            keep, body = (
                np.frombuffer(b"".join([row[kind] for row in self.rows]), np.uint8) for kind in (0, 1)
            )
            group = np.minimum(lengths, 2).astype(np.uint8)
            group[1::2] *= SECOND
            self._arrays = group, lengths, np.cumsum(lengths) - lengths, keep, body
        return self._arrays


class Stamps:
    """What objects leave in the bitmap, numbered, with a table of it.

    Number 0 leaves nothing. An object without pointers clears the bits of its first word. Where two objects
    share a byte there are two forms of a stamp, for those in the first half of their first byte and in the
    second.
    """

    def __init__(self) -> None:
        self.marks: list[Stamp | None] = [Stamp(NOTHING)]  # None for objects without pointers
        self.numbers: dict[tuple[int, Stamp | None], int] = {}
        self.table = _Table()

    def number(self, words: int, mark: Stamp | None) -> int:
        """The number of a stamp in blocks of so many words; None is that of objects without pointers."""
        if words == 1 or (mark is not None and mark.how == NOTHING):
            return 0
        number = self.numbers.get((words, mark))
        if number is None:
            number = self.numbers[words, mark] = len(self.marks)
            self.marks.append(mark)
            self.table.add(_forms(mark))
        return number

    def lay_down(self, np: Any, rt: Runtime, pieces: list[Piece], addresses: Array, stamps: Array) -> None:
        """Lays down the stamps of objects in the bitmaps of their spans, all at once.

        A piece is a place of an mcache, the span that it had, and the ranks of the objects out of it;
        addresses and stamps go by rank. No object stands in two pieces.
        """
        bits = rt.spans.bits
        which = np.concatenate([stamps[a:b] for _, _, a, b in pieces])
        sizes = np.array([b - a for _, _, a, b in pieces])
        where = np.concatenate([addresses[a:b] for _, _, a, b in pieces])
        # Objects without pointers leave nothing in a bitmap that was never opened.
        bare = np.array([mark is None or mark.how == NOTHING for mark in self.marks])
        marked = ~np.logical_and.reduceat(bare.take(which), np.cumsum(sizes) - sizes)
        written = [
            mark or type(bits[piece[1]]) is bytearray
            for mark, piece in zip(marked.tolist(), pieces, strict=True)
        ]
        if not all(written):
            kept = np.repeat(np.array(written), sizes)
            which, where, sizes = which[kept], where[kept], sizes[np.array(written)]
            pieces = [piece for piece, write in zip(pieces, written, strict=True) if write]
            if not pieces:
                return
        # The bitmaps of those spans side by side, each once. As if the spans lay side by side too, an address
        # minus its piece's origin is where the object is.
        begin: dict[int, int] = {}
        origins: list[int] = []
        base, scale = rt.spans.base, rt.config.heap_bitmap_scale
        end = 0
        for cached, s, _, _ in pieces:
            opened = rt.open_bits_of(s)
            if cached.span == s:
                cached.bits = opened
            if s not in begin:
                begin[s] = end
                end += len(opened)
            origins.append((base[s] - begin[s] * scale) & ALL_BITS)
        memory = bytearray().join([bits[s] for s in begin])  # type: ignore[misc]
        where -= np.repeat(np.array(origins, np.uint64), sizes)
        self._write(np, np.frombuffer(memory, np.uint8), where.view(np.int64) >> rt.word_shift, which)
        for s, at in begin.items():
            bitmap: Any = bits[s]
            bitmap[:] = memory[at : at + len(bitmap)]

    def _write(self, np: Any, view: Array, words: Array, stamps: Array) -> None:
        """Writes stamps of objects that begin at those words into `view`."""
        groups, lengths, starts, keep, body = self.table.as_arrays(np)
        form = stamps << 1
        form |= words >> 1 & 1
        group = groups.take(form)
        # Where two share a byte, the one in its first half is not among those in its second.
        for half in (1, SECOND):
            some = np.flatnonzero(group == half)
            if len(some):
                where, row = words.take(some) >> 2, starts.take(form.take(some))
                view[where] = view.take(where) & keep.take(row) | body.take(row)
            some = np.flatnonzero(group == 2 * half)
            if len(some):
                # Each object's bytes, one after the other.
                its = form.take(some)
                length = lengths.take(its)
                ends = np.cumsum(length)
                shift = ends - length
                number = np.arange(int(ends[-1]))
                where = np.repeat((words.take(some) >> 2) - shift, length) + number
                row = np.repeat(starts.take(its) - shift, length) + number
                view[where] = view.take(where) & keep.take(row) | body.take(row)

    def lay_down_singly(self, rt: Runtime, pieces: list[Piece], addresses: Array, stamps: Array) -> None:
        """The same, object by object."""
        spans, marks = rt.spans, self.marks
        for cached, s, a, b in pieces:
            base, bits = spans.base[s], spans.bits[s]
            for v, number in zip(addresses[a:b].tolist(), stamps[a:b].tolist(), strict=True):
                mark = marks[number]
                if mark is None:
                    if type(bits) is bytearray:
                        press_noscan(bits, (v - base) >> rt.word_shift)
                elif mark.how != NOTHING:
                    if type(bits) is not bytearray:
                        bits = rt.open_bits_of(s)
                        if cached.span == s:
                            cached.bits = bits
                    press(bits, (v - base) >> rt.word_shift, mark)


def _forms(mark: Stamp | None) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """A stamp at a byte's first word and at its third: the bits that it keeps, and those that it sets."""
    if mark is None:
        return (bytes((FIRST_LOWER,)), b"\0"), (bytes((FIRST_UPPER,)), b"\0")
    if mark.how == PAIR:
        lower = bytes((~mark.clear & 0xFF,)), bytes((mark.tail,))
        return lower, (bytes((~(mark.clear << 2) & 0xFF,)), bytes((mark.tail << 2 & 0xFF,)))
    if mark.how == HALF:
        lower = bytes(len(mark.body)) + bytes((TAIL,)), mark.body + bytes((mark.tail,))
        return lower, (bytes((~HEAD_CLEAR & 0xFF,)) + bytes(len(mark.rest)), bytes((mark.head,)) + mark.rest)
    return (bytes(len(mark.body)), mark.body), (b"", b"")
