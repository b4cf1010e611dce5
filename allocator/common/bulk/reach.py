"""What is reached through stored pointers, where objects are numbers and pointers are edges.

It is marked in rings, each at once, or one by one where rings are small, as along a list.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Ints = np.ndarray[Any, np.dtype[Any]]

SMALL = 48  # objects of a ring that are followed one by one


class Edges(NamedTuple):
    """From where each object's pointers begin in `targets`, and the numbers that they point at."""

    begin: Ints
    targets: Ints


def edges_of(sources: Ints, targets: Ints, total: int) -> Edges:
    """The edges of objects with numbers below `total`; ordered by source."""
    begin = np.zeros(total + 1, np.int64)
    np.cumsum(np.bincount(sources, minlength=total), out=begin[1:])
    return Edges(begin, targets)


def reach(edges: Edges, frontier: Ints, seen: Ints) -> None:
    """Marks in `seen`, a byte for each object, all that is reached from the frontier, which is marked."""
    mentioned: Ints | None = None
    while len(frontier):
        if len(frontier) <= SMALL:
            frontier = _rings(edges, frontier, seen)
            continue
        low = edges.begin[frontier]
        count = edges.begin[frontier + 1] - low
        ends = np.cumsum(count)
        which = np.arange(int(ends[-1])) + np.repeat(low - ends + count, count)
        reached = edges.targets[which]
        reached = reached[seen[reached] == 0]
        seen[reached] = 1
        # Of those that are mentioned more than once, the last mention stays.
        if mentioned is None:
            mentioned = np.empty(len(seen), np.int32)
        order = np.arange(len(reached), dtype=np.int32)
        mentioned[reached] = order
        frontier = reached[mentioned[reached] == order]


def _rings(edges: Edges, frontier: Ints, seen: Ints) -> Ints:
    """Follows pointers one by one as long as rings are small; the ring that is not, or the empty one."""
    begin, targets, marks = edges.begin.data, edges.targets.data, seen.data
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
