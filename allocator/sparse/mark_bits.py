"""Where mark bits and allocation bits live: arenas of 64 KB that change their role each cycle (mheap.go).

The bits themselves are integers in the spans. Here is the memory behind them: each span takes
bytes from the arena `next` when it is made and again each time it is swept; when a cycle starts,
`next` becomes `current`, `current` `previous`, and what was `previous` can be used again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore

NAME = "gc bits"
STAT = "gc_misc_sys"


class GcBitsArenas:
    """gcBitsArenas. An arena is its address; a list's last one is its head."""

    __slots__ = ("align", "capacity", "chunk", "core", "current", "free", "next", "next_free", "previous")

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        config = core.config
        self.chunk = config.gc_bits_chunk_bytes
        self.capacity = self.chunk - config.gc_bits_header_bytes  # len(gcBitsArena.bits)
        self.align = -config.gc_bits_header_bytes % 8
        self.free: list[int] = []
        self.next: list[int] = []
        self.current: list[int] = []
        self.previous: list[int] = []
        self.next_free = 0  # the first free byte of next's head

    def new_span(self, nelems: int) -> None:
        """Takes the mark bits of a new span, then its allocation bits."""
        end = self.next_free + ((nelems + 63 >> 6) << 4)
        if self.core.steps is None and self.next and end <= self.capacity:
            self.next_free = end
        else:
            self.new_bits(nelems)
            self.new_bits(nelems)

    def new_bits(self, nelems: int) -> None:
        """Takes bytes for nelems bits, in blocks of 64 (newMarkBits, newAllocBits)."""
        need = (nelems + 63 >> 6) << 3
        steps = self.core.steps
        if steps is not None:
            how = steps.bits_arena()
            if how is not None:
                arena = self._take_arena(how == "new")
                if steps.bits_arena_unused(arena):
                    self.free.append(arena)
                    return
                self._begin(arena)
        elif not self.next or self.next_free + need > self.capacity:
            self._begin(self._take_arena())
            if self.next_free + need > self.capacity:
                raise Throw("markBits overflow")
        self.next_free += need

    def _take_arena(self, new: bool = False) -> int:
        """A free arena, or a new one where there is none or it is to be new (newArenaMayUnlock)."""
        if self.free and not new:
            return self.free.pop()
        arena = self.core.mem.sys_alloc(self.chunk, STAT, NAME)
        if not arena:
            raise Throw("runtime: cannot allocate memory")
        return arena

    def _begin(self, arena: int) -> None:
        self.next.append(arena)
        bits = arena + self.core.config.gc_bits_header_bytes
        self.next_free = 8 - (bits & 7) if self.align else 0

    def next_epoch(self) -> None:
        """nextMarkBitArenaEpoch: every arena takes the next role; the oldest are free again."""
        # Go threads `previous` in front of `free`, its head first.
        self.free.extend(self.previous)
        self.previous = self.current
        self.current = self.next
        self.next = []
