"""Ordinary allocations by the place that their objects come from, in order within each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


class ByPlace:
    """`order`: allocations by their numbers, those of one place after each other; a rank is an index into it.

    `ends` has the rank at which each place's end, and last that of those which take no object. `at` is the
    rank up to which each place's have been carried out.
    """

    def __init__(
        self, np: Any, place_of: Array, key: Array, count: int, have_key: Array | None = None
    ) -> None:
        """`place_of`: each key's place, below `count`, or `count` for none; `key`: each allocation's.

        `have_key`: how many have each key, where that is known; not of keys without a place.
        """
        self.np = np
        small = np.uint8 if count < 256 else np.uint16 if count < 1 << 16 else np.int32
        place = place_of.astype(small).take(key)
        self.order: Array = np.argsort(place, kind="stable")
        if have_key is None:
            counts = np.bincount(place, minlength=count + 1)
        else:
            counts = np.bincount(place_of, have_key, count + 1).astype(np.intp)
        self.ends: list[int] = [*np.cumsum(counts[:count]).tolist(), len(key)]
        self.at: list[int] = [0, *self.ends[:-1]]
        self._numbered: Array | None = None

    def rank(self, place: int, turn: int) -> int:
        """How far a place's allocations come before allocation number `turn`."""
        a, b = self.at[place], self.ends[place]
        return a + int(self.order[a:b].searchsorted(turn))

    def ranks(self, wanted: list[tuple[int, int]]) -> list[int]:
        """The same for many places and turns."""
        places, turns = self.np.array(wanted).T
        found: list[int] = self.ranks_of(places, turns).tolist()
        return found

    def ranks_of(self, places: Array, turns: Array) -> Array:
        """The same as arrays."""
        found: Array = self._ranked().searchsorted(places * len(self.order) + turns)
        return found

    def ranks_at(self, turn: int) -> list[int]:
        """The same of every place."""
        np, count, n = self.np, len(self.ends) - 1, len(self.order)
        if turn == n:
            return self.ends[:count]
        found: list[int] = self._ranked().searchsorted(np.arange(count) * n + turn).tolist()
        return found

    def _ranked(self) -> Array:
        """Place and turn as one number, which grows with the rank."""
        np, count, n = self.np, len(self.ends) - 1, len(self.order)
        if self._numbered is None:
            self._numbered = np.repeat(np.arange(count + 1) * n, np.diff(self.ends, prepend=0)) + self.order
        return self._numbered
