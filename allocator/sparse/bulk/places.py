"""A place that objects come from, a span class of an mcache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.bulk.supply import Supply

if TYPE_CHECKING:
    from allocator.sparse.heap import Heap
    from allocator.sparse.mcache import CachedSpan
    from allocator.sparse.mspan import MSpan


class SpanPlace(Supply):
    """A span class of an mcache.

    `fresh` are spans that were new to the batch and have been made records, each with the rank of its
    first object.
    """

    __slots__ = ("cached", "fresh", "spanclass")

    def __init__(self, rt: Heap, cached: CachedSpan, spanclass: int, total: int) -> None:
        layout = rt.layout[spanclass]
        in_header = rt.config.headers and not spanclass & 1 and not layout.bits_in_span
        header = rt.config.malloc_header_size if in_header else 0
        super().__init__(spanclass, layout.elemsize, total, header)
        self.spanclass = spanclass
        self.cached = cached
        self.fresh: list[tuple[int, MSpan]] = []

    def supply_span(self, s: MSpan) -> int:
        """Adds the free objects of the span that is cached now; returns how many."""
        return self.supply_one(s, s.base, s.nelems, s.allocated())

    def spend(self) -> None:
        """The cached span has given all it had."""
        cached = self.cached
        s = cached.span
        if s is not None:
            s.alloc_count = s.free_index = s.nelems
            cached.next = cached.begin = cached.end = s.base + s.nelems * s.elemsize

    def stand(self) -> None:
        """Leaves the cache where the last object taken from it leaves it."""
        cached = self.cached
        s = cached.span
        if s is None:
            return  # the runtime died when it got a span
        index = (self.address(self.total - 1) - self.header - s.base) // s.elemsize + 1
        taken = s.alloc_bits >> index
        left = s.nelems - index
        run = min((taken & -taken).bit_length() - 1, left) if taken else left
        s.alloc_count += self.total - self.begun
        s.free_index = index
        cached.next = cached.begin = s.base + index * s.elemsize
        cached.end = cached.next + run * s.elemsize
