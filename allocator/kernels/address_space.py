"""One process's address space: which ranges are taken, reserved or mapped.

Sorted half-open intervals, each of one kind. Neighbours of the same kind are one
interval, as a kernel merges its mappings, so memory follows the number of distinct
ranges and never their size. Nothing here knows of limits or of an operating
system's behaviour; the policies do.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# Kinds that every policy shares; a policy may use further ints of its own.
TAKEN = 0  # others': the program's image, another runtime, a library
RESERVED = 1  # ours, without access (PROT_NONE)
MAPPED = 2  # ours, readable and writable
ACCESS = RESERVED | MAPPED  # of kinds that tell more, the bits that these are

SIZES_KNOWN = 16  # of searches one way from one address


class Range(NamedTuple):
    """The addresses from `start` up to, not including, `end`."""

    start: int
    end: int


class AddressSpace:
    """Intervals [start, end) in bytes, each with a kind; like neighbours are merged."""

    __slots__ = ("_ends", "_full", "_full_above", "_kinds", "_starts", "_totals", "held")

    def __init__(self, taken: Iterable[Range] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._kinds: list[int] = []
        self._totals: dict[int, int] = {}
        self.held = 0  # bytes of all kinds but TAKEN
        # By base and alignment of upward searches: sizes in order, and up to where there is no room for each.
        self._full: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
        # By top and alignment of downward searches: sizes in order, and the highest place that each may have.
        self._full_above: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
        for start, end in taken:
            self.place(start, end, TAKEN)

    def __len__(self) -> int:
        """The number of intervals, what a kernel would call its mappings."""
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """(start, end, kind) in address order."""
        return iter(zip(self._starts, self._ends, self._kinds, strict=True))

    def total(self, kind: int) -> int:
        """Bytes of one kind."""
        return self._totals.get(kind, 0)

    def totals(self) -> dict[int, int]:
        """Bytes by kind; kinds that are not present are left out."""
        return {kind: size for kind, size in self._totals.items() if size}

    def is_free(self, start: int, end: int) -> bool:
        """Whether nothing at all lies in [start, end)."""
        i = bisect_right(self._ends, start)
        return i == len(self._starts) or self._starts[i] >= end

    def pieces(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """What lies in [start, end), as (start, end, kind) clipped to it, in order."""
        starts, ends, kinds = self._starts, self._ends, self._kinds
        first = bisect_right(ends, start)
        last = bisect_left(starts, end)
        return [(max(starts[i], start), min(ends[i], end), kinds[i]) for i in range(first, last)]

    def at(self, address: int) -> tuple[int, int, int] | None:
        """The interval that holds the address."""
        i = bisect_right(self._ends, address)
        if i < len(self._starts) and self._starts[i] <= address:
            return self._starts[i], self._ends[i], self._kinds[i]
        return None

    def place(self, start: int, end: int, kind: int) -> None:
        """Makes [start, end) of this kind, whatever was there."""
        if start >= end:
            return
        if self.lengthen(start, end, kind):
            return
        starts, ends, kinds = self._starts, self._ends, self._kinds
        if self.move_border(start, end, kind):
            return
        first = bisect_right(ends, start)
        first, last, new_starts, new_ends, new_kinds = self._cut(start, end, first)
        totals = self._totals
        totals[kind] = totals.get(kind, 0) + end - start
        if kind:
            self.held += end - start
        at = 1 if new_starts and new_starts[0] < start else 0
        new_starts.insert(at, start)
        new_ends.insert(at, end)
        new_kinds.insert(at, kind)
        # The neighbours that touch take part in merging.
        if first and ends[first - 1] == new_starts[0]:
            first -= 1
            new_starts.insert(0, starts[first])
            new_ends.insert(0, ends[first])
            new_kinds.insert(0, kinds[first])
        if last < len(starts) and starts[last] == new_ends[-1]:
            new_starts.append(starts[last])
            new_ends.append(ends[last])
            new_kinds.append(kinds[last])
            last += 1
        i = 1
        while i < len(new_starts):
            if new_kinds[i] == new_kinds[i - 1] and new_starts[i] == new_ends[i - 1]:
                new_ends[i - 1] = new_ends[i]
                del new_starts[i], new_ends[i], new_kinds[i]
            else:
                i += 1
        starts[first:last] = new_starts
        ends[first:last] = new_ends
        kinds[first:last] = new_kinds

    def lengthen(self, start: int, end: int, kind: int) -> bool:
        """Makes [start, end) of this kind if it is free and that lengthens one interval, at either end.

        False: it is not so, and nothing has changed. A growing heap hardly does anything else.
        """
        starts, ends, kinds = self._starts, self._ends, self._kinds
        i = bisect_right(ends, start)
        above = False
        if i < len(starts):
            if starts[i] < end:
                return False
            above = starts[i] == end and kinds[i] == kind
        below = i > 0 and ends[i - 1] == start and kinds[i - 1] == kind
        if above == below:
            return False
        if below:
            ends[i - 1] = end
        else:
            starts[i] = start
        self._totals[kind] += end - start
        if kind:
            self.held += end - start
        return True

    def move_border(self, start: int, end: int, kind: int) -> bool:
        """Makes [start, end) of this kind if an interval of ours begins there, and the one below it, which
        touches, is of the kind.

        False: it is not so, and nothing has changed. So a heap grows within what is reserved for it.
        """
        starts, ends, kinds = self._starts, self._ends, self._kinds
        i = bisect_right(ends, start)
        if not 0 < i < len(starts) or starts[i] != start or ends[i] < end:
            return False
        had = kinds[i]
        if ends[i - 1] != start or kinds[i - 1] != kind or had == kind or not had or not kind:
            return False
        if ends[i] > end:
            ends[i - 1] = starts[i] = end
        elif i + 1 < len(starts) and starts[i + 1] == end and kinds[i + 1] == kind:
            return False
        else:
            ends[i - 1] = end
            del starts[i], ends[i], kinds[i]
        self._totals[had] -= end - start
        self._totals[kind] += end - start
        return True

    def cut_head(self, start: int, end: int, kind: int) -> bool:
        """Makes [start, end) an interval of this kind if a longer one of ours begins there, and nothing below
        it is to merge.

        False: it is not so, and nothing has changed. So a heap begins to grow within what is reserved.
        """
        starts, ends, kinds = self._starts, self._ends, self._kinds
        i = bisect_right(ends, start)
        if i == len(starts) or starts[i] != start or ends[i] <= end:
            return False
        had = kinds[i]
        if not had or not kind or had == kind or (i and ends[i - 1] == start and kinds[i - 1] == kind):
            return False
        starts[i] = end
        starts.insert(i, start)
        ends.insert(i, end)
        kinds.insert(i, kind)
        self._totals[had] -= end - start
        self._totals[kind] = self._totals.get(kind, 0) + end - start
        return True

    def clear(self, start: int, end: int) -> None:
        """Makes [start, end) free."""
        if start >= end:
            return
        first = bisect_right(self._ends, start)
        # The room that there is from now on begins where the interval below ends.
        if first < len(self._starts) and self._starts[first] < start:
            room = start
        else:
            room = self._ends[first - 1] if first else 0
        for (base, _), (_, full) in self._full.items():
            full[:] = [min(at, max(room, base)) for at in full]
        if self._full_above:
            above = bisect_left(self._starts, end)
            room = self._starts[above] if above < len(self._starts) else 1 << 64
            for (top, _), (_, places) in self._full_above.items():
                places[:] = [max(at, min(room, top)) for at in places]
        first, last, new_starts, new_ends, new_kinds = self._cut(start, end, first)
        self._starts[first:last] = new_starts
        self._ends[first:last] = new_ends
        self._kinds[first:last] = new_kinds

    def _cut(self, start: int, end: int, first: int) -> tuple[int, int, list[int], list[int], list[int]]:
        """Takes [start, end) out of the totals; returns which intervals it meets and what is left of them."""
        starts, ends, kinds, totals = self._starts, self._ends, self._kinds, self._totals
        last = bisect_left(starts, end, first)
        new_starts: list[int] = []
        new_ends: list[int] = []
        new_kinds: list[int] = []
        if first < last:
            for i in range(first, last):
                size = min(ends[i], end) - max(starts[i], start)
                totals[kinds[i]] -= size
                if kinds[i]:
                    self.held -= size
            if starts[first] < start:
                new_starts.append(starts[first])
                new_ends.append(start)
                new_kinds.append(kinds[first])
            if ends[last - 1] > end:
                new_starts.append(end)
                new_ends.append(ends[last - 1])
                new_kinds.append(kinds[last - 1])
        return first, last, new_starts, new_ends, new_kinds

    def find_up(self, n: int, base: int, limit: int, align: int) -> int | None:
        """The lowest free aligned address at or above base with n bytes before limit."""
        starts, ends = self._starts, self._ends
        sizes, full = self._full.setdefault((base, align), ([], []))
        # Allocations come one after the other; each would pass all before it again.
        place = bisect_right(sizes, n)
        at = -(-(max(full[:place], default=base)) // align) * align
        i = bisect_right(ends, at)
        while i < len(starts) and at + n > starts[i] and at + n <= limit:
            at = -(-ends[i] // align) * align
            i = bisect_right(ends, at, i + 1)
        if place and sizes[place - 1] == n:
            full[place - 1] = at
        elif len(sizes) < SIZES_KNOWN:
            sizes.insert(place, n)
            full.insert(place, at)
        return at if at + n <= limit else None

    def find_down(self, n: int, top: int, floor: int, align: int) -> int | None:
        """The highest free aligned address at or above floor with n bytes before top."""
        starts, ends = self._starts, self._ends
        known = self._full_above.get((top, align))
        if known is None:
            known = ([], [])
            if len(self._full_above) < SIZES_KNOWN:
                self._full_above[top, align] = known
        # Allocations come one after the other here, too.
        sizes, places = known
        place = bisect_right(sizes, n)
        if place:
            top = min(top, min(places[:place]) + n)
        i = bisect_left(starts, top) - 1
        at = (top - n) // align * align
        while at >= floor and i >= 0 and ends[i] > at:
            at = (starts[i] - n) // align * align
            i -= 1
        if place and sizes[place - 1] == n:
            places[place - 1] = at
        elif len(sizes) < SIZES_KNOWN:
            sizes.insert(place, n)
            places.insert(place, at)
        return at if at >= floor else None
