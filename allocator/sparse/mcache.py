"""A P's own spans, one for each class, from which objects are cut without a lock (mcache.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.sparse.heap_bits import ObjectType
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.mspan import MSpan


class CachedSpan:
    """A place of an mcache. Free objects come in runs: [next, end) is what is left of one.

    What was handed out is written into the span by `sync` only. Without a span the run is empty.
    """

    __slots__ = ("base", "begin", "end", "next", "size", "span", "types")

    def __init__(self) -> None:
        self.span: MSpan | None = None
        self.base = self.size = self.begin = self.next = self.end = 0
        self.types: list[ObjectType | None] | None = None

    def open(self, s: MSpan) -> None:
        """Takes a span, whose free objects from free_index on are to be handed out."""
        self.span = s
        self.base = s.base
        self.size = s.elemsize
        types = s.types
        self.types = types if types.__class__ is list else None
        if s.alloc_bits:
            self._run(s.free_index)
        else:
            self.begin = self.next = s.base + s.free_index * s.elemsize
            self.end = s.base + s.nelems * s.elemsize

    def _run(self, index: int) -> None:
        """The first run of free objects at or after index."""
        s = self.span
        assert s is not None
        first = s.first_free(index)
        bits = s.alloc_bits >> first
        n = (bits & -bits).bit_length() - 1 if bits else s.nelems - first
        self.begin = self.next = self.base + first * self.size
        self.end = self.next + n * self.size

    def advance(self) -> bool:
        """Goes on to the next run; False when the span is full, which it knows then."""
        s = self.span
        if s is None:
            return False
        if self.next != self.begin:
            self.sync()
        if s.free_index < s.nelems:
            self._run(s.free_index)
            if self.next != self.end:
                return True
        s.free_index = s.nelems
        return False

    def take_all(self, free: int) -> None:
        """Hands out all that is free, which are these objects as bits; nothing else was since `sync`."""
        s = self.span
        assert s is not None
        s.alloc_count += free.bit_count()
        s.free_index = free.bit_length()
        self.begin = self.next = self.end = self.base + s.free_index * self.size

    def sync(self) -> None:
        """Writes into the span what was handed out."""
        s = self.span
        if s is not None and self.next != self.begin:
            s.alloc_count += (self.next - self.begin) // self.size
            s.free_index = (self.next - self.base) // self.size
            self.begin = self.next


class MCache:
    """One mcache. `alloc` has a place for each span class; `stacks` the free stacks of each order,
    the next one last."""

    __slots__ = (
        "address", "alloc", "assist_bytes", "core", "flush_gen", "next_sample", "scan_alloc", "stack_sizes",
        "stacks", "tiny", "tiny_allocs", "tiny_offset", "tiny_span",
    )  # fmt: skip

    def __init__(self, core: HeapCore, address: int) -> None:
        self.core = core
        self.address = address
        self.flush_gen = core.heap.sweepgen
        self.alloc = [CachedSpan() for _ in core.layout]
        self.next_sample = core.next_sample()
        self.scan_alloc = 0
        self.assist_bytes = 0
        self.tiny = 0
        self.tiny_span = self.alloc[core.tiny_spanclass]
        self.tiny_offset = 0
        self.tiny_allocs = 0
        orders = core.config.num_stack_orders
        self.stacks: list[list[int]] = [[] for _ in range(orders)]
        self.stack_sizes = [0] * orders

    def next_free(self, spanclass: int) -> tuple[int, bool]:
        """The next free object of a class, and whether a span was fetched for it (nextFree)."""
        cached = self.alloc[spanclass]
        fetched = False
        if not cached.advance():
            self.refill(spanclass)
            fetched = True
        v = cached.next
        cached.next = v + cached.size
        return v, fetched

    def refill(self, spanclass: int) -> None:
        """Trades a full span for one with room (refill). Throws where memory has run out."""
        core = self.core
        heap = core.heap
        cached = self.alloc[spanclass]
        s = cached.span
        stats, pacer = core.heap_stats, core.pacer
        central = core.central[spanclass]
        if s is not None:
            if cached.next != cached.begin:
                cached.sync()
            if s.alloc_count != s.nelems:
                raise Throw("refill of span with free space remaining")
            if s.sweepgen != heap.sweepgen + 3:
                raise Throw("bad sweepgen in refill")
            cached.span = None
            cached.next = cached.end = cached.begin = 0
            central.uncache_span(s)
            used = s.alloc_count - s.alloc_count_before_cache
            stats.small_allocs[spanclass >> 1] += used
            if spanclass == core.tiny_spanclass:
                stats.tiny_allocs += self.tiny_allocs
                self.tiny_allocs = 0
            pacer.total_alloc += used * s.elemsize
            s.alloc_count_before_cache = 0
        s = central.cache_span()
        if s is None:
            raise Throw("out of memory")
        s.sweepgen = heap.sweepgen + 3
        s.alloc_count_before_cache = count = s.alloc_count
        unused = central.span_bytes - (count * s.elemsize if count else 0)
        pacer.update(unused, self.scan_alloc)
        self.scan_alloc = 0
        cached.open(s)

    def alloc_large(self, size: int, noscan: bool) -> MSpan:
        """A span for one object of its own (allocLarge)."""
        core = self.core
        heap = core.heap
        if (size + heap.page_size) & core.config.uintptr_mask < size:
            raise Throw("out of memory")
        npages = size + heap.page_size - 1 >> heap.page_shift
        nbytes = npages << heap.page_shift
        if heap.sweep_pages_per_byte or core.steps is not None:
            core.sweeper.deduct_credit(nbytes, npages)
        s = heap.alloc(npages, 1 if noscan else 0)
        if s is None:
            raise Throw("out of memory")
        stats, pacer = core.heap_stats, core.pacer
        stats.large_alloc += nbytes
        stats.large_allocs += 1
        pacer.total_alloc += nbytes
        pacer.update(nbytes, 0)
        core.central[noscan].full[heap.sweepgen >> 1 & 1].push(s)
        s.limit = s.base + size
        return s

    def release_all(self) -> None:
        """Gives all spans back to the central lists (releaseAll)."""
        core = self.core
        scan, self.scan_alloc = self.scan_alloc, 0
        sweepgen = core.heap.sweepgen
        live = 0
        for spanclass, cached in enumerate(self.alloc):
            s = cached.span
            if s is None:
                continue
            cached.sync()
            cached.span = None
            cached.next = cached.end = cached.begin = 0
            used = s.alloc_count - s.alloc_count_before_cache
            s.alloc_count_before_cache = 0
            core.heap_stats.small_allocs[spanclass >> 1] += used
            core.pacer.total_alloc += used * s.elemsize
            if s.sweepgen != sweepgen + 1:
                # Its free objects were counted as live when it was cached.
                live -= (s.nelems - s.alloc_count) * s.elemsize
            core.central[spanclass].uncache_span(s)
        self.tiny = self.tiny_offset = 0
        core.heap_stats.tiny_allocs += self.tiny_allocs
        self.tiny_allocs = 0
        core.pacer.update(live, scan)

    def prepare_for_sweep(self) -> None:
        """Flushes the cache if this cycle did not yet (prepareForSweep)."""
        core = self.core
        sweepgen = core.heap.sweepgen
        if self.flush_gen == sweepgen:
            return
        if self.flush_gen != sweepgen - 2:
            line = f"bad flushGen {self.flush_gen} in prepareForSweep; sweepgen {sweepgen}"
            raise Throw("bad flushGen", line)
        self.release_all()
        core.stack_heap.clear_cache(self)
        self.flush_gen = sweepgen

    def sync(self) -> None:
        """Writes into the spans what was handed out of them."""
        for cached in self.alloc:
            cached.sync()
