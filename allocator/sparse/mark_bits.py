"""The arenas of mark bits and allocation bits, in memory that this machine asks for (mheap.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.mark_bits import BitArenas
from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore

NAME = "gc bits"
STAT = "gc_misc_sys"


class GcBitsArenas(BitArenas):
    """gcBitsArenas of a heap."""

    __slots__ = ("core",)

    def __init__(self, core: HeapCore) -> None:
        super().__init__(core.config.gc_bits_chunk_bytes, core.config.gc_bits_header_bytes)
        self.core = core

    def new_span(self, nelems: int) -> None:
        steps = self.core.steps
        if steps is None:
            BitArenas.new_span(self, nelems)  # super() takes as long as the rest
        elif steps.bits_arena() is None:
            self.next_free += (nelems + 63 >> 6) << 4
        else:
            self.new_bits(nelems)
            self.new_bits(nelems)

    def new_bits(self, nelems: int) -> None:
        need = (nelems + 63 >> 6) << 3
        steps = self.core.steps
        if steps is not None:
            how = steps.bits_arena()
            if how is not None:
                arena = self._take_arena(how == "new")
                if steps.bits_arena_unused(arena):
                    self.free.append(arena)
                    return
                self.begin(arena)
        elif not self.next or self.next_free + need > self.capacity:
            self.begin(self._take_arena())
            if self.next_free + need > self.capacity:
                raise Throw("markBits overflow")
        self.next_free += need

    def arena_at_once(self) -> bool:
        """Whether an arena is free, which it also is if the system gives one at once."""
        if not self.free:
            arena = self.core.mem.sys_alloc_at_once(self.chunk, STAT, NAME)
            if arena:
                self.free.append(arena)
        return bool(self.free)

    def _take_arena(self, new: bool = False) -> int:
        """A free arena, or a new one where there is none or it is to be new (newArenaMayUnlock)."""
        if self.free and not new:
            return self.free.pop()
        arena = self.core.mem.sys_alloc(self.chunk, STAT, NAME)
        if not arena:
            raise Throw("runtime: cannot allocate memory")
        return arena
