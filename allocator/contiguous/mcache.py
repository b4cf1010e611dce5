"""mcache: each P's own spans to allocate from, one for each size class (mcache.go).

Go keeps in every span a window of 64 allocation bits and counts them off. Here
a cached span is a run of free objects lying side by side, as two addresses:
handing out an object is an addition. When a run is used up the next one is
found in the span's allocation bits; the span's own free_index and alloc_count
are brought up to date then, or when they are needed (`sync`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.contiguous.mspan import NIL
from allocator.contiguous.own_records import REFILLED

if TYPE_CHECKING:
    from allocator.contiguous.core import Core
    from allocator.contiguous.mspan import Spans


class CachedSpan:
    """One place of mcache.alloc.

    `next` is the next object's address and `end` where its run of free objects ends; equal, the
    slow path has to look. `start` is what `next` was at the last `sync`. `bits` is the span's
    bytearray of heap bitmap, None as long as no object in it has pointers.
    """

    __slots__ = ("base", "bits", "end", "next", "size", "span", "start")

    def __init__(self, size: int) -> None:
        self.size = size
        self.empty()

    def empty(self) -> None:
        """Points it at emptymspan: no object, and no span to return."""
        self.span = NIL
        self.base = self.next = self.end = self.start = 0
        self.bits: bytearray | None = None

    def sync(self, spans: Spans) -> None:
        """Writes what was handed out since the last time into the span's columns."""
        taken = self.next - self.start
        if taken:
            s = self.span
            spans.alloc_count[s] += taken // self.size
            spans.free_index[s] = (self.next - self.base) // self.size
            self.start = self.next

    def next_run(self, spans: Spans) -> bool:
        """Finds the run of free objects at or after free_index; False when the span is full.

        As nextFreeIndex does, it leaves free_index at nelems then.
        """
        s = self.span
        nelems = spans.nelems[s]
        index = spans.free_index[s]
        taken = spans.alloc_bits[s]
        if taken and (taken := taken >> index):
            free = ~taken & ((1 << (nelems - index)) - 1)
            if not free:
                spans.free_index[s] = nelems
                return False
            skip = (free & -free).bit_length() - 1
            taken >>= skip
            length = (taken & -taken).bit_length() - 1 if taken else nelems - index - skip
            index += skip
            length = min(length, nelems - index)
        elif index >= nelems:
            return False
        else:
            length = nelems - index
        self.next = self.start = self.base + index * self.size
        self.end = self.next + length * self.size
        return True


class MCache:
    """A P's mcache. `id` is its number in order of first use; `slot` where its P's persistent memory is.

    Counters are bytes, except `local_tinyallocs`, `local_nlookup` and the numbers of frees.
    """

    __slots__ = (
        "addr", "alloc", "assist_bytes", "id", "local_largefree", "local_nlargefree", "local_nlookup",
        "local_nsmallfree", "local_scan", "local_tinyallocs", "next_sample", "rt", "slot", "stack_lists",
        "stack_sizes", "tiny", "tiny_offset",
    )  # fmt: skip

    def __init__(self, rt: Core, number: int, addr: int, slot: str) -> None:
        self.rt = rt
        self.id = number
        self.addr = addr
        self.slot = slot
        self.next_sample = 0
        self.local_scan = 0
        self.tiny = 0
        self.tiny_offset = 0
        self.local_tinyallocs = 0
        self.alloc = [CachedSpan(size) for size in rt.class_to_size]
        orders = rt.config.num_stack_orders
        self.stack_lists: list[list[int]] = [[] for _ in range(orders)]
        self.stack_sizes = [0] * orders
        self.local_nlookup = 0
        self.local_largefree = 0
        self.local_nlargefree = 0
        self.local_nsmallfree = [0] * len(self.alloc)
        self.assist_bytes = 0  # the user goroutine's gcAssistBytes; one runs on a P at a time

    def next_free(self, sizeclass: int) -> tuple[int, bool]:
        """The next object of the class and whether a span had to be fetched for it (nextFree)."""
        cached = self.alloc[sizeclass]
        spans = self.rt.spans
        s = cached.span
        if s >= 0:
            if cached.next != cached.start:
                cached.sync(spans)
            nelems = spans.nelems[s]
            if spans.alloc_count[s] == nelems:
                spans.free_index[s] = nelems
            elif cached.next_run(spans):
                v = cached.next
                cached.next = v + cached.size
                return v, False
            else:
                self.rt.printed.append(
                    f"runtime: s.allocCount= {spans.alloc_count[s]} s.nelems= {spans.nelems[s]}"
                )
                raise Throw("s.allocCount != s.nelems && freeIndex == s.nelems")
        self.refill(sizeclass)
        if not cached.next_run(spans):
            raise Throw("freeIndex is not valid")
        v = cached.next
        cached.next = v + cached.size
        return v, True

    def refill(self, sizeclass: int) -> None:
        """Puts a span with free objects in the class's place (refill)."""
        rt = self.rt
        spans = rt.spans
        cached = self.alloc[sizeclass]
        s = cached.span
        if s >= 0:
            if cached.next != cached.start:
                cached.sync(spans)
            if spans.alloc_count[s] != spans.nelems[s]:
                raise Throw("refill of span with free space remaining")
            spans.in_cache[s] = False
            # A span that dies in the middle of the next lines must not be found here again.
            cached.span = NIL
            cached.next = cached.end = cached.start = 0
        s = rt.central[sizeclass].cache_span()
        if s < 0:
            raise Throw("out of memory")
        count = spans.alloc_count[s]
        if count == spans.nelems[s]:
            raise Throw("span has no free space")
        cached.span = s
        cached.base = spans.base[s]
        bits = spans.bits[s]
        cached.bits = bits if type(bits) is bytearray else None
        if rt.log is not None:
            rt.log.append(REFILLED % (sizeclass, cached.base, count, spans.free_index[s], self.id))

    def release_all(self) -> None:
        """Gives every cached span back and forgets the tiny block (releaseAll)."""
        rt = self.rt
        spans = rt.spans
        for sizeclass, cached in enumerate(self.alloc):
            if cached.span >= 0:
                cached.sync(spans)
                rt.central[sizeclass].uncache_span(cached.span)
                cached.empty()
        self.tiny = 0
        self.tiny_offset = 0

    def sync(self) -> None:
        """Brings the columns of every cached span up to date."""
        spans = self.rt.spans
        for cached in self.alloc:
            if cached.next != cached.start:
                cached.sync(spans)
