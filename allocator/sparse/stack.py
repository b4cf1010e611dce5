"""Stacks: small ones by orders from spans of 32 KB, cached by each P; large ones are spans (stack.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import BadRequest, Throw
from allocator.sparse.mheap import STACK
from allocator.sparse.mspan import MANUAL, MSpan, SpanList

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.mcache import MCache


class StackHeap:
    """stackpool and stackLarge. An order's stacks have fixed_stack << order bytes; large stacks that
    were freed while marking are in `large`, by the logarithm of their pages."""

    __slots__ = ("cache_size", "core", "fixed", "large", "orders", "pool")

    def __init__(self, core: HeapCore) -> None:
        config = core.config
        self.core = core
        self.fixed = config.fixed_stack
        self.orders = config.num_stack_orders
        self.cache_size = config.stack_cache_size
        self.pool = [SpanList() for _ in range(self.orders)]
        self.large = [SpanList() for _ in range(config.heap_addr_bits - config.page_shift)]

    def order_of(self, n: int) -> int | None:
        """The order of a stack of n bytes; None for a large one."""
        if n >= self.fixed << self.orders or n >= self.cache_size:
            return None
        return max(0, n.bit_length() - self.fixed.bit_length())

    # The pool of all Ps.

    def _pool_alloc(self, order: int) -> int:
        """stackpoolalloc."""
        steps = self.core.steps
        if steps is not None:
            steps.turn()
        spans = self.pool[order]
        s = spans.first
        if s is None:
            s = self.core.heap.alloc_manual(self.cache_size >> self.core.config.page_shift, STACK)
            if s is None:
                raise Throw("out of memory")
            s.elemsize = self.fixed << order
            s.manual_free_list = list(range(s.base, s.base + self.cache_size, s.elemsize))
            spans.insert(s)
        if not s.manual_free_list:
            raise Throw("span has no free stacks")
        x = s.manual_free_list.pop()
        s.alloc_count += 1
        if not s.manual_free_list:
            spans.remove(s)
        if steps is not None:
            steps.pool_gave(order, x)
        return x

    def _pool_free(self, x: int, order: int) -> None:
        """stackpoolfree."""
        steps = self.core.steps
        if steps is not None:
            steps.turn()
            steps.pool_takes(order, x)
        s = self.core.heap.span_of(x)
        if s is None or s.state != MANUAL:
            raise Throw("freeing stack not in a stack span")
        if not s.manual_free_list:
            self.pool[order].insert(s)
        s.manual_free_list.append(x)
        s.alloc_count -= 1
        if not self.core.marking and s.alloc_count == 0:
            # While marking, stacks may be scanned that are already free.
            self._drop(self.pool[order], s)

    def _drop(self, spans: SpanList, s: MSpan) -> None:
        spans.remove(s)
        s.manual_free_list = []
        self.core.heap.free_manual(s, STACK)

    # The caches of Ps.

    def refill(self, cache: MCache, order: int) -> None:
        """Half a cache of stacks (stackcacherefill)."""
        size = 0
        stacks: list[int] = []
        while size < self.cache_size // 2:
            stacks.append(self._pool_alloc(order))
            size += self.fixed << order
        cache.stacks[order] = stacks
        cache.stack_sizes[order] = size

    def release(self, cache: MCache, order: int) -> None:
        """A full cache is halved (stackcacherelease)."""
        while cache.stack_sizes[order] > self.cache_size // 2:
            self._pool_free(cache.stacks[order].pop(), order)
            cache.stack_sizes[order] -= self.fixed << order

    def clear_cache(self, cache: MCache) -> None:
        """stackcache_clear."""
        for order in range(self.orders):
            while cache.stacks[order]:
                self._pool_free(cache.stacks[order].pop(), order)
            cache.stack_sizes[order] = 0

    # What programs ask for.

    def alloc(self, n: int, cache: MCache | None) -> int:
        """A stack of n bytes, a power of two (stackalloc). Without a cache from the pool."""
        if n & n - 1 or n < self.fixed:
            raise BadRequest(f"a stack of {n} bytes: it is a power of two from {self.fixed} on")
        order = self.order_of(n)
        if order is None:
            return self._large_alloc(n)
        if cache is None:
            return self._pool_alloc(order)
        if not cache.stacks[order]:
            self.refill(cache, order)
        cache.stack_sizes[order] -= n
        return cache.stacks[order].pop()

    def _large_alloc(self, n: int) -> int:
        npages = n >> self.core.config.page_shift
        steps = self.core.steps
        if steps is not None:
            steps.turn()
        free = self.large[npages.bit_length()]
        s = free.first
        if s is not None and steps is not None and not steps.takes_large(free):
            s = None
        if s is not None:
            free.remove(s)
            if steps is not None:
                steps.pool_gave(None, s.base)
        else:
            s = self.core.heap.alloc_manual(npages, STACK)
            if s is None:
                raise Throw("out of memory")
            s.elemsize = n
        return s.base

    def free(self, v: int, n: int, cache: MCache | None) -> None:
        """Frees the stack of n bytes at v (stackfree)."""
        if n & n - 1:
            raise Throw("stack not a power of 2")
        s = self.core.heap.span_of(v)
        if s is None or s.state != MANUAL or (v - s.base) % n or s.elemsize != n:
            raise BadRequest(f"{v:#x} is not a stack of {n} bytes")
        order = self.order_of(n)
        if order is not None:
            self._check_not_free(s, v, order)
            if cache is None:
                self._pool_free(v, order)
                return
            if cache.stack_sizes[order] >= self.cache_size:
                self.release(cache, order)
            cache.stacks[order].append(v)
            cache.stack_sizes[order] += n
        elif self.core.marking:
            if self.core.steps is not None:
                self.core.steps.turn()
                self.core.steps.pool_takes(None, s.base)
            self.large[s.npages.bit_length()].insert(s)
        else:
            self.core.heap.free_manual(s, STACK)

    def _check_not_free(self, s: MSpan, v: int, order: int) -> None:
        caches = (p.mcache for p in self.core.ps)
        if v in s.manual_free_list or any(v in cache.stacks[order] for cache in caches):
            raise BadRequest(f"{v:#x} is not a stack in use")

    def free_spans(self) -> None:
        """What became free while marking goes back (freeStackSpans)."""
        for spans in self.pool:
            for s in spans:
                if s.alloc_count == 0:
                    self._drop(spans, s)
        for spans in self.large:
            for s in spans:
                self._drop(spans, s)
