"""The heap bitmap of many objects at once: what each leaves in it, as rows of a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allocator.contiguous.heap_bitmap import NOTHING, PAIR

if TYPE_CHECKING:
    import numpy as np

    from allocator.contiguous.runtime import Runtime
    from archcalc.traces.keys import CachePlace

    Array = np.ndarray[Any, np.dtype[Any]]


def lay_down(np: Any, rt: Runtime, place: CachePlace, objects: Any, stamps: Array, bare: bool) -> None:
    """Lays down the stamps of objects of one span; `objects`, a slice or an array, are their numbers.

    `bare` tells that there may be some without pointers.
    """
    cached = place.cached
    if cached.bits is None:
        if place.how == NOTHING or not stamps.any():
            return
        rt.open_bits(cached)
    assert cached.bits is not None
    view = np.frombuffer(cached.bits, np.uint8)
    words = cached.size >> rt.word_shift
    if words == 1:
        return
    if place.tables is None:
        place.tables = _tables(np, place, words)
    if words & 3 == 0:
        keep, body = place.tables[0]
        length = words >> 2
        rows = view[: len(view) // length * length].reshape(-1, length) if length > 1 else view
        if bare:
            rows[objects] = rows[objects] & keep.take(stamps, 0) | body.take(stamps, 0)
        else:
            rows[objects] = body.take(stamps, 0)
        return
    # Two objects share the byte in the middle, and neither touches the other's bits.
    length = words >> 2
    for odd, (keep, body) in enumerate(place.tables):
        if isinstance(objects, slice):
            skip = (objects.start & 1) ^ odd
            which = stamps[skip::2]
            start = (objects.start + skip) * words >> 2
            starts: Any = np.arange(len(which)) * (words >> 1) + start
            at: Any = slice(start, start + len(which))
        else:
            mine = (objects & 1) == odd
            which = stamps[mine]
            starts = at = objects[mine] * words >> 2
        if length:
            at = starts[:, None] + np.arange(length + 1)
        view[at] = view[at] & keep.take(which, 0) | body.take(which, 0)


def _tables(np: Any, place: CachePlace, words: int) -> list[tuple[Array, Array]]:
    """A place's stamps as arrays: the bits that each leaves as they were, and those that it sets.

    A row a stamp, row 0 for objects without pointers, which clear the bits of their first word.
    Where two objects share a byte there are two tables, for those in the first half of their
    first byte and in the second.
    """
    marks = place.stamps[1:]
    if words & 3 == 0:
        length = words >> 2
        rows = [(b"\xee" + b"\xff" * (length - 1), bytes(length))]
        rows += [(bytes(length), mark.body) for mark in marks]
        return [_table(np, rows)]
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
    return [_table(np, first), _table(np, second)]


def _table(np: Any, rows: list[tuple[bytes, bytes]]) -> tuple[Array, Array]:
    """Rows of two kinds of bytes as two matrices, or as two lists where a row is one byte."""
    found = []
    for part in (0, 1):
        flat = np.frombuffer(b"".join(row[part] for row in rows), np.uint8)
        found.append(flat.reshape(len(rows), -1) if len(flat) > len(rows) else flat)
    return found[0], found[1]
