"""A place that objects come from, a size class of an mcache, and the addresses that it has to give."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from allocator.mcache import CachedSpan, MCache
    from allocator.runtime import Runtime

Ints = np.ndarray[Any, np.dtype[Any]]


class Piece(NamedTuple):
    """Spans' free objects, in the order in which they are handed out.

    `spans` are ids; `first` is the rank, within the place, of the first object. A fresh piece is
    of spans with `each` objects from their bases on, at `offsets`; else `starts` are single objects,
    each 1.
    """

    spans: list[int] | Ints
    first: int
    starts: Ints
    each: int
    fresh: bool
    offsets: Ints

    @property
    def end(self) -> int:
        """One more than the rank of the last object."""
        return self.first + len(self.starts) * self.each


class Place:
    """A size class of an mcache. `code` is what its objects have in the layout.

    `total` counts the batch's objects that come from it, `supplied` those that have an address,
    which may be more. `begun` is the rank of the first object from the span that is cached.
    """

    __slots__ = ("begun", "cache", "cached", "code", "firsts", "pieces", "sizeclass", "supplied", "total")

    def __init__(self, cache: MCache, sizeclass: int, code: int, total: int) -> None:
        self.cache = cache
        self.sizeclass = sizeclass
        self.code = code
        self.cached: CachedSpan = cache.alloc[sizeclass]
        self.total = total
        self.pieces: list[Piece] = []
        self.firsts: list[int] = []
        self.supplied = 0
        self.begun = 0

    def supply(self, spans: list[int] | Ints, starts: Ints, each: int, fresh: bool) -> None:
        """Adds spans, the last of which is cached now."""
        offsets = np.arange(each, dtype=np.uint64) * np.uint64(self.cached.size)
        piece = Piece(spans, self.supplied, starts, each, fresh, offsets)
        self.pieces.append(piece)
        self.firsts.append(self.supplied)
        self.supplied = piece.end
        self.begun = piece.end - each if fresh else piece.first

    def supply_span(self, rt: Runtime, s: int) -> None:
        """Adds what is free in the span, if anything is; it is cached now."""
        spans = rt.spans
        nelems = spans.nelems[s]
        if not spans.free_index[s] and not spans.alloc_bits[s]:
            self.supply([s], np.array([spans.base[s]], np.uint64), nelems, True)
        elif len(found := free_objects(rt, s)):
            self.supply([s], found, 1, False)

    def write(self, first: int, end: int, out: Ints) -> None:
        """Writes the addresses of the objects of these ranks."""
        at = bisect_right(self.firsts, first) - 1
        done = 0
        while first < end:
            piece = self.pieces[at]
            stop = min(end, piece.end)
            a, b = first - piece.first, stop - piece.first
            into = out[done : done + b - a]
            each = piece.each
            if each == 1:
                into[:] = piece.starts[a:b]
            else:
                k = a // each
                whole = piece.starts[k : -(-b // each), None] + piece.offsets
                into[:] = whole.reshape(-1)[a - k * each : b - k * each]
            done += b - a
            first = stop
            at += 1

    def address(self, rank: int) -> int:
        """The address of the object of that rank."""
        piece = self.pieces[bisect_right(self.firsts, rank) - 1]
        k, i = divmod(rank - piece.first, piece.each)
        return int(piece.starts[k]) + i * self.cached.size


def free_objects(rt: Runtime, s: int) -> Ints:
    """The addresses of a span's free objects at or behind free_index."""
    spans = rt.spans
    index, nelems = spans.free_index[s], spans.nelems[s]
    taken = spans.alloc_bits[s] >> index
    base, size = spans.base[s], spans.elemsize[s]
    if not taken:
        return np.arange(nelems - index, dtype=np.uint64) * np.uint64(size) + np.uint64(base + index * size)
    n = nelems - index
    bits = np.frombuffer((taken & (1 << n) - 1).to_bytes((n + 7) // 8, "little"), np.uint8)
    free = np.flatnonzero(np.unpackbits(bits, count=n, bitorder="little") == 0)
    return (free.astype(np.uint64) + np.uint64(index)) * np.uint64(size) + np.uint64(base)
