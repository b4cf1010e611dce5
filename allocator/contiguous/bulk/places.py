"""A place that objects come from, a size class of an mcache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.bulk.supply import Supply

if TYPE_CHECKING:
    from allocator.contiguous.core import Core
    from allocator.contiguous.mcache import CachedSpan, MCache


class BulkPlace(Supply):
    """A size class of an mcache. Its spans are ids."""

    __slots__ = ("cache", "cached", "rt", "sizeclass")

    def __init__(self, rt: Core, cache: MCache, sizeclass: int, code: int, total: int) -> None:
        super().__init__(code, rt.class_to_size[sizeclass], total)
        self.rt = rt
        self.cache = cache
        self.sizeclass = sizeclass
        self.cached: CachedSpan = cache.alloc[sizeclass]

    def supply_span(self, s: int) -> int:
        """Adds what is free in the span, which is cached now; how many objects that is."""
        spans = self.rt.spans
        nelems = spans.nelems[s]
        taken = (spans.alloc_bits[s] | (1 << spans.free_index[s]) - 1) & (1 << nelems) - 1
        return self.supply_one(s, spans.base[s], nelems, taken)
