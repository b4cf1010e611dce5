"""The free pages at a heap's end, as long as nothing else is free: what a growing heap is like.

An allocation takes the first of them, and growth adds more behind, so that a few addresses tell all that
has changed. Bits, scavenge index and summaries get it in one piece when somebody looks at them. A heap that
grows by an object at a time would otherwise write down chunk after chunk what nobody reads.
"""

from __future__ import annotations


class Top:
    """Free pages from `first` up to `limit`, none of which has memory; offset addresses.

    Those from `taken_from` to `first` are allocated, and chunks from the address `grown_from` on are the
    heap's, which is not written down yet. The heap can grow on up to `room` without memory for its tables.
    """

    __slots__ = ("first", "grown_from", "limit", "room", "taken_from")

    def __init__(self, first: int, limit: int, room: int) -> None:
        self.first = self.taken_from = first
        self.limit = self.grown_from = limit
        self.room = room
