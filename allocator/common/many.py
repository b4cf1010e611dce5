"""malloc_many: the call, the same for every machine. NumPy is imported when it is used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from allocator.common.cycles import no_garbage_collection
from allocator.common.types import Type

if TYPE_CHECKING:
    from allocator.common.bulk.batches import Allocates


class ManyObjects(ABC):
    """A machine that allocates many objects at once."""

    __slots__ = ()

    config: Any
    pointer_type: Type  # of a lone pointer

    def malloc_many(
        self,
        sizes: Any,
        noscan: bool | None = None,
        typ: Type | Sequence[Type] | None = None,
        types: Any = None,
        needzero: bool = True,
        p: Any = 0,
    ) -> Any:
        """The addresses (uint64) of objects of these sizes, as `malloc` would have given them one by one.

        sizes: a flat array of bytes. typ: one type for all, or several with `types`, an index into them
        for each object, -1 for none. noscan and needzero are those of `malloc`, for all objects. p: the
        P that allocates, one for all or one for each.

        Afterwards the machine is as if each had been allocated by itself. A collection that an allocation
        triggers runs after that allocation. Raises Death where the runtime dies in the middle, and BadType
        for a type and size that contradict each other, both with the machine as it was then; and
        BadRequest, before anything happens, for impossible requests. KeyboardInterrupt leaves a machine
        that must not be used any more.
        """
        from allocator.common.bulk import arguments
        from allocator.common.bulk.batches import allocate

        asked, least, most = arguments.sizes_of(sizes, self.config.uintptr_mask)
        kinds = arguments.kinds_of(self.pointer_type, typ, types, noscan, asked.size)
        procs = arguments.procs_of(p, asked.size, self.procs)
        with no_garbage_collection():
            return allocate(self.many(needzero), asked, least, most, kinds, procs)

    @property
    @abstractmethod
    def procs(self) -> int:
        """GOMAXPROCS: how many Ps there are."""

    @abstractmethod
    def many(self, needzero: bool) -> Allocates:
        """The machine as batches of objects see it. needzero: as for `malloc`, for all of them."""
