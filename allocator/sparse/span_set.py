"""Sets of spans that threads push to and pop from: a queue in blocks under a spine (mspanset.go).

What is popped is what was pushed first. A block goes back to the pool when all of it was popped;
the spine only grows. Both are memory that is never given back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.sparse.lfstack import LFStack

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.mspan import MSpan
    from allocator.sparse.span_records import Entry

STAT = "gc_misc_sys"


class BlockPool:
    """spanSetBlockPool: blocks that are not in use, the one freed last on top. A block is its address."""

    __slots__ = ("align", "core", "size", "stack")

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self.stack = LFStack(core.config)
        self.size = core.config.sizeof["spanSetBlock"]
        self.align = max(core.config.cache_line_size, 1 << core.config.tag_align_bits)

    def alloc(self) -> int:
        """A block (spanSetBlockAlloc.alloc)."""
        steps = self.core.steps
        if self.stack and (steps is None or not steps.new_block()):
            return self.stack.pop()
        return self.core.persistent.alloc(self.size, self.align, STAT)

    def free(self, block: int) -> None:
        """Gives a block back (spanSetBlockAlloc.free)."""
        self.stack.push(block)


class SpanSet:
    """One spanSet. `head` and `tail` count pops and pushes since the last reset; `blocks` has the
    block of each `block_entries` pushes, 0 for one that was popped whole."""

    __slots__ = ("block_entries", "blocks", "core", "head", "spans", "spine_cap", "tail")

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self.block_entries = core.config.span_set_block_entries
        self.spans: deque[Entry] = deque()
        self.head = 0
        self.tail = 0
        self.blocks: list[int] = []
        self.spine_cap = 0

    def __len__(self) -> int:
        return len(self.spans)

    def __iter__(self) -> Iterator[MSpan]:
        return map(self.core.heap.allspans.of, self.spans)

    def push(self, s: MSpan) -> None:
        """Adds a span (push)."""
        steps = self.core.steps
        if steps is None:
            if self.tail >= self.block_entries * len(self.blocks):
                self.new_block()
            self.tail += 1
            self.spans.append(s)
            return
        if steps.pushes(self, s):
            self.tail += 1
            self.spans.append(s)
            return
        if steps.needs_block(self):
            self.new_block()
            steps.turn()
        self.tail += 1
        self.spans.append(s)
        steps.pushed(self, s)

    def block_at_hand(self) -> bool:
        """Whether a block is available without new memory."""
        pool = self.core.span_set_blocks
        if len(self.blocks) == self.spine_cap:
            return False
        return bool(pool.stack) or self.core.persistent.at_hand(pool.size, pool.align)

    def new_block(self) -> None:
        """A block for the next spans that are pushed, and room for it in the spine."""
        core = self.core
        if len(self.blocks) == self.spine_cap:
            config = core.config
            self.spine_cap = 2 * self.spine_cap or config.span_set_init_spine_cap
            core.persistent.alloc(self.spine_cap * config.ptr_size, config.cache_line_size, STAT)
        self.blocks.append(core.span_set_blocks.alloc())

    def pop(self) -> MSpan | None:
        """Takes the span that was pushed first; None from an empty set (pop)."""
        spans, steps = self.spans, self.core.steps
        s = self.core.heap.allspans.of(spans[0]) if spans else None
        if steps is None or steps.pops(self, s):
            if s is None:
                return None
            spans.popleft()
        else:
            at = steps.place_of_next(self)
            s = None
            if at is not None:
                s = self.core.heap.allspans.of(spans[at])
                del spans[at]
            steps.popped(self, s)
            if s is None:
                return None
        self.head += 1
        if not self.head % self.block_entries:
            top = self.head // self.block_entries - 1
            self.core.span_set_blocks.free(self.blocks[top])
            self.blocks[top] = 0
        return s

    def reset(self) -> None:
        """Makes an empty set as good as new; its last block goes back (reset)."""
        if self.spans:
            raise Throw("attempt to clear non-empty span set", f"head = {self.head}, tail = {self.tail}")
        top, popped = divmod(self.head, self.block_entries)
        if top < len(self.blocks) and self.blocks[top]:
            if not popped:
                raise Throw("span set block with unpopped elements found in reset")
            self.core.span_set_blocks.free(self.blocks[top])
        self.head = self.tail = 0
        self.blocks.clear()
