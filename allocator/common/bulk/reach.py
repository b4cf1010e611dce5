"""What is reached through stored pointers, where objects are numbers and pointers are pointers.

It is marked in rings, each at once, or one by one where rings stay small, as along a list.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[Any]]

SMALL = 48  # objects of a ring that are followed one by one
PATIENCE = 32  # small rings until that is prepared
NEAR = 8  # times as many edges as are meant, or eight times as many numbers, among which to look at all
SPARSE = 64  # times as many numbers as edges, from which on looking at the numbers takes longer


class Pointers:
    """Edges between objects with numbers below `total`, in parts, the numbers that they are from in order."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._parts: list[tuple[Ints, Ints]] = []
        self._first: list[int] = []  # number that edges of each part are from, and the last
        self._last: list[int] = []
        self._sought = 0

    def add(self, sources: Ints, targets: Ints) -> None:
        """Adds edges that are from no lower number than those before."""
        if len(sources):
            self._parts.append((sources, targets))
            self._first.append(int(sources[0]))
            self._last.append(int(sources[-1]))

    def between(self, first: int, end: int) -> list[tuple[Ints, Ints]]:
        """Sources and targets of all edges that are from numbers from `first` up to `end`."""
        found = []
        for k in range(bisect_left(self._last, first), bisect_left(self._first, end)):
            sources, targets = self._parts[k]
            low, high = sources.searchsorted((first, end)).tolist()
            found.append((sources[low:high], targets[low:high]))
        return found

    @cached_property
    def sources(self) -> Ints:
        """What all edges are from."""
        return np.concatenate([sources for sources, _ in self._parts] or [np.zeros(0, np.int64)])

    @cached_property
    def targets(self) -> Ints:
        """What all edges point to."""
        return np.concatenate([targets for _, targets in self._parts] or [np.zeros(0, np.int64)])

    @cached_property
    def bounds(self) -> tuple[Ints, Ints]:
        """From where and up to where each object's pointers are in `targets`."""
        sources = self.sources
        begin, end = np.zeros(self.total, np.int32), np.zeros(self.total, np.int32)
        changes = np.flatnonzero(sources[1:] != sources[:-1]) + 1
        first = np.append(0, changes)
        holders = sources.take(first)
        begin[holders] = first
        end[holders] = np.append(changes, len(sources))
        return begin, end

    def of(self, objects: Ints) -> Ints:
        """What some objects point at."""
        self._sought += len(objects)
        if not len(self.sources):
            return self.targets
        if self._sought < self.total >> 3:
            begin, ends = self.sources.searchsorted(objects), self.sources.searchsorted(objects, "right")
        else:
            begin, ends = self.bounds[0].take(objects), self.bounds[1].take(objects)
        count = ends - begin
        places = count.cumsum()
        chosen = np.repeat(ends - places, count) + np.arange(int(places[-1]))
        return self.targets.take(chosen)

    def reach(self, frontier: Ints, seen: Ints) -> None:
        """Marks in `seen`, a byte for each object, all that is reached from the frontier, which is marked."""
        patience = PATIENCE
        rings = _Rings(self, frontier, seen)
        while rings.count:
            if rings.count <= SMALL:
                patience -= 1
                if patience < 0:
                    rings.follow(_one_by_one(self, rings.listed(), seen))
                    continue
            rings.next()


class _Rings:
    """The last ring that was reached: `count` objects with numbers from `first` up to `end`.

    It is a list, or a byte for each object. What is reached together often lies together: then all
    edges between the first and the last are looked at, and the next ring is where marks are new. That
    takes two steps of an edge, where lists take a dozen.
    """

    def __init__(self, pointers: Pointers, ring: Ints, seen: Ints) -> None:
        self.pointers = pointers
        self.seen = seen
        self.inside = np.zeros(len(seen), bool)  # whether an object is of the ring, from `first` up to `end`
        self._mentioned: Ints = np.empty(len(seen), np.int32)
        self.follow(np.unique(ring))

    def follow(self, ring: Ints) -> None:
        """Goes on with a list."""
        self.list: Ints | None = ring
        self.count = len(ring)
        if len(ring):
            self.first, self.end = int(ring.min()), int(ring.max()) + 1

    def listed(self) -> Ints:
        """The ring as a list."""
        if self.list is None:
            self.list = np.flatnonzero(self.inside[self.first : self.end]) + self.first
        return self.list

    def next(self) -> None:
        """Marks the next ring, with which it goes on."""
        found = [targets for targets in self._targets() if len(targets)]
        self.count = 0
        if not found:
            return
        seen = self.seen
        first = min([int(targets.min()) for targets in found])
        end = max([int(targets.max()) for targets in found]) + 1
        if end - first > SPARSE * sum(map(len, found)):
            self.list, self.first, self.end = self._mark(np.concatenate(found)), first, end
            self.count = len(self.list)
            return
        before = seen[first:end].copy()
        for targets in found:
            seen[targets] = 1
        new = np.not_equal(seen[first:end], before, out=self.inside[first:end])
        self.list, self.first, self.end, self.count = None, first, end, int(np.count_nonzero(new))

    def _targets(self) -> list[Ints]:
        """What the ring points at."""
        near = self.pointers.between(self.first, self.end)
        edges = sum([len(sources) for sources, _ in near])
        if max(edges, self.end - self.first >> 3) > NEAR * self.count:
            return [self.pointers.of(self.listed())]
        if self.list is not None:
            self.inside[self.first : self.end] = False
            self.inside[self.list] = True
        return [_those(targets, self.inside.take(sources)) for sources, targets in near]

    def _mark(self, targets: Ints) -> Ints:
        """Marks objects; those that were not marked, each once."""
        found = _those(targets, self.seen.take(targets) == 0)
        self.seen[found] = 1
        # Of those that are mentioned more than once, the last mention stays.
        order = np.arange(len(found), dtype=np.int32)
        self._mentioned[found] = order
        return _those(found, self._mentioned.take(found) == order)


def _those(objects: Ints, meant: Ints) -> Ints:
    """The objects that are meant, which may be all."""
    return objects if meant.all() else objects.take(np.flatnonzero(meant))


def _one_by_one(pointers: Pointers, frontier: Ints, seen: Ints) -> Ints:
    """Follows pointers one by one as long as rings are small; the ring that is not, or the empty one."""
    begin, end = (each.data for each in pointers.bounds)
    targets, marks = pointers.targets.data, seen.data
    ring: list[int] = frontier.tolist()
    while ring and len(ring) <= SMALL:
        reached = []
        for at in ring:
            for i in range(begin[at], end[at]):
                target = targets[i]
                if not marks[target]:
                    marks[target] = 1
                    reached.append(target)
        ring = reached
    return np.array(ring, np.int64)
