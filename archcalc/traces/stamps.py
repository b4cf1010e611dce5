"""The heap bitmap of many objects at once: what each leaves in it, as bytes of a few long arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allocator.contiguous.heap_bitmap import HALF, HEAD_KEPT, NOTHING, PAIR, Stamp, press, press_noscan

if TYPE_CHECKING:
    import numpy as np

    from allocator.contiguous.mcache import CachedSpan
    from allocator.contiguous.runtime import Runtime

    Array = np.ndarray[Any, np.dtype[Any]]

# What was handed out of a span, which an mcache had at that place: from which rank to which.
Piece = tuple["CachedSpan", int, int, int]
ALL_BITS = (1 << 64) - 1
MANY = 256  # objects of a size side by side from which on their bitmaps are laid down as the rows of a matrix
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


class SideBySide:
    """Objects side by side out of a span that a place of an mcache had: from one address to another.

    `a` and `b` are from which rank to which they are.
    """

    __slots__ = ("a", "b", "cached", "end", "span", "v")

    def __init__(self, cached: CachedSpan, v: int, end: int, a: int, b: int) -> None:
        self.cached = cached
        self.span = cached.span
        self.v = v
        self.end = end
        self.a = a
        self.b = b


class _Matrix:
    """What the stamps of blocks of one size leave, each in as many bytes as a block has, or two together.

    `rows` has the place of each stamp in `keep` and `body`, by its number; the first place leaves nothing.
    These have a matrix for the first block of those together, and one for the second.
    """

    def __init__(self, np: Any, table: _Table, numbers: list[int], count: int, words: int) -> None:
        self.known = len(numbers)
        self.together = 2 if words & 3 else 1
        self.width = self.together * words >> 2
        self.rows = np.zeros(count, np.intp)
        self.rows[numbers] = np.arange(1, len(numbers) + 1)
        self.keep: list[Array] = []
        self.body: list[Array] = []
        for second in range(self.together):
            forms = [(b"", b""), *(table.rows[2 * number + second] for number in numbers)]
            for to, kind, fill in (self.keep, 0, b"\xff"), (self.body, 1, b"\0"):
                before = fill * (second * words >> 2)
                joined = b"".join([(before + form[kind]).ljust(self.width, fill) for form in forms])
                to.append(np.frombuffer(joined, np.uint8).reshape(-1, self.width))

    def of(self, stamps: Array) -> tuple[Array, Array]:
        """The bits that stamps, so many together, leave as they were, and those that they set, as bytes."""
        places = self.rows.take(stamps).reshape(-1, self.together).T
        keep = self.keep[0].take(places[0], 0)
        body = self.body[0].take(places[0], 0)
        for place, more, own in zip(places[1:], self.keep[1:], self.body[1:], strict=True):
            kept = more.take(place, 0)
            keep &= kept
            body &= kept
            body |= own.take(place, 0)
        return keep.reshape(-1), body.reshape(-1)


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
        self.of_words: dict[int, list[int]] = {}  # the numbers of those in blocks of so many words
        self._matrices: dict[int, _Matrix] = {}
        self._leave: Array | None = None

    def number(self, words: int, mark: Stamp | None) -> int:
        """The number of a stamp in blocks of so many words; None is that of objects without pointers."""
        if words == 1 or (mark is not None and mark.how == NOTHING):
            return 0
        number = self.numbers.get((words, mark))
        if number is None:
            number = self.numbers[words, mark] = len(self.marks)
            self.marks.append(mark)
            self.table.add(_forms(mark))
            self.of_words.setdefault(words, []).append(number)
            self._leave = None
        return number

    def leave(self, np: Any) -> Array:
        """Whether each stamp leaves something in a fresh bitmap; those of objects without pointers do not."""
        if self._leave is None:
            self._leave = np.array([mark is not None and mark.how != NOTHING for mark in self.marks])
        return self._leave

    def lay_down(
        self,
        np: Any,
        rt: Runtime,
        rows: list[SideBySide],
        pieces: list[Piece],
        addresses: Array,
        stamps: Array,
    ) -> None:
        """Lays down the stamps of objects in the bitmaps of their spans.

        A piece is a place of an mcache, the span that it had, and the ranks of the objects out of it;
        addresses and stamps go by rank. No object stands twice in rows and pieces, and no two rows of a span
        side by side.
        """
        scale, shift = rt.config.heap_bitmap_scale, rt.word_shift
        by_size: dict[int, list[SideBySide]] = {}
        for row in rows:
            by_size.setdefault(row.cached.size, []).append(row)
        longest = LONGEST * scale
        together = [piece for piece in pieces if piece[0].size <= longest]
        singly = [piece for piece in pieces if piece[0].size > longest]
        for size, some in by_size.items():
            if not size & (scale // 2 - 1) and sum([row.b - row.a for row in some]) >= MANY:
                self._lay_side_by_side(np, rt, some, size >> shift, stamps)
            else:
                to = together if size <= longest else singly
                to += [(row.cached, row.span, row.a, row.b) for row in some]
        if together:
            self._lay_together(np, rt, together, addresses, stamps)
        if singly:
            self._lay_singly(rt, singly, addresses, stamps)

    def _lay_side_by_side(
        self, np: Any, rt: Runtime, rows: list[SideBySide], words: int, stamps: Array
    ) -> None:
        """Lays down those of blocks of so many words, which lie side by side in each row."""
        numbers = self.of_words.get(words, [])
        matrix = self._matrices.get(words)
        if matrix is None or matrix.known != len(numbers) or len(matrix.rows) < len(self.marks):
            matrix = self._matrices[words] = _Matrix(np, self.table, numbers, len(self.marks), words)
        scale, base, size = rt.config.heap_bitmap_scale, rt.spans.base, words << rt.word_shift
        together = matrix.together
        nothing = np.zeros(1, stamps.dtype)
        parts: list[Array] = []
        places: list[tuple[bytearray, int, int]] = []
        memory = bytearray()
        for row in rows:
            bits = self._opened(rt, row.cached, row.span)
            a, b, at = row.a, row.b, row.v - base[row.span]
            # Where two blocks share a byte, both stand there, if only one is in the row.
            if together == 2 and at // size & 1:
                parts.append(nothing)
                a, at = a - 1, at - size
            parts.append(stamps[row.a : b])
            if b - a & together - 1:
                parts.append(nothing)
                b += 1
            begin, n = at // scale, (b - a) * size // scale
            places.append((bits, begin, n))
            memory += bits[begin : begin + n].ljust(n, b"\0")
        keep, body = matrix.of(np.concatenate(parts))
        view = np.frombuffer(memory, np.uint8)
        view &= keep
        view |= body
        end = 0
        for bits, begin, n in places:
            bits[begin : begin + n] = memory[end : end + min(n, len(bits) - begin)]
            end += n

    def _opened(self, rt: Runtime, cached: CachedSpan, s: int) -> bytearray:
        """The bitmap of a span that a place of an mcache had, as one that can be written."""
        bits = rt.open_bits_of(s)
        if cached.span == s:
            cached.bits = bits
        return bits

    def _lay_together(
        self, np: Any, rt: Runtime, pieces: list[Piece], addresses: Array, stamps: Array
    ) -> None:
        """Lays down those of all sizes at once."""
        bits = rt.spans.bits
        which = np.concatenate([stamps[a:b] for _, _, a, b in pieces])
        sizes = np.array([b - a for _, _, a, b in pieces])
        where = np.concatenate([addresses[a:b] for _, _, a, b in pieces])
        # The bitmaps of those spans side by side, each once. As if the spans lay side by side too, an address
        # minus its piece's origin is where the object is.
        begin: dict[int, int] = {}
        origins: list[int] = []
        base, scale = rt.spans.base, rt.config.heap_bitmap_scale
        end = 0
        for cached, s, _, _ in pieces:
            opened = self._opened(rt, cached, s)
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

    def _lay_singly(self, rt: Runtime, pieces: list[Piece], addresses: Array, stamps: Array) -> None:
        """Lays down those of long blocks, object by object."""
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
                        bits = self._opened(rt, cached, s)
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
        return lower, (bytes((HEAD_KEPT,)) + bytes(len(mark.rest)), bytes((mark.head,)) + mark.rest)
    return (bytes(len(mark.body)), mark.body), (b"", b"")
