"""Objects that come one after the other, sorted by their code, so few that they stay in the cache.

The sort is stable: `order` has the objects of a place one after the other. What is kept of a block is
small, since a batch has more of them than the cache holds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from allocator.common.bulk.codes import CURRENT, FITTED_AT

Ints = np.ndarray[Any, np.dtype[Any]]

NUMBERS = np.arange(1 << 16)


class TinyLinks(NamedTuple):
    """The objects of a P that went into a tiny block that was there.

    `openers` are those that opened a block, by their rank among the objects of the tiny class in this block
    of objects. Of each that fitted, `which` has the number of the opener, 0 for the block that was open
    before, and `offsets` its place in it, in bytes.
    """

    number: int
    openers: Ints
    which: Ints
    offsets: Ints


class Block:
    """Objects from `begin` on. order None: all have one code, and keep their order.

    `fine` are their codes, those of tiny objects with what happened to them. `bounds` tells for each code
    where its objects begin in the order, and where the last ends.
    """

    __slots__ = ("begin", "bounds", "fine", "links", "order")

    def __init__(self, begin: int, fine: Ints) -> None:
        self.begin = begin
        self.fine = fine
        self.order: Ints | None = None
        self.bounds: Ints = fine
        self.links: list[TinyLinks] = []

    def __len__(self) -> int:
        return len(self.fine)

    def sort(self, key: Ints, codes: int) -> None:
        """Groups the objects by code; `key` has it, one of so many."""
        low, high = int(key.min()), int(key.max())
        if low == high:
            self.order = None
            self.bounds = np.where(np.arange(codes + 1) > low, len(key), 0)
            return
        order = np.argsort(key, kind="stable")
        found = np.searchsorted(key, np.arange(codes, dtype=key.dtype), sorter=order)
        self.bounds = np.append(found, len(key))
        self.order = order.astype(np.uint16)

    def link(self, found: Ints, owner: Ints | None, tiny_class: int) -> None:
        """Finds for the tiny objects, which are at `found`, the blocks that they are in."""
        self.links = []
        if owner is None:
            self._link(0, found, tiny_class)
            return
        whose = owner.take(found)
        for number in np.unique(whose).tolist():
            self._link(number, found[whose == number], tiny_class)

    def _link(self, number: int, found: Ints, tiny_class: int) -> None:
        outcome = self.fine.take(found)
        # Between two that open a block stand those that fit, and some that have a block of their own.
        # Of all that open none, the k-th has as many openers before it as places more than k.
        others = np.flatnonzero(outcome != CURRENT)
        results = outcome.take(others)
        others -= NUMBERS[: len(others)]
        fitted = np.flatnonzero(results < CURRENT)
        which = others.take(fitted).astype(np.uint16)
        offsets = results.take(fitted) - np.uint8(FITTED_AT)
        low, high = self.bounds[256 * number + tiny_class : 256 * number + tiny_class + 2].tolist()
        line = self.fine[low:high] if self.order is None else self.fine.take(self.order[low:high])
        openers = np.flatnonzero(line == CURRENT).astype(np.uint16)
        self.links.append(TinyLinks(number, openers, which, offsets))

    def times(self, a: int, b: int, step: int = 1) -> Ints:
        """The times of the objects that stand from a up to b in the order."""
        if self.order is None:
            return np.arange(self.begin + a, self.begin + b, step)
        return self.order[a:b:step] + np.int64(self.begin)

    def put(self, values: Ints, where: Ints, out: Ints) -> None:
        """Gives the objects what stands for them in the order. where: room for their places."""
        if self.order is not None:
            np.copyto(where, self.order)
            out[where] = values
