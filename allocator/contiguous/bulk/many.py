"""malloc_many on this machine: where its objects come from, and which way they go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk import tiny_runs
from allocator.common.bulk.arguments import Kinds
from allocator.common.bulk.codes import CLASSES, Coder
from allocator.common.throw import Death
from allocator.common.types import BadType, Type
from allocator.contiguous.bulk.batch import Batch

if TYPE_CHECKING:
    from allocator.contiguous.plan import Plan
    from allocator.contiguous.runtime import Runtime

Ints = np.ndarray[Any, np.dtype[Any]]


class ClassPlaces:
    """The places of a machine, and how it plans objects with pointers."""

    tiny_rule = tiny_runs.RULE

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.plain = rt.class_of
        self.tiny_class = rt.config.tiny_size_class
        self.pointer_type = rt.pointer_type
        self.ptr_size = rt.config.ptr_size

    def plan(self, typ: Type, size: int) -> tuple[int, Plan] | None:
        """The size class of objects with pointers, and the plan; None where they cannot be."""
        data = size - size % self.ptr_size if typ is self.pointer_type else None
        printed = len(self.rt.printed)
        try:
            found = self.rt.plan(typ, size, data)
        except (BadType, Death):
            del self.rt.printed[printed:]
            return None
        return found.sizeclass, found


class Many:
    """A machine while it allocates many objects."""

    def __init__(self, rt: Runtime, needzero: bool) -> None:
        self.rt = rt
        self.needzero = needzero

    @property
    def steady(self) -> bool:
        """Whether no collection will come by itself."""
        return not self.rt.stats.enablegc or self.rt.gc.gcpercent < 0

    def fits(self, procs: Ints | int) -> bool:
        """Whether nothing looks at objects one by one."""
        return self.rt.unseen and len(self.rt.class_to_size) < CLASSES

    def coder(self, kinds: Kinds, least: int, most: int) -> Coder:
        """What looks up where objects come from."""
        return Coder(ClassPlaces(self.rt), kinds, least, most)

    def batch(
        self, sizes: Ints, coder: Coder, kinds: Kinds, procs: Ints | int, out: Ints, ready: Any
    ) -> Batch:
        """A batch of these objects."""
        return Batch(self.rt, sizes, coder, kinds, procs, self.needzero, out, ready)

    def one(self, size: int, kinds: Kinds, i: int, p: int) -> int:
        """An object by itself."""
        typ = kinds.of(i)
        if typ is self.rt.pointer_type:
            return self.rt.malloc(size, None, False, self.needzero, p)
        return self.rt.malloc(size, typ, None, self.needzero, p)
