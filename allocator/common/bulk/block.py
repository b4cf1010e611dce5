"""Objects that come one after the other, sorted by their code, so few that they stay in the cache.

The sort is stable: `order` has the objects of a place one after the other. Tiny objects stand among those of
their place, where the tiny blocks come from, and keep what the tiny allocator does with each. What is kept of
a block is small, since a batch has more of them than the cache holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allocator.common.bulk.codes import FITTED
from allocator.common.bulk.tiny_runs import NEW_CURRENT

Ints = np.ndarray[Any, np.dtype[Any]]


class Block:
    """Objects from `begin` on, which have these codes. order None: all are of one kind, and keep their order.

    `bounds` tells for each code where its objects begin in the order, and where the last ends. `outcomes` has
    for each P what happened to those of the tiny class, in their order; nothing where none is tiny.
    """

    __slots__ = ("begin", "bounds", "codes", "new", "order", "outcomes", "tiny_class")

    def __init__(self, begin: int, codes: Ints, tiny_class: int) -> None:
        self.begin = begin
        self.codes = codes
        self.tiny_class = tiny_class
        self.order: Ints | None = None
        self.bounds: Ints = codes
        self.outcomes: dict[int, Ints] = {}
        self.new: dict[int, Ints] = {}

    def __len__(self) -> int:
        return len(self.codes)

    def sort(self, key: Ints, codes: int, into: Ints) -> None:
        """Groups the objects by code; `key` has it, one of so many. `into` takes their order."""
        self.new = {}
        low, high = int(key.min()), int(key.max())
        if low == high:
            self.order = None
            self.bounds = np.where(np.arange(codes + 1) > low, len(key), 0)
            return
        order = np.argsort(key, kind="stable")
        found = np.searchsorted(key, np.arange(codes, dtype=key.dtype), sorter=order)
        self.bounds = np.append(found, len(key))
        into[:] = order
        self.order = into

    def cut(self, n: int) -> None:
        """Forgets all objects but the first n; those that are left have to be sorted."""
        self.outcomes = {
            number: outcome[: self._before(256 * number + self.tiny_class, n)]
            for number, outcome in self.outcomes.items()
        }
        self.codes = self.codes[:n]

    def counts(self) -> Ints:
        """How many objects there are of each code."""
        counts: Ints = np.diff(self.bounds)
        for number, outcome in self.outcomes.items():
            new = len(self.new_of(number, outcome))
            counts[256 * number + self.tiny_class] = new
            counts[256 * number + FITTED] = len(outcome) - new
        return counts

    def places(self, code: int, a: int = 0, b: int | None = None) -> Ints:
        """Where the objects of a code are, from the a-th up to the b-th."""
        chosen = self.chosen(code)
        low, high = self.bounds[self.line_of(code) :][:2].tolist()
        if chosen is not None:
            found: Ints = chosen[a:b] + low
            return found if self.order is None else self.order.take(found)
        line: Ints = np.arange(low, high) if self.order is None else self.order[low:high]
        return line[a:b]

    def line_of(self, code: int) -> int:
        """The code among whose objects those of a code stand."""
        return code - FITTED + self.tiny_class if code & 255 == FITTED else code

    def chosen(self, code: int) -> Ints | None:
        """Which of the objects among which they stand those of a code are; None: all of them."""
        outcome = self.outcomes.get(code >> 8)
        if outcome is None or code & 255 not in (self.tiny_class, FITTED):
            return None
        if code & 255 == FITTED:
            return np.flatnonzero(outcome < NEW_CURRENT)
        return self.new_of(code >> 8, outcome)

    def new_of(self, number: int, outcome: Ints) -> Ints:
        """Which of a P's objects of the tiny class, with these outcomes, got a block."""
        new = self.new.get(number)
        if new is None:
            new = self.new[number] = np.flatnonzero(outcome >= NEW_CURRENT).astype(np.uint16)
        return new

    def _before(self, code: int, at: int) -> int:
        """How many of the objects that are sorted by a code come before a place."""
        low, high = int(self.bounds[code]), int(self.bounds[code + 1])
        if self.order is None:
            return min(at, high) if low < high else 0
        return int(np.searchsorted(self.order[low:high], np.uint16(at)))

    def rank(self, at: int, code: int) -> tuple[int, int]:
        """The code of the object at a place, sorted by `code`, and its rank among those of its code."""
        rank = self._before(code, at)
        outcome = self.outcomes.get(code >> 8)
        if outcome is None or code & 255 != self.tiny_class:
            return code, rank
        fitted = self.fitted(at, code >> 8)
        if outcome[rank] < NEW_CURRENT:
            return code - self.tiny_class + FITTED, fitted
        return code, rank - fitted

    def fitted(self, at: int, number: int) -> int:
        """How many of a P's objects before a place went into a tiny block that was there."""
        outcome = self.outcomes.get(number)
        if outcome is None:
            return 0
        before = self._before(256 * number + self.tiny_class, at)
        return int(np.count_nonzero(outcome[:before] < NEW_CURRENT))

    def last(self, number: int, least: int, most: int) -> tuple[int, int] | None:
        """The last of a P's objects with an outcome from `least` to `most`: its place and its outcome."""
        outcome = self.outcomes.get(number)
        if outcome is None:
            return None
        found = np.flatnonzero((outcome >= least) & (outcome <= most))
        if not len(found):
            return None
        at = int(self.bounds[256 * number + self.tiny_class]) + int(found[-1])
        return at if self.order is None else int(self.order[at]), int(outcome[found[-1]])
