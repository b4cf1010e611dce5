"""What is reached through stored pointers, where objects are numbers and pointers are pointers.

It is marked in rings, each at once, or one by one where rings are small, as along a list.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from allocator.common.bulk.engine import follows_compiled

Ints = np.ndarray[Any, np.dtype[Any]]

SMALL = 48  # objects of a ring that are followed one by one


class Pointers(NamedTuple):
    """From where each object's pointers begin in `targets`, and the numbers that they point at."""

    begin: Ints
    targets: Ints


def pointers_of(parts: list[tuple[Ints, Ints]], total: int) -> Pointers:
    """The pointers of objects with numbers below `total`: sources, in order, and targets."""
    sources = np.concatenate([source for source, _ in parts]) if parts else np.zeros(0, np.int64)
    targets = np.concatenate([target for _, target in parts]) if parts else np.zeros(0, np.int64)
    begin = np.zeros(total + 1, np.int64)
    np.cumsum(np.bincount(sources, minlength=total), out=begin[1:])
    return Pointers(begin, targets)


def reach(pointers: Pointers, frontier: Ints, seen: Ints) -> None:
    """Marks in `seen`, a byte for each object, all that is reached from the frontier, which is marked."""
    if follows_compiled(len(seen)):
        from allocator.common.bulk.compiled_reach import reach as follow

        follow(pointers.begin, pointers.targets, frontier, seen, np.empty(len(seen), np.int64))
        return
    mentioned: Ints | None = None
    while len(frontier):
        if len(frontier) <= SMALL:
            frontier = _rings(pointers, frontier, seen)
            continue
        low = pointers.begin.take(frontier)
        count = pointers.begin.take(frontier + 1) - low
        ends = np.cumsum(count)
        which = np.arange(int(ends[-1])) + np.repeat(low - ends + count, count)
        reached = pointers.targets.take(which)
        reached = reached.take(np.flatnonzero(seen.take(reached) == 0))
        seen[reached] = 1
        # Of those that are mentioned more than once, the last mention stays.
        if mentioned is None:
            mentioned = np.empty(len(seen), np.int32)
        order = np.arange(len(reached), dtype=np.int32)
        mentioned[reached] = order
        frontier = reached.take(np.flatnonzero(mentioned.take(reached) == order))


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
