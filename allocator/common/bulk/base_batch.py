"""What the batches of both machines have in common: their frame, and what is counted by time."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from allocator.common.bulk.codes import BLOCK

if TYPE_CHECKING:
    from allocator.common.bulk.batch_layout import BatchLayout
    from allocator.common.bulk.codes import Coder
    from allocator.common.bulk.compiled import CompiledLayout
    from allocator.common.bulk.supply import Supply

Ints = np.ndarray[Any, np.dtype[Any]]

FEW = 16  # numbers that are counted one after the other


class Collects(Protocol):
    """A machine that can be told to collect."""

    def start_collection(self) -> None:
        """A whole cycle."""
        ...


class BaseBatch:
    """A call's objects, or so many of them as come before a collection.

    Times are places in the batch. `owner` has each object's P, None where there is one for all. `stop` is
    how many objects have been allocated in the end. `numbers` are the objects' places in the coder's plans
    and one more, one for all where it is the same.
    """

    layout: BatchLayout | CompiledLayout
    numbers: Ints | int
    coder: Coder
    owner: Ints | None
    places: Sequence[Supply]
    machine: Collects
    stop: int

    def run(self) -> int:
        """Allocates; returns how many objects, all unless a collection had to come in between."""
        try:
            collect = self.play()
        except Exception:
            self.settle()
            raise
        # An interrupt (KeyboardInterrupt) can come anywhere, and then nothing can be settled.
        self.settle()
        if collect:
            self.machine.start_collection()
        return self.stop

    def play(self) -> bool:
        """Carries out what happens, in order. True: a collection has to start after the last object."""
        raise NotImplementedError

    def settle(self) -> None:
        """Brings the machine to its state after the first `stop` objects."""
        raise NotImplementedError

    def waiting(self) -> list[tuple[int, int]]:
        """When each place runs out, as a heap."""
        waiting = [
            (self.layout.time(place.code, place.supplied), i)
            for i, place in enumerate(self.places)
            if place.supplied < place.total
        ]
        heapq.heapify(waiting)
        return waiting

    def wait(self, waiting: list[tuple[int, int]], i: int) -> None:
        """The place of that number waits, unless it has what it needs."""
        place = self.places[i]
        if place.supplied < place.total:
            heapq.heappush(waiting, (self.layout.time(place.code, place.supplied), i))

    def scan(self, number: int, since: int, until: int) -> int:
        """Bytes that a P's objects of that time add to what a collector scans."""
        if isinstance(self.numbers, int):
            if not self.numbers:
                return 0
            mine = until - since
            if self.owner is not None:
                mine = int(np.count_nonzero(self.owner[since:until] == number))
            return mine * int(self.coder.plans[self.numbers - 1].scan)
        scans = np.array([0, *[plan.scan for plan in self.coder.plans]], np.int64)
        total = 0
        for a in range(since, until, BLOCK):
            part = slice(a, min(a + BLOCK, until))
            numbers = self.numbers[part]
            if self.owner is not None:
                numbers = numbers[self.owner[part] == number]
            total += int(_counts(numbers, len(scans)) @ scans)
        return total


def _counts(numbers: Ints, most: int) -> Ints:
    """How often each number below `most` occurs."""
    if most > FEW:
        return np.bincount(numbers, minlength=most)
    # Comparing all of them with one number takes a twentieth of counting all.
    return np.array([np.count_nonzero(numbers == number) for number in range(most)])
