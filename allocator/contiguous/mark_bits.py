"""Where mark bits and allocation bits live: arenas of 64 KB that change their role each cycle (mheap.go).

The bits themselves are integers in the span columns. Here is the memory behind
them: each span takes bytes from the arena `next` when it is made and again each
time it is swept; when a cycle starts, `next` becomes `current`, `current`
`previous`, and what was `previous` can be used again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.contiguous.core import Core


class GcBitsArenas:
    """gcBitsArenas. An arena is its address; a list holds the one in use last."""

    __slots__ = ("align", "capacity", "chunk", "current", "free", "next", "next_free", "previous", "rt")

    def __init__(self, rt: Core) -> None:
        self.rt = rt
        config = rt.config
        self.chunk = config.gc_bits_chunk
        self.capacity = self.chunk - config.gc_bits_header  # len(gcBits.bits)
        # bits[] starts after the header; the first index is raised until bits[free] is 8-aligned.
        self.align = -config.gc_bits_header % 8
        self.free: list[int] = []
        self.next: list[int] = []
        self.current: list[int] = []
        self.previous: list[int] = []
        self.next_free = 0  # the first free byte of next's last arena

    def new_span(self, nelems: int) -> None:
        """Takes the mark bits of a new span, then its allocation bits."""
        end = self.next_free + ((nelems + 63 >> 6) << 4)
        if self.next and end <= self.capacity:
            self.next_free = end
        else:
            self.new_bits(nelems)
            self.new_bits(nelems)

    def new_bits(self, nelems: int) -> None:
        """Takes bytes for nelems bits, in blocks of 64 (newMarkBits, newAllocBits)."""
        need = (nelems + 63 >> 6) << 3
        at = self.next_free
        if at + need > self.capacity or not self.next:
            self._new_arena()
            at = self.next_free
        if at >= self.chunk:
            self.rt.printed.append(f"runtime: gcBitsArenas.next.free= {at} {self.chunk}")
            raise Throw("markBits overflow")
        self.next_free = at + need

    def _new_arena(self) -> None:
        if self.free:
            arena = self.free.pop()
        else:
            arena = self.rt.sys_alloc(self.chunk, "gc_sys")
            if not arena:
                raise Throw("runtime: cannot allocate memory")
        self.next.append(arena)
        if self.align == 0:
            self.next_free = 0
        else:
            self.next_free = 8 - ((arena + self.rt.config.gc_bits_header) & 7)

    def next_epoch(self) -> None:
        """nextMarkBitArenaEpoch: every arena takes the next role; the oldest are free again."""
        # Go threads `previous` in front of `free`; the arena filled last is its head.
        self.free.extend(self.previous)
        self.previous = self.current
        self.current = self.next
        self.next = []
