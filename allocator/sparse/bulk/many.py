"""malloc_many on this machine: where its objects come from, and which way they go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk import tiny_runs
from allocator.common.bulk.arguments import Kinds
from allocator.common.bulk.codes import CLASSES, LARGE, Coder
from allocator.common.types import BadType, Type
from allocator.sparse.bulk.batch import Batch, allocate_one
from allocator.sparse.pacer import NO_LIMIT

if TYPE_CHECKING:
    from allocator.sparse.heap import Heap
    from allocator.sparse.heap_bits import Plan

Ints = np.ndarray[Any, np.dtype[Any]]


class SpanClassPlaces:
    """The places of a machine, its span classes, and how it plans objects with pointers."""

    def __init__(self, rt: Heap) -> None:
        self.rt = rt
        # What also needs room for a header is large sooner; objects without pointers are, too.
        self.plain = rt.noscan_class[: rt.config.max_small_size - rt.config.malloc_header_size + 1]
        self.tiny_class = rt.tiny_spanclass
        self.tiny_rule = tiny_runs.RULE_12 if rt.narrow else tiny_runs.RULE
        self.pointer_type = rt.pointer_type
        self.ptr_size = rt.config.ptr_size

    def plan(self, typ: Type, size: int) -> tuple[int, Plan] | None:
        """The span class of objects with pointers, and the plan; None where they cannot be."""
        try:
            found = self.rt.plan(typ, size)
        except BadType:
            return None
        return found.spanclass or LARGE, found


class Many:
    """A machine while it allocates many objects."""

    def __init__(self, rt: Heap, needzero: bool) -> None:
        self.rt = rt
        self.needzero = needzero

    @property
    def steady(self) -> bool:
        """Whether no collection will come by itself."""
        pacer = self.rt.pacer
        return not self.rt.gc_enabled or (pacer.gc_percent < 0 and pacer.memory_limit == NO_LIMIT)

    def fits(self, procs: Ints | int) -> bool:
        """Whether nothing looks at objects one by one or follows the machine, and one P allocates."""
        rt = self.rt
        return rt.plain and rt.steps is None and isinstance(procs, int) and len(rt.layout) < CLASSES

    def coder(self, kinds: Kinds, least: int, most: int) -> Coder:
        """What looks up where objects come from."""
        return Coder(SpanClassPlaces(self.rt), kinds, least, most)

    def batch(
        self, sizes: Ints, coder: Coder, kinds: Kinds, procs: Ints | int, out: Ints, ready: Any
    ) -> Batch:
        """A batch of these objects."""
        assert isinstance(procs, int)
        return Batch(self.rt, sizes, coder, kinds, procs, self.needzero, out, ready)

    def one(self, size: int, kinds: Kinds, i: int, p: int) -> int:
        """An object by itself."""
        return allocate_one(self.rt, size, kinds.of(i), self.needzero, p)
