"""Numbers that several threads draw from one counter without a lock, each once.

A record is written after the draw that it tells of, so of two threads the one that drew later may come
first. But every number must come: one that is left out now comes before the counter starts over, and none
comes twice.
"""

from __future__ import annotations


class Draws:
    """One counter. `unordered` counts what came before a lower number."""

    __slots__ = ("missing", "next", "unordered")

    def __init__(self) -> None:
        self.next = 0
        self.missing: set[int] = set()
        self.unordered = 0

    @property
    def expected(self) -> int:
        """The number that comes next where all is in order."""
        return min(self.missing) if self.missing else self.next

    def draw(self, told: int, threads: int) -> bool:
        """Takes a number; False where no thread can have drawn it. So many threads may draw at a time."""
        if told == self.next:
            self.next += 1
            return True
        if told in self.missing:
            self.missing.discard(told)
            return True
        if not self.next < told < self.next + threads or len(self.missing) + told - self.next >= threads:
            return False
        self.missing.update(range(self.next, told))
        self.next = told + 1
        self.unordered += 1
        return True

    def begin(self) -> int | None:
        """The counter starts over; a number that never came."""
        left = min(self.missing, default=None)
        self.next = 0
        self.missing.clear()
        return left
