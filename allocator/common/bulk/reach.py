"""What is reached through stored pointers, where objects are numbers and pointers are pointers.

It is marked in rings, each at once, or one by one where rings stay small, as along a list.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from allocator.common.bulk.engine import follows_compiled

Ints = np.ndarray[Any, np.dtype[Any]]

SMALL = 48  # objects of a ring that are followed one by one
PATIENCE = 32  # small rings until that is prepared
NEAR = 8  # times as many edges as are meant, or eight times as many numbers, among which to look at all
PIECE = 1 << 15  # objects whose pointers are counted together


class Pointers:
    """Edges between objects with numbers below `total`, sources in order."""

    def __init__(self, sources: Ints, targets: Ints, total: int) -> None:
        self.sources = sources
        self.targets = targets
        self.total = total
        self._sought = 0

    @cached_property
    def begin(self) -> Ints:
        """From where each object's pointers begin in `targets`."""
        begin = np.zeros(self.total + 1, np.int64)
        edges = self.sources.searchsorted(np.arange(0, self.total + PIECE, PIECE)).tolist()
        for at, (low, high) in zip(range(0, self.total, PIECE), pairwise(edges), strict=False):
            count = np.bincount(self.sources[low:high] - at, minlength=min(PIECE, self.total - at))
            count[0] += low
            count.cumsum(out=begin[at + 1 : at + 1 + PIECE])
        return begin

    def of(self, objects: Ints) -> Ints:
        """What some objects point at.

        What is reached together often lies together: then all edges between the first and the last are
        looked at.
        """
        first, last = int(objects.min()), int(objects.max())
        low, high = self.sources.searchsorted((first, last + 1)).tolist()
        if max(high - low, last - first >> 3) <= NEAR * len(objects):
            meant = np.zeros(last + 1, bool)
            meant[objects] = True
            return _those(self.targets[low:high], meant.take(self.sources[low:high]))
        self._sought += len(objects)
        if self._sought < self.total >> 3:
            begin, ends = self.sources.searchsorted(objects), self.sources.searchsorted(objects, "right")
        else:
            begin, ends = self.begin.take(objects), self.begin.take(objects + 1)
        count = ends - begin
        places = count.cumsum()
        chosen = np.repeat(ends - places, count) + np.arange(int(places[-1]))
        return self.targets.take(chosen)


def pointers_of(parts: list[tuple[Ints, Ints]], total: int) -> Pointers:
    """The pointers of objects with numbers below `total`: sources, in order, and targets."""
    sources = np.concatenate([source for source, _ in parts]) if parts else np.zeros(0, np.int64)
    targets = np.concatenate([target for _, target in parts]) if parts else np.zeros(0, np.int64)
    return Pointers(sources, targets, total)


def reach(pointers: Pointers, frontier: Ints, seen: Ints) -> None:
    """Marks in `seen`, a byte for each object, all that is reached from the frontier, which is marked."""
    if follows_compiled():
        from allocator.common.bulk.compiled_reach import reach as follow

        begin, waiting = np.empty(len(seen) + 1, np.uint32), np.empty(len(seen), np.int64)
        follow(pointers.sources, pointers.targets, frontier, seen, begin, waiting)
        return
    patience = PATIENCE
    mentioned = np.empty(len(seen), np.int32)
    while len(frontier):
        if len(frontier) <= SMALL:
            patience -= 1
            if patience < 0:
                frontier = _rings(pointers, frontier, seen)
                continue
        reached = pointers.of(frontier)
        reached = _those(reached, seen.take(reached) == 0)
        seen[reached] = 1
        # Of those that are mentioned more than once, the last mention stays.
        order = np.arange(len(reached), dtype=np.int32)
        mentioned[reached] = order
        frontier = _those(reached, mentioned.take(reached) == order)


def _those(objects: Ints, meant: Ints) -> Ints:
    """The objects that are meant, which may be all."""
    return objects if meant.all() else objects.take(np.flatnonzero(meant))


def _rings(pointers: Pointers, frontier: Ints, seen: Ints) -> Ints:
    """Follows pointers one by one as long as rings are small; the ring that is not, or the empty one."""
    begin, targets, marks = pointers.begin.data, pointers.targets.data, seen.data
    ring: list[int] = frontier.tolist()
    while ring and len(ring) <= SMALL:
        reached = []
        for at in ring:
            for i in range(begin[at], begin[at + 1]):
                target = targets[i]
                if not marks[target]:
                    marks[target] = 1
                    reached.append(target)
        ring = reached
    return np.array(ring, np.int64)
