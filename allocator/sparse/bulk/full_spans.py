"""What is known of spans that were taken in a row and filled, as long as their records are not asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.sparse.mspan import IN_USE, MSpan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from allocator.sparse.bulk.object_types import ObjectTypes
    from allocator.sparse.heap_core import HeapCore

Ints = np.ndarray[Any, np.dtype[Any]]


class FullSpans:
    """Spans that were filled and have been in no cache since, by the number of their record.

    `at` tells which of the row a record is, from the record of number `first` on. Of each of the row,
    `base` is its address, `spanclass` its class, `rank` that of its first object in its place, `sweepgen`
    as in its record, `marked` how many of its objects are marked, and `allocated` how many are allocated. Of
    some, `marks` has those that are marked, as bits, and `left` those that are left since they were swept.
    """

    __slots__ = (
        "allocated", "at", "base", "core", "dirty", "first", "left", "marked", "marks", "rank", "spanclass",
        "sweepgen", "types",
    )  # fmt: skip

    def __init__(
        self,
        core: HeapCore,
        numbers: Ints,
        at: Ints,
        base: Ints,
        spanclass: Ints,
        rank: Ints,
        dirty: set[int],
    ) -> None:
        self.core = core
        self.sweepgen = np.full(len(base), core.heap.sweepgen)
        self.first = int(numbers.min())
        self.at = np.zeros(int(numbers.max()) + 1 - self.first, np.int32)
        self.at[numbers - self.first] = at
        self.base = base
        self.spanclass = spanclass
        self.rank = rank
        self.dirty = dirty  # those whose pages have been used before
        self.types: Mapping[int, ObjectTypes] = {}
        self.marked = np.zeros(len(base), np.int32)
        self.allocated = np.array([layout.nelems for layout in core.layout], np.int32).take(spanclass)
        self.marks: dict[int, int] = {}
        self.left: dict[int, int] = {}

    def places(self, numbers: list[int] | Ints) -> Ints:
        """Which of the row those records are."""
        found: Ints = self.at[np.asarray(numbers) - self.first]
        return found

    def alike(self, spanclass: int) -> bool:
        """Whether all objects of a class hold the same."""
        types = self.types.get(spanclass)
        return types is None or isinstance(types.numbers, int)

    def make(self, number: int, address: int) -> MSpan:
        """The record of that number."""
        k = int(self.at[number - self.first])
        spanclass = int(self.spanclass[k])
        core = self.core
        s = MSpan(address)
        s.init(int(self.base[k]), core.layout[spanclass].npages, core.config.page_size)
        core.heap.shape(s, spanclass)
        left = self.left.get(k)
        if left is None:
            s.alloc_count = s.free_index = s.nelems
        else:
            s.alloc_count, s.alloc_bits = left.bit_count(), left
        s.mark_bits = self.marks.get(k, 0)
        s.needzero = int(k in self.dirty)
        s.sweepgen = int(self.sweepgen[k])
        s.state = IN_USE
        types = self.types.get(spanclass)
        if types is not None:
            s.types = types.of(int(self.rank[k]), s.nelems)
        return s
