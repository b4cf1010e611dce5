"""The free pages at a heap's end, as long as nothing else is free: what a growing heap is like.

An allocation takes the first of them, and growth adds more behind, so that a few addresses tell all that
has changed. Bits, scavenge index and summaries get it in one piece when somebody looks at them. A heap that
grows by an object at a time would otherwise write down chunk after chunk what nobody reads.
"""

from __future__ import annotations


class Top:
    """Free pages from `first` up to `limit`, none of which has memory; offset addresses.

    Those from `taken_from` to `first` are allocated, and chunks from the address `grown_from` on are the
    heap's, which is not written down yet. Tables know of growth up to `told`, and have memory up to `ready`.
    Up to `known` there are bits for chunks, so that nothing else can go wrong.
    """

    __slots__ = ("first", "grown_from", "known", "limit", "ready", "taken_from", "told")

    def __init__(self, first: int, limit: int, known: int, ready: int) -> None:
        self.first = self.taken_from = first
        self.limit = self.grown_from = self.told = limit
        self.known = known
        self.ready = ready
