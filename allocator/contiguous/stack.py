"""Stack memory: pools of small stacks by order, spans for large ones, and each P's cache (stack.go).

Stacks of an order are cut from spans of 32 KB. An mcache takes half a cache's
worth of them at once and gives half back when it has too many. A span whose
stacks are all free returns to the heap, but never while the collector runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import BadRequest, Throw
from allocator.contiguous.mspan import STACK, SpanList

if TYPE_CHECKING:
    from allocator.contiguous.core import Core
    from allocator.contiguous.mcache import MCache


class Stacks:
    """stackpool and stackLarge. Lists of free stacks hold addresses, their end being the head."""

    __slots__ = ("cache_size", "fixed", "large", "large_from", "pool", "rt")

    def __init__(self, rt: Core) -> None:
        config = rt.config
        self.rt = rt
        if config.stack_cache_size & (config.page_size - 1):
            raise Throw("cache size must be a multiple of page size")
        self.cache_size = config.stack_cache_size
        self.fixed = config.fixed_stack
        # Smaller stacks come from the pool. An order at or above the cache's size is never asked for.
        # Without stackCache none is small: the pages that such a stack needs are then less than one.
        small = min(self.fixed << config.num_stack_orders, self.cache_size)
        self.large_from = small if config.stack_cache else 0
        self.pool = [SpanList(rt.spans, f"stackpool[{i}]") for i in range(config.num_stack_orders)]
        self.large = [SpanList(rt.spans, f"stackLarge[{i}]") for i in range(config.heap_map_bits)]

    def _order(self, n: int) -> int:
        order = 0
        while n > self.fixed:
            order += 1
            n >>= 1
        return order

    def alloc(self, n: int, cache: MCache | None) -> int:
        """A stack of n bytes (stackalloc). cache None: from the global pool, as without a P."""
        rt = self.rt
        if n <= 0 or n & (n - 1):
            raise Throw("stack size not a power of 2")
        if n < self.large_from:
            order = self._order(n)
            if cache is None:
                v = self._pool_alloc(order)
            else:
                stacks = cache.stack_lists[order]
                if not stacks:
                    self._cache_refill(cache, order)
                v = stacks.pop()
                cache.stack_sizes[order] -= n
        else:
            npages = n >> rt.config.page_shift
            free = self._large_list(npages)
            if free.first >= 0:
                s = free.first
                free.remove(s)
            else:
                s = rt.heap.alloc_stack(npages)
                if s < 0:
                    raise Throw("out of memory")
            v = rt.spans.base[s]
        if rt.log_inputs:
            rt.emit(f"s {n} {'-' if cache is None else cache.id} {v:x}")
        return v

    def free(self, v: int, n: int, cache: MCache | None) -> None:
        """Frees a stack of n bytes (stackfree)."""
        rt = self.rt
        if n <= 0 or n & (n - 1):
            raise Throw("stack not a power of 2")
        if n < self.large_from:
            order = self._order(n)
            if cache is None:
                self._pool_free(v, order)
            else:
                if cache.stack_sizes[order] >= self.cache_size:
                    self._cache_release(cache, order)
                cache.stack_lists[order].append(v)
                cache.stack_sizes[order] += n
        else:
            s = self._span_of(v)
            spans = rt.spans
            if spans.state[s] != STACK:
                rt.printed.append(f"{spans.base[s]:#x} {v:#x}")
                raise Throw("bad span state")
            if rt.gc.phase == 0:
                rt.heap.free_stack(s)
            else:
                # A span must not change its state under a running collector.
                self._large_list(spans.npages[s]).insert(s)
        if rt.log_inputs:
            rt.emit(f"S {v:x} {n} {'-' if cache is None else cache.id}")

    def _large_list(self, npages: int) -> SpanList:
        log2 = npages.bit_length() - 1 if npages else 0
        if log2 >= len(self.large):
            raise Throw("index out of range")
        return self.large[log2]

    def _span_of(self, v: int) -> int:
        s = self.rt.heap.lookup(v)
        if s < 0:
            raise BadRequest(f"{v:#x} is not a stack of this machine")
        return s

    def _pool_alloc(self, order: int) -> int:
        """A stack from the global pool (stackpoolalloc)."""
        rt = self.rt
        spans = rt.spans
        pool = self.pool[order]
        s = pool.first
        if s < 0:
            s = rt.heap.alloc_stack(self.cache_size >> rt.config.page_shift)
            if s < 0:
                raise Throw("out of memory")
            if spans.alloc_count[s]:
                raise Throw("bad allocCount")
            if spans.stack_free[s]:
                raise Throw("bad stackfreelist")
            base = spans.base[s]
            spans.stack_free[s] = list(range(base, base + self.cache_size, self.fixed << order))
            pool.insert(s)
        free = spans.stack_free[s]
        if not free:
            raise Throw("span has no free stacks")
        v = free.pop()
        spans.alloc_count[s] += 1
        if not free:
            pool.remove(s)
        return v

    def _pool_free(self, v: int, order: int) -> None:
        """Gives a stack back to the global pool (stackpoolfree)."""
        rt = self.rt
        spans = rt.spans
        s = self._span_of(v)
        if spans.state[s] != STACK:
            raise Throw("freeing stack not in a stack span")
        free = spans.stack_free[s]
        if free is None:
            raise BadRequest(f"{v:#x} is not a small stack of this machine")
        if not free:
            self.pool[order].insert(s)
        free.append(v)
        spans.alloc_count[s] -= 1
        if rt.gc.phase == 0 and spans.alloc_count[s] == 0:
            self.pool[order].remove(s)
            spans.stack_free[s] = []
            rt.heap.free_stack(s)

    def _cache_refill(self, cache: MCache, order: int) -> None:
        """Fills half an empty stack cache (stackcacherefill)."""
        size = 0
        stacks = cache.stack_lists[order]
        while size < self.cache_size // 2:
            stacks.append(self._pool_alloc(order))
            size += self.fixed << order
        cache.stack_sizes[order] = size

    def _cache_release(self, cache: MCache, order: int) -> None:
        """Empties half a full stack cache (stackcacherelease)."""
        stacks = cache.stack_lists[order]
        size = cache.stack_sizes[order]
        while size > self.cache_size // 2:
            self._pool_free(stacks.pop(), order)
            size -= self.fixed << order
        cache.stack_sizes[order] = size

    def clear_cache(self, cache: MCache) -> None:
        """Gives all of a P's cached stacks back (stackcache_clear)."""
        for order, stacks in enumerate(cache.stack_lists):
            while stacks:
                self._pool_free(stacks.pop(), order)
            cache.stack_sizes[order] = 0

    def free_spans(self) -> None:
        """Returns what is wholly free to the heap, once a collection is over (freeStackSpans)."""
        rt = self.rt
        spans = rt.spans
        for pool in self.pool:
            for s in list(pool):
                if spans.alloc_count[s] == 0:
                    pool.remove(s)
                    spans.stack_free[s] = []
                    rt.heap.free_stack(s)
        for free in self.large:
            for s in list(free):
                free.remove(s)
                rt.heap.free_stack(s)
