"""gcSweepBuf: two stacks of in-use spans, swept and unswept, that trade roles each cycle (mgcsweepbuf.go)."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.contiguous.core import Core


class SweepBuf:
    """One stack. Its blocks are never given back, so only a stack deeper than ever before asks for memory."""

    __slots__ = ("blocks", "entries", "rt", "spans", "spine_cap")

    def __init__(self, rt: Core) -> None:
        self.rt = rt
        self.entries = rt.config.sweep_block_entries  # spans that a block holds
        self.spans = array("q")
        self.blocks = 0
        self.spine_cap = 0

    def push(self, s: int) -> None:
        """Puts a span on top, adding a block or growing the spine when needed."""
        spans = self.spans
        if len(spans) >= self.blocks * self.entries:
            self.provide(len(spans))
        spans.append(s)

    def provide(self, depth: int) -> None:
        """Provides a place on top of a stack that deep."""
        if depth >= self.blocks * self.entries:
            if self.blocks == self.spine_cap:
                self.spine_cap = self.spine_cap * 2 or self.rt.config.sweep_buf_init_spine_cap
                self._persistent(self.spine_cap)
            self._persistent(self.entries)
            self.blocks += 1

    def _persistent(self, pointers: int) -> None:
        config = self.rt.config
        self.rt.persistent_alloc(pointers * config.ptr_size, config.cache_line_size, "gc_sys")


class SweepSpans:
    """mheap_.sweepSpans: the pair, addressed by role."""

    __slots__ = ("bufs", "rt")

    def __init__(self, rt: Core) -> None:
        self.rt = rt
        self.bufs = (SweepBuf(rt), SweepBuf(rt))

    @property
    def swept(self) -> array[int]:
        """The spans entered as swept in this cycle, the last on top."""
        return self.bufs[self.rt.heap.sweepgen // 2 % 2].spans

    @property
    def unswept(self) -> array[int]:
        """The spans that are still to be swept, the next on top."""
        return self.bufs[1 - self.rt.heap.sweepgen // 2 % 2].spans
