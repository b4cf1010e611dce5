"""Where mark bits and allocation bits live: arenas of 64 KB that change their role each cycle (mheap.go).

The bits themselves are integers with the spans. Here is the memory behind them: each span takes
bytes from the arena `next` when it is made and again each time it is swept; when a cycle starts,
`next` becomes `current`, `current` `previous`, and what was `previous` can be used again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod


class BitArenas(ABC):
    """gcBitsArenas. An arena is its address; a list's last one is its head. `chunk` and `header` in bytes."""

    __slots__ = ("align", "capacity", "chunk", "current", "free", "header", "next", "next_free", "previous")

    def __init__(self, chunk: int, header: int) -> None:
        self.chunk = chunk
        self.header = header
        self.capacity = chunk - header  # len(gcBits.bits)
        # bits[] starts after the header; the first index is raised until bits[free] is 8-aligned.
        self.align = -header % 8
        self.free: list[int] = []
        self.next: list[int] = []
        self.current: list[int] = []
        self.previous: list[int] = []
        self.next_free = 0  # the first free byte of next's head

    def new_span(self, nelems: int) -> None:
        """Takes the mark bits of a new span, then its allocation bits."""
        end = self.next_free + ((nelems + 63 >> 6) << 4)
        if self.next and end <= self.capacity:
            self.next_free = end
        else:
            self.new_bits(nelems)
            self.new_bits(nelems)

    @abstractmethod
    def new_bits(self, nelems: int) -> None:
        """Takes bytes for nelems bits, in blocks of 64 (newMarkBits, newAllocBits)."""

    def begin(self, arena: int) -> None:
        """From now on bytes are taken from this arena, after its header."""
        self.next.append(arena)
        self.next_free = 8 - (arena + self.header & 7) if self.align else 0

    def next_epoch(self) -> None:
        """nextMarkBitArenaEpoch: every arena takes the next role; the oldest are free again."""
        # Go threads `previous` in front of `free`, its head first.
        self.free.extend(self.previous)
        self.previous = self.current
        self.current = self.next
        self.next = []
