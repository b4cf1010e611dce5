"""The arenas of mark bits and allocation bits, in memory that this machine asks for (mheap.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.mark_bits import BitArenas
from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.contiguous.core import Core


class GcBitsArenas(BitArenas):
    """gcBitsArenas of a heap."""

    __slots__ = ("rt",)

    def __init__(self, rt: Core) -> None:
        super().__init__(rt.config.gc_bits_chunk, rt.config.gc_bits_header)
        self.rt = rt

    def new_bits(self, nelems: int) -> None:
        need = (nelems + 63 >> 6) << 3
        at = self.next_free
        if at + need > self.capacity or not self.next:
            self.begin(self._take_arena())
            at = self.next_free
        if at >= self.chunk:
            self.rt.printed.append(f"runtime: gcBitsArenas.next.free= {at} {self.chunk}")
            raise Throw("markBits overflow")
        self.next_free = at + need

    def _take_arena(self) -> int:
        """A free arena, or a new one where there is none (newArena)."""
        if self.free:
            return self.free.pop()
        arena = self.rt.sys_alloc(self.chunk, "gc_sys")
        if not arena:
            raise Throw("runtime: cannot allocate memory")
        return arena
