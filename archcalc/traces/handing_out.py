"""Objects of ordinary allocations, handed out many at a time and compared when spans change hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archcalc.traces.outcome import GaveUp
from archcalc.traces.stamps import Piece, SideBySide
from archcalc.traces.taken import Rest, rests_of

if TYPE_CHECKING:
    import numpy as np

    from allocator.contiguous.mcache import CachedSpan
    from archcalc.traces.by_place import ByPlace
    from archcalc.traces.keys import Keys
    from archcalc.traces.machine import ReplayedRuntime

    Array = np.ndarray[Any, np.dtype[Any]]


class HandingOut:
    """The objects of a part. Of those of each place, `at` says how many were handed out.

    Raises GaveUp where the machine would hand out others than recorded.
    """

    def __init__(
        self, rt: ReplayedRuntime, known: Keys, by_place: ByPlace, addresses: Array, stamps: Array
    ) -> None:
        self.rt = rt
        self.np = np = known.np
        self.places = known.places
        self.known = known
        self.at = by_place.at
        # By place, in order: the addresses as recorded, and the bitmap that each object gets.
        self.addresses = addresses
        self.stamps = stamps
        # Before these ranks objects do not lie side by side; these leave something in a fresh bitmap.
        sizes = np.array([place.cached.size for place in self.places], np.uint64)
        counts = np.diff(by_place.ends[: len(sizes)], prepend=0)
        steps = np.diff(addresses[: int(counts.sum())])
        self.broken = np.flatnonzero(steps != sizes.repeat(counts)[1:]) + 1
        self.leaving = np.flatnonzero(known.stamps.leave(np).take(stamps))
        # What was handed out, whose addresses are still to be compared and whose bitmaps to be laid down:
        # rows of objects side by side, of each place the latest, and what was free of spans that are full.
        self.rows: list[SideBySide] = []
        self.latest: list[SideBySide | None] = [None] * len(self.places)
        self.rests: list[Rest] = []
        self.pieces: list[Piece] = []

    def take(self, number: int, upto: int) -> None:
        """Hands out the objects of a place up to a rank. Their addresses are compared later (`settle`)."""
        a = self.at[number]
        if a >= upto:
            return
        self.at[number] = upto
        cached = self.places[number].cached
        if cached.span < 0:
            raise GaveUp
        v = cached.next
        end = v + (upto - a) * cached.size
        if end > cached.end:
            self._take_further(cached, a, upto)
            return
        cached.next = end
        row = self.latest[number]
        if row is not None and row.b == a and row.end == v and row.span == cached.span:
            row.b, row.end = upto, end
        else:
            self.latest[number] = row = SideBySide(cached, v, end, a, upto)
            self.rows.append(row)

    def refill(self, number: int, address: int) -> None:
        """Has a place take its next span, whose first free object is there. That is left for `take`."""
        place = self.places[number]
        cache = self.rt.cache = place.cache
        v, fetched = cache.next_free(place.sizeclass)
        if v != address or not fetched:
            raise GaveUp
        place.cached.next = v

    def _take_further(self, cached: CachedSpan, a: int, b: int) -> None:
        """The same for more objects than lie side by side."""
        spans, s, size = self.rt.spans, cached.span, cached.size
        cached.sync(spans)
        nelems, wanted = spans.nelems[s], b - a
        free = ~(spans.alloc_bits[s] | ((1 << spans.free_index[s]) - 1)) & ((1 << nelems) - 1)
        if free.bit_count() < wanted:
            raise GaveUp
        last = _end_of_first(free, wanted)
        self.rests.append((cached.base, size, free & (1 << last) - 1, nelems, a, b))
        self.pieces.append((cached, s, a, b))
        spans.alloc_count[s] += wanted
        spans.free_index[s] = last
        # What is free side by side behind the last one; nothing, if it was the last that is free.
        behind = free >> last
        cached.start = cached.next = cached.base + last * size
        cached.end = cached.next + ((behind ^ behind + 1).bit_length() - 1) * size

    def settle(self) -> None:
        """Compares the addresses of all that was handed out, and lays the bitmaps down.

        That may wait as long as every span that has some of it is the one that its place took it from: until
        mcaches give their spans back, or a sweep phase begins.
        """
        rows, pieces = self.rows, self.pieces
        if rows:
            self._compare_rows()
        if pieces:
            self._compare_rests()
        if not rows and not pieces:
            return
        bits = self.rt.spans.bits
        leave = self._leave([(row.a, row.b) for row in rows] + [(a, b) for _, _, a, b in pieces])
        # Objects without pointers leave nothing in a bitmap that was never opened.
        rows = [
            row for row, some in zip(rows, leave, strict=False) if some or type(bits[row.span]) is bytearray
        ]
        pieces = [
            piece
            for piece, some in zip(pieces, leave[len(self.rows) :], strict=True)
            if some or type(bits[piece[1]]) is bytearray
        ]
        self.known.stamps.lay_down(self.np, self.rt, rows, pieces, self.addresses, self.stamps)
        self.rows.clear()
        self.rests.clear()
        self.pieces.clear()
        self.latest = [None] * len(self.places)

    def _leave(self, ranks: list[tuple[int, int]]) -> list[bool]:
        """Whether any object from each rank to another leaves something in a fresh bitmap."""
        first, end = self.np.array(ranks).T
        found: list[bool] = (self.leaving.searchsorted(first) < self.leaving.searchsorted(end)).tolist()
        return found

    def _compare_rows(self) -> None:
        """Whether each row begins where it was recorded, and its objects lie side by side."""
        np, rows, broken = self.np, self.rows, self.broken
        first = np.array([row.a for row in rows])
        given = np.array([row.v for row in rows], np.uint64)
        if not np.array_equal(self.addresses.take(first), given):
            raise GaveUp
        end = np.array([row.b for row in rows])
        if not np.array_equal(broken.searchsorted(first, "right"), broken.searchsorted(end)):
            raise GaveUp

    def _compare_rests(self) -> None:
        """Whether what was free is where it was recorded."""
        given = rests_of(self.np, self.rests)
        if not self.np.array_equal(
            given, self.np.concatenate([self.addresses[a:b] for *_, a, b in self.rests])
        ):
            raise GaveUp


def _end_of_first(bits: int, n: int) -> int:
    """Behind which bit the first n that are set end."""
    low, high = n, bits.bit_length()
    while low < high:
        middle = low + high >> 1
        if (bits & (1 << middle) - 1).bit_count() < n:
            low = middle + 1
        else:
            high = middle
    return low
