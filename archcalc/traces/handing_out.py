"""Objects of ordinary allocations, handed out many at a time and compared when spans change hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archcalc.traces.outcome import GaveUp
from archcalc.traces.stamps import LONGEST, Piece
from archcalc.traces.taken import Rest, Run, rests_of, runs_of

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
        self.np = known.np
        self.places = known.places
        self.known = known
        self.at = by_place.at
        # By place, in order: the addresses as recorded, and the bitmap that each object gets.
        self.addresses = addresses
        self.stamps = stamps
        # What was handed out, whose addresses are still to be compared: runs of objects side by side, and
        # what was free of spans that are full now.
        self.runs: list[Run] = []
        self.rests: list[Rest] = []
        # What was handed out, whose bitmaps are still to be laid down: together, or one by one.
        self.pieces: list[Piece] = []
        self.long_pieces: list[Piece] = []
        self.longest = LONGEST * rt.config.heap_bitmap_scale

    def take(self, number: int, upto: int) -> None:
        """Hands out the objects of a place up to a rank. Their addresses are compared later (`settle`)."""
        a = self.at[number]
        if a >= upto:
            return
        self.at[number] = upto
        place = self.places[number]
        cached = place.cached
        if cached.span < 0:
            raise GaveUp
        v = cached.next
        end = v + (upto - a) * cached.size
        if end <= cached.end:
            cached.next = end
            self.runs.append((v, cached.size, a, upto))
        else:
            self._take_further(cached, a, upto)
        if place.marked or cached.bits is not None:
            pieces = self.pieces if cached.size <= self.longest else self.long_pieces
            pieces.append((cached, cached.span, a, upto))

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
        nelems = spans.nelems[s]
        free = ~(spans.alloc_bits[s] | ((1 << spans.free_index[s]) - 1)) & ((1 << nelems) - 1)
        left = free.bit_count() - (b - a)
        if left < 0:
            raise GaveUp
        if not left:
            # All that is free. Where the last one lies, nothing behind it is.
            self.rests.append((cached.base, size, free, nelems, a, b))
            last = free.bit_length()
            spans.alloc_count[s] += b - a
            spans.free_index[s] = last
            cached.start = cached.next = cached.end = cached.base + last * size
            return
        while a < b:
            if cached.next == cached.end:
                cached.sync(spans)
                cached.next_run(spans)
            v = cached.next
            n = min((cached.end - v) // size, b - a)
            cached.next = v + n * size
            self.runs.append((v, size, a, a + n))
            a += n

    def settle(self) -> None:
        """Compares the addresses of all that was handed out, and lays the bitmaps down.

        That may wait as long as every span that has some of it is the one that its place took it from: until
        mcaches give their spans back, or a sweep phase begins.
        """
        np, rt = self.np, self.rt
        if self.runs:
            given = runs_of(np, self.runs)
            self._compare(given, [(a, b) for _, _, a, b in self.runs])
            self.runs.clear()
        if self.rests:
            given = rests_of(np, self.rests)
            self._compare(given, [(a, b) for *_, a, b in self.rests])
            self.rests.clear()
        stamps = self.known.stamps
        if self.pieces:
            stamps.lay_down(np, rt, self.pieces, self.addresses, self.stamps)
            self.pieces.clear()
        if self.long_pieces:
            stamps.lay_down_singly(rt, self.long_pieces, self.addresses, self.stamps)
            self.long_pieces.clear()

    def _compare(self, given: Array, ranks: list[tuple[int, int]]) -> None:
        """Whether these addresses are those from each rank to another."""
        addresses = self.addresses
        if not self.np.array_equal(given, self.np.concatenate([addresses[a:b] for a, b in ranks])):
            raise GaveUp
