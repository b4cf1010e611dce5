"""The page heap: runs of pages by length, best fit, coalescing, and growth from the arena (mheap.go).

Free runs are on a list for each length up to 127 pages, longer ones on one
list of their own. An allocation takes the front of the first list that has a
run long enough, or the best fit among the long ones, cuts off what it does not
need, and grows the heap by a megabyte at least when there is nothing. A freed
run is merged with free neighbours, and their records are given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.common.uintptr import printint
from allocator.contiguous.mspan import DEAD, FREE, IN_USE, NIL, STACK, PageTable, SpanList
from allocator.contiguous.own_records import SPAN_FOR_OBJECTS, SPAN_FOR_STACKS, SPAN_FREED, STACKS_FREED

if TYPE_CHECKING:
    from allocator.contiguous.core import Core

RESERVE_UNIT = 256 << 20  # sysAlloc reserves more address space in pieces of this size


class MHeap:
    """mheap_. Addresses and sizes are bytes, `npages` counts pages of 8 KB.

    `free_mask` and `busy_mask` have bit n set where list n has a span, so that the first
    list long enough is found at once.
    """

    __slots__ = (
        "arena_end", "arena_reserved", "arena_start", "arena_used", "bitmap", "bitmap_mapped", "busy",
        "busy_mask", "busylarge", "free", "free_mask", "freelarge", "max_list", "page_shift", "pages",
        "pages_in_use", "rt", "spans_cap", "spans_len", "spans_start", "sweepdone", "sweepgen",
    )  # fmt: skip

    def __init__(self, rt: Core, spans_start: int, spans_bytes: int) -> None:
        config = rt.config
        self.rt = rt
        self.page_shift = config.page_shift
        self.max_list = config.max_mheap_list
        self.free = [SpanList(rt.spans, f"free[{i}]") for i in range(self.max_list)]
        self.busy = [SpanList(rt.spans, f"busy[{i}]") for i in range(self.max_list)]
        self.freelarge = SpanList(rt.spans, "freelarge")
        self.busylarge = SpanList(rt.spans, "busylarge")
        self.free_mask = 0
        self.busy_mask = 0
        self.pages = PageTable()
        self.spans_start = spans_start
        self.spans_len = 0  # len(h.spans): entries whose memory is mapped
        self.spans_cap = spans_bytes // config.ptr_size
        self.sweepgen = 0
        self.sweepdone = 0
        self.pages_in_use = 0
        self.bitmap = 0  # one past the bitmap's end, where the arena begins on 64-bit
        self.bitmap_mapped = 0
        self.arena_start = 0
        self.arena_used = 0
        self.arena_end = 0
        self.arena_reserved = False

    # Lists.

    def free_list(self, npages: int) -> SpanList:
        """The list for free runs of that length (freeList)."""
        return self.free[npages] if npages < self.max_list else self.freelarge

    def busy_list(self, npages: int) -> SpanList:
        """The list for large objects of that length (busyList)."""
        return self.busy[npages] if npages < self.max_list else self.busylarge

    def insert_free(self, s: int, npages: int) -> None:
        if npages < self.max_list:
            self.free[npages].insert(s)
            self.free_mask |= 1 << npages
        else:
            self.freelarge.insert(s)

    def remove_free(self, s: int, npages: int) -> None:
        if npages < self.max_list:
            lst = self.free[npages]
            lst.remove(s)
            if lst.first < 0:
                self.free_mask &= ~(1 << npages)
        else:
            self.freelarge.remove(s)

    def _insert_busy(self, s: int, npages: int) -> None:
        if npages < self.max_list:
            self.busy[npages].insert_back(s)
            self.busy_mask |= 1 << npages
        else:
            self.busylarge.insert_back(s)

    # Looking up.

    def page(self, addr: int) -> int:
        """The index of an arena address in the table of spans."""
        return (addr - self.arena_start) >> self.page_shift

    def lookup(self, addr: int) -> int:
        """The span entered for an address that is known to be in the arena (lookup)."""
        return self.pages.get((addr - self.arena_start) >> self.page_shift)

    def lookup_maybe(self, addr: int) -> int:
        """The in-use span with a heap object at addr, or NIL (lookupMaybe)."""
        if addr < self.arena_start or addr >= self.arena_used:
            return NIL
        s = self.pages.get((addr - self.arena_start) >> self.page_shift)
        spans = self.rt.spans
        if s < 0 or addr < spans.base[s] or addr >= spans.limit[s] or spans.state[s] != IN_USE:
            return NIL
        return s

    # Allocating.

    def alloc(self, npages: int, sizeclass: int, large: bool) -> int:
        """A span for objects of the class, 0 for one large object; NIL without memory (alloc)."""
        rt = self.rt
        if not self.sweepdone:
            self._reclaim(npages)
        cache = rt.cache
        if cache.local_scan or cache.local_tinyallocs:
            rt.flush_local_scan(cache)
        s = self._alloc_span_locked(npages)
        if s < 0:
            if rt.gc.blacken:
                rt.gc.revise_if_marking()
            return NIL
        spans = rt.spans
        generation = self.sweepgen
        spans.sweepgen[s] = generation
        rt.sweep_spans.bufs[generation >> 1 & 1].push(s)
        spans.state[s] = IN_USE
        spans.alloc_count[s] = 0
        spans.sizeclass[s] = sizeclass
        spans.elemsize[s] = rt.class_to_size[sizeclass] or npages << self.page_shift
        self.pages_in_use += npages
        if large:
            stats = rt.stats
            stats.heap_objects += 1
            stats.heap_live += npages << self.page_shift
            self._insert_busy(s, npages)
        if rt.gc.blacken:
            rt.gc.revise_if_marking()
        if rt.log is not None:
            rt.log.append(SPAN_FOR_OBJECTS % (npages, sizeclass, spans.base[s], spans.needzero[s]))
        spans.needzero[s] = 0
        return s

    def alloc_stack(self, npages: int) -> int:
        """A span for stacks; NIL without memory (allocStack)."""
        rt = self.rt
        s = self._alloc_span_locked(npages)
        if s >= 0:
            spans = rt.spans
            spans.state[s] = STACK
            spans.stack_free[s] = []
            spans.alloc_count[s] = 0
            rt.stats.stacks_inuse += npages << self.page_shift
            if rt.log is not None:
                rt.log.append(SPAN_FOR_STACKS % (npages, spans.base[s]))
        return s

    def _alloc_span_locked(self, npages: int) -> int:
        rt = self.rt
        spans = rt.spans
        able = self.free_mask >> npages
        if able:
            lst = self.free[npages + (able & -able).bit_length() - 1]
            s = lst.first
        else:
            lst = self.freelarge
            s = self._best_fit(npages)
            if s < 0:
                if not self._grow(npages):
                    return NIL
                # Only the list of long runs is asked again, although a grown run may be short.
                s = self._best_fit(npages)
                if s < 0:
                    return NIL
        if spans.state[s] != FREE:
            raise Throw("MHeap_AllocLocked - MSpan not free")
        have = spans.npages[s]
        if have < npages:
            raise Throw("MHeap_AllocLocked - bad npages")
        if s == lst.first:
            lst.take_first()
            if lst.first < 0 and have < self.max_list:
                self.free_mask &= ~(1 << have)
        else:
            lst.remove(s)
        shift = self.page_shift
        base = spans.base[s]
        if spans.npreleased[s]:
            rt.sys_used(base, have << shift)
            rt.stats.heap_released -= spans.npreleased[s] << shift
            spans.npreleased[s] = 0
        page = (base - self.arena_start) >> shift
        rest = have - npages
        if rest:
            t = rt.spanalloc.alloc_for(base + (npages << shift), rest)
            spans.npages[s] = npages
            if not npages and page:
                self.pages.set(page - 1, s)  # the last page of s, were it to have one
            self.pages.split(page, npages, s, rest, t)
            if spans.needzero[s]:
                spans.needzero[t] = 1
            spans.unused_since[t] = spans.unused_since[s] or rt.nanotime
            # A free run has no free neighbours, so that this part has none.
            spans.state[t] = FREE
            self.insert_free(t, rest)
        else:
            self.pages.set_range(page, npages, s)
        spans.unused_since[s] = 0
        if rt.watched is not None:
            rt.watched.used(s)
        stats = rt.stats
        stats.heap_inuse += npages << shift
        stats.heap_idle -= npages << shift
        return s

    def _best_fit(self, npages: int) -> int:
        """The shortest long run of at least npages, the lowest of several (bestFit)."""
        spans = self.rt.spans
        lengths, base, after = spans.npages, spans.base, spans.next
        best, best_length = NIL, 0
        s = self.freelarge.first
        while s >= 0:
            n = lengths[s]
            if n >= npages and (best < 0 or n < best_length or (n == best_length and base[s] < base[best])):
                best, best_length = s, n
            s = after[s]
        return best

    def _grow(self, npages: int) -> bool:
        """Adds at least npages to the heap, a megabyte if possible (grow)."""
        rt = self.rt
        shift = self.page_shift
        unit = rt.config.grow_unit >> shift
        npages = (npages + unit - 1) & -unit
        need = (npages << shift) & rt.word
        ask = max(need, rt.config.heap_alloc_chunk)
        v = self.sys_alloc(ask)
        if not v:
            if ask > need:
                ask = need
                v = self.sys_alloc(ask)
            if not v:
                rt.printed.append(
                    f"runtime: out of memory: cannot allocate {printint(ask)}-byte block "
                    f"({rt.stats.heap_sys} in use)"
                )
                return False
        spans = rt.spans
        s = rt.spanalloc.alloc_for(v, ask >> shift)
        page = (v - self.arena_start) >> shift
        if page + (ask >> shift) > self.spans_len:
            raise Throw("index out of range")
        self.pages.set_range(page, ask >> shift, s)
        spans.sweepgen[s] = self.sweepgen
        spans.state[s] = IN_USE
        self.pages_in_use += ask >> shift
        self._free_span_locked(s, False)
        return True

    # Freeing.

    def free_span(self, s: int, acct: int) -> None:
        """Gives an in-use span back; acct tells that a large object died (freeSpan)."""
        rt = self.rt
        log = rt.log
        if log is not None:
            log.append(SPAN_FREED % (rt.spans.base[s], rt.spans.npages[s], acct))
        cache = rt.cache
        if cache.local_scan or cache.local_tinyallocs:
            rt.flush_local_scan(cache)
        if acct:
            rt.stats.heap_objects -= 1
        if rt.gc.blacken:
            rt.gc.revise_if_marking()
        self._free_span_locked(s, True)

    def free_stack(self, s: int) -> None:
        """Gives a stack span back (freeStack)."""
        rt = self.rt
        spans = rt.spans
        if rt.log is not None:
            rt.log.append(STACKS_FREED % (spans.base[s], spans.npages[s]))
        spans.needzero[s] = 1
        rt.stats.stacks_inuse -= spans.npages[s] << self.page_shift
        self._free_span_locked(s, True)

    def _free_span_locked(self, s: int, in_use: bool) -> None:
        """Gives a run of pages back that counted as heap_inuse, if in_use says so (freeSpanLocked)."""
        rt = self.rt
        spans = rt.spans
        state = spans.state[s]
        npages = spans.npages[s]
        if state == STACK:
            if spans.alloc_count[s]:
                raise Throw("MHeap_FreeSpanLocked - invalid stack free")
        elif state == IN_USE:
            if spans.alloc_count[s] or spans.sweepgen[s] != self.sweepgen:
                rt.printed.append(
                    f"MHeap_FreeSpanLocked - span {spans.self_addr[s]:#x} ptr {spans.base[s]:#x} "
                    f"allocCount {spans.alloc_count[s]} sweepgen {spans.sweepgen[s]}/{self.sweepgen}"
                )
                raise Throw("MHeap_FreeSpanLocked - invalid free")
            self.pages_in_use -= npages
        else:
            raise Throw("MHeap_FreeSpanLocked - invalid span state")
        shift = self.page_shift
        stats = rt.stats
        if in_use:
            stats.heap_inuse -= npages << shift
        stats.heap_idle += npages << shift
        if spans.on_list[s] is not None:
            lst = self.busy_list(npages)
            lst.remove(s)
            if lst.first < 0 and npages < self.max_list:
                self.busy_mask &= ~(1 << npages)
        spans.unused_since[s] = rt.nanotime
        self._put_free(s, (spans.base[s] - self.arena_start) >> shift, npages)

    def _put_free(self, s: int, page: int, npages: int) -> None:
        """Makes npages from `page` on, whose record is s, free, and merges them with free neighbours."""
        spans = self.rt.spans
        state = spans.state
        pages = self.pages
        state[s] = FREE
        released = 0
        if page > 0:
            t = pages.get(page - 1)
            if t >= 0 and state[t] == FREE:
                spans.base[s] = spans.base[t]
                length = spans.npages[t]
                npages += length
                released = spans.npreleased[t]
                spans.needzero[s] |= spans.needzero[t]
                page -= length
                pages.set(page, s)
                self._absorb(t, length)
        if page + npages < self.spans_len:
            t = pages.get(page + npages)
            if t >= 0 and state[t] == FREE:
                length = spans.npages[t]
                npages += length
                released += spans.npreleased[t]
                spans.needzero[s] |= spans.needzero[t]
                pages.set(page + npages - 1, s)
                self._absorb(t, length)
        spans.npreleased[s] = released
        spans.npages[s] = npages
        self.insert_free(s, npages)

    def _absorb(self, t: int, npages: int) -> None:
        """Ends a free span whose pages another one has taken over."""
        rt = self.rt
        self.remove_free(t, npages)
        rt.spans.state[t] = DEAD
        rt.spanalloc.free(t)

    # Reclaiming, before the heap may grow while there are spans to sweep.

    def _reclaim(self, npages: int) -> None:
        """Sweeps until npages came back to the heap, large objects first (reclaim)."""
        mask = self.busy_mask >> npages << npages
        while mask:
            i = (mask & -mask).bit_length() - 1
            mask &= mask - 1
            if self._reclaim_list(self.busy[i], npages):
                return
        if self._reclaim_list(self.busylarge, npages):
            return
        reclaimed = 0
        mask = self.busy_mask & ((1 << min(npages, self.max_list)) - 1)
        while mask:
            i = (mask & -mask).bit_length() - 1
            mask &= mask - 1
            reclaimed += self._reclaim_list(self.busy[i], npages - reclaimed)
            if reclaimed >= npages:
                return
        self.rt.sweeper.sweep_on(freed=npages - reclaimed)

    def _reclaim_list(self, lst: SpanList, npages: int) -> int:
        """Sweeps large objects of one list; swept ones are at its end (reclaimList)."""
        rt = self.rt
        spans = rt.spans
        sweepgen = self.sweepgen
        n = 0
        s = lst.first
        while s >= 0:
            if spans.sweepgen[s] == sweepgen - 2:
                spans.sweepgen[s] = sweepgen - 1
                lst.remove(s)
                lst.insert_back(s)
                freed = spans.npages[s]
                if rt.sweeper.sweep(s, False):
                    n += freed
                if n >= npages:
                    return n
                s = lst.first
            elif spans.sweepgen[s] == sweepgen - 1:
                s = spans.next[s]
            else:
                break
        return n

    # The arena.

    def sys_alloc(self, n: int) -> int:
        """The next n bytes of the arena, 0 when there are none (mheap.sysAlloc, malloc.go)."""
        rt = self.rt
        word = rt.word
        if n > (self.arena_end - self.arena_used) & word and not self._reserve_more(n):
            return 0
        if n <= (self.arena_end - self.arena_used) & word:
            p = self.arena_used
            rt.sys_map(p, n, self.arena_reserved, "heap_sys")
            self._map_bits(p + n)
            self._map_spans(p + n)
            self.arena_used = p + n
        elif (self.arena_end - self.arena_start) & word > rt.config.max_arena32:
            return 0
        else:
            p = self._alloc_anywhere(n)
        if p & (rt.config.page_size - 1):
            raise Throw("misrounded allocation in MHeap_SysAlloc")
        return p

    def _reserve_more(self, n: int) -> bool:
        """Asks for n more bytes after the arena, where the bitmap can describe them; False for none."""
        rt = self.rt
        word = rt.word
        page_size, max32 = rt.config.page_size, rt.config.max_arena32
        size = (n + page_size + RESERVE_UNIT - 1) & word & -RESERVE_UNIT
        new_end = (self.arena_end + size) & word
        if new_end < self.arena_end or (new_end - self.arena_start - 1) & word > max32:
            return True
        p, flag = rt.sys_reserve(self.arena_end, size)
        reserved = bool(flag)
        if not p:
            return False
        if p == self.arena_end:
            self.arena_end = new_end
            self.arena_reserved = reserved
        elif self.arena_start <= p and (p + size - self.arena_start - 1) & word <= max32:
            # Somewhere else, perhaps below what is in use; it is taken anyway.
            self.arena_end = (p + size) & word
            used = p + (-p & (page_size - 1))
            self._map_bits(used)
            self._map_spans(used)
            self.arena_used = used
            self.arena_reserved = reserved
        else:
            rt.sys_free(p, size, None)
        return True

    def _alloc_anywhere(self, n: int) -> int:
        """n bytes once the reservation is used up: at any address that the bitmap can describe, or 0."""
        rt = self.rt
        word = rt.word
        page_size, max32 = rt.config.page_size, rt.config.max_arena32
        size = (((n + page_size - 1) & -page_size) + page_size) & word
        p = rt.sys_alloc(size, "heap_sys")
        if not p:
            return 0
        if p < self.arena_start or (p + size - self.arena_start) & word > max32:
            top = word
            if (top - self.arena_start - 1) & word > max32:
                top = self.arena_start + max32 + 1
            rt.printed.append(
                f"runtime: memory allocated by OS ({p:#x}) not in usable range "
                f"[{self.arena_start:#x},{top:#x})"
            )
            rt.sys_free(p, size, "heap_sys")
            return 0
        end = (p + size) & word
        p += -p & (page_size - 1)
        used = (p + n) & word
        if used > self.arena_used:
            self._map_bits(used)
            self._map_spans(used)
            self.arena_used = used
            self.arena_end = max(self.arena_end, end)
        return p

    def _map_bits(self, arena_used: int) -> None:
        """Maps the heap bitmap for an arena that ends there (mapBits)."""
        rt = self.rt
        config = rt.config
        phys = config.phys_page_size
        n = ((arena_used - self.arena_start) & rt.word) // config.heap_bitmap_scale
        n = (n + config.bitmap_chunk - 1) & -config.bitmap_chunk
        n = (n + phys - 1) & -phys
        if self.bitmap_mapped >= n:
            return
        rt.sys_map((self.bitmap - n) & rt.word, n - self.bitmap_mapped, self.arena_reserved, "gc_sys")
        self.bitmap_mapped = n

    def _map_spans(self, arena_used: int) -> None:
        """Maps the table of spans for an arena that ends there, by physical pages (mapSpans)."""
        rt = self.rt
        config = rt.config
        phys, ptr_size = config.phys_page_size, config.ptr_size
        n = (((arena_used - self.arena_start) & rt.word) >> self.page_shift) * ptr_size
        n = (n + phys - 1) & -phys
        need = n // ptr_size
        have = self.spans_len
        if have >= need:
            return
        if need > self.spans_cap:
            raise Throw("slice bounds out of range")
        self.spans_len = need
        at = self.spans_start + have * ptr_size
        rt.sys_map(at, (need - have) * ptr_size, self.arena_reserved, "other_sys")
