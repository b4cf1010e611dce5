"""The page heap: pages in spans, taken from P's caches, the page allocator, or new arenas (mheap.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.sparse.fixalloc import FixAlloc
from allocator.sparse.mspan import DEAD, IN_USE, MANUAL, MSpan
from allocator.sparse.page_bits import PageBits
from allocator.sparse.procs import MSPAN_CACHE
from allocator.sparse.span_records import Entry, SpanRecords
from allocator.sparse.span_table import SpanTable

if TYPE_CHECKING:
    from allocator.sparse.heap_bits import SpanLayout
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.procs import P

# spanAllocType
HEAP, STACK, WORK_BUF, SCALAR_BITS = range(4)

RECLAIM_DONE = 1 << 63
ALLSPANS_BYTES = 64 << 10
UNLIMITED = (1 << 64) - 1


class MHeap:
    """mheap_, except for what has its own file: arenas, growth, pages, central lists.

    Pages have numbers, their address divided by the page size. `in_use`, `marked`, `special` and
    `inline` are the bitmaps of all arenas (pageInUse, pageMarks, pageSpecials,
    pageUseSpanInlineMarkBits), with the bits of spans' first pages.
    """

    __slots__ = (
        "allspans", "allspans_array", "allspans_cap", "arena_map_begin", "arena_shift", "core", "in_use",
        "inline", "marked",
        "page_shift", "page_size", "pages_in_use", "pages_swept", "pages_swept_basis", "reclaim_credit",
        "reclaim_index", "spanalloc", "special", "sweep_arenas", "sweep_heap_live_basis",
        "sweep_pages_per_byte", "sweepgen", "table",
    )  # fmt: skip

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self.page_shift = core.config.page_shift
        self.page_size = core.config.page_size
        # Where arena 0 begins, below zero where that is at the end of a word's numbers.
        begin, word = core.config.arena_base_offset, core.config.uintptr_mask
        self.arena_map_begin = begin - word - 1 if begin > word >> 1 else begin
        self.arena_shift = core.config.log_heap_arena_bytes
        self.spanalloc = FixAlloc(core, core.config.sizeof["mspan"], "mspan_sys", self._record_span)
        self.allspans = SpanRecords(self.spanalloc.size)
        self.allspans_array = 0
        self.allspans_cap = 0
        self.table = SpanTable(self.allspans)
        self.in_use = PageBits()
        self.marked = PageBits()
        self.special = PageBits()
        self.inline = PageBits()
        self.sweepgen = 0
        self.pages_in_use = 0
        self.pages_swept = 0
        self.pages_swept_basis = 0
        self.sweep_heap_live_basis = 0
        self.sweep_pages_per_byte = 0.0
        self.sweep_arenas: list[int] = []
        self.reclaim_index = 0
        self.reclaim_credit = 0

    # Span records.

    def _record_span(self, address: int, n: int) -> int:
        """Enters records that are new in allspans, whose array grows by half (recordspan).

        Returns how many it has entered: all that there is room for, or the first in an array that has grown.
        """
        if len(self.allspans) >= self.allspans_cap:
            self.grow_allspans()
        n = min(n, self.allspans_cap - len(self.allspans))
        self.allspans.add(address, n)
        return n

    @property
    def next_allspans_bytes(self) -> int:
        """Bytes of the array of all spans when it grows next."""
        ptr_size = self.core.config.ptr_size
        return max(ALLSPANS_BYTES // ptr_size, self.allspans_cap * 3 // 2) * ptr_size

    def grow_allspans(self) -> None:
        """A larger array of all spans. Throws where there is no memory for it."""
        core = self.core
        ptr_size, old, size = core.config.ptr_size, self.allspans_cap, self.next_allspans_bytes
        new = core.mem.sys_alloc(size, "other_sys", "allspans array")
        if not new:
            raise Throw("runtime: cannot allocate memory")
        if old:
            core.mem.sys_free(self.allspans_array, old * ptr_size, "other_sys")
        self.allspans_array, self.allspans_cap = new, size // ptr_size

    def new_mspan(self) -> MSpan:
        """A record from the P's cache, which is filled to half when empty (allocMSpanLocked)."""
        p = self.core.p
        if p is None:
            return self.allspans[self.allspans.number_of(self.spanalloc.alloc())]
        if not p.mspan_cache:
            self.fill_mspan_cache(p)
        entry = p.mspan_cache.pop()
        return self.allspans[entry] if type(entry) is int else entry  # type: ignore[return-value]

    def fill_mspan_cache(self, p: P) -> None:
        """Fills a P's cache of records, which is empty, to half."""
        cache = p.mspan_cache
        while len(cache) < MSPAN_CACHE // 2:
            address, n = self.spanalloc.alloc_run(MSPAN_CACHE // 2 - len(cache))
            cache += self.allspans.entries(address, n)

    def records_at_hand(self) -> bool:
        """Whether a P's cache of records that is empty can be filled without asking for memory."""
        core, records = self.core, self.spanalloc
        wanted = MSPAN_CACHE // 2 - len(records.free_list)
        if len(self.allspans) + max(wanted, 0) > self.allspans_cap:
            return False
        wanted -= records.nchunk // records.size
        if wanted <= 0:
            return True
        return wanted <= records.nalloc // records.size and core.persistent.at_hand(records.nalloc, 0)

    def room_of_records(self) -> int:
        """How many new records can be made without asking for memory, as often as a P's cache is filled.

        None of those that were freed must be left.
        """
        records, half = self.spanalloc, MSPAN_CACHE // 2
        chunks = self.core.persistent.room(records.nalloc)
        room = records.nchunk // records.size + chunks * (records.nalloc // records.size)
        return min(room, self.allspans_cap - len(self.allspans)) // half * half

    def renew_records(self) -> bool:
        """Memory for new records, where there is no `room_of_records`, if the system gives it at once."""
        records, persistent = self.spanalloc, self.core.persistent
        if records.free_list or persistent.room(records.nalloc):
            return False
        if self.allspans_cap - len(self.allspans) < MSPAN_CACHE // 2:
            return False
        return persistent.renew_at_once()

    def new_records(self, fills: int) -> range:
        """New records, for which there is room, as many as fill a P's cache so often: each time's first."""
        half = MSPAN_CACHE // 2
        first = len(self.allspans)
        for address, n in self.spanalloc.alloc_new(fills * half):
            self.allspans.add(address, n)
        return range(first, first + fills * half, half)

    def clear_mspan_cache(self, p: P) -> None:
        """A P that goes away gives its records back (p.destroy)."""
        for s in p.mspan_cache:
            self.spanalloc.free(self.allspans.address_of(s) if isinstance(s, int) else s.self_addr)
        p.mspan_cache.clear()

    def _free_mspan(self, s: MSpan) -> None:
        p = self.core.p
        if p is not None and len(p.mspan_cache) < MSPAN_CACHE:
            p.mspan_cache.append(s)
        else:
            self.spanalloc.free(s.self_addr)

    # Spans by address.

    def entries_in_use(self) -> list[Entry]:
        """The spans with heap objects, in address order; those that were not asked for as numbers."""
        found: list[Entry] = []
        for pages in self.in_use.by_chunk():
            found += self.table.at(pages)
        return found

    def span_of(self, addr: int) -> MSpan | None:
        """The span entered for the address's page, whatever its state (spanOf)."""
        return self.table.get(addr >> self.page_shift)

    def span_of_heap(self, addr: int) -> MSpan | None:
        """The span in use whose objects the address lies among; None if there is none (spanOfHeap)."""
        s = self.table.get(addr >> self.page_shift)
        if s is None or s.state != IN_USE or not s.base <= addr < s.limit:
            return None
        return s

    # Allocation.

    def alloc(self, npages: int, spanclass: int) -> MSpan | None:
        """A span of heap objects; None where memory has run out (mheap.alloc)."""
        steps = self.core.steps
        if steps is not None:
            if steps.reclaims(npages):
                self.reclaim(npages)
                steps.reclaimed()
        elif not self.core.sweeper.drained:
            self.reclaim(npages)
        return self.alloc_span(npages, HEAP, spanclass)

    def alloc_manual(self, npages: int, kind: int) -> MSpan | None:
        """A span that its user manages: stacks, work buffers, unrolled GC programs (allocManual)."""
        if kind == HEAP:
            raise Throw("manual span allocation called with non-manually-managed type")
        return self.alloc_span(npages, kind, 0)

    def alloc_span(self, npages: int, kind: int, spanclass: int) -> MSpan | None:
        """A span of npages pages: where the lowest free ones are (allocSpan)."""
        core = self.core
        p = core.p
        steps = core.steps
        base = scav = growth = 0
        aligned = kind == STACK and core.stacks_need_aligned_pages
        if not aligned and p is not None and npages < 16:
            cache = p.page_cache
            if not cache.cache:
                if steps is not None:
                    steps.turn()
                cache.fill(core.pages)
                if steps is not None:
                    steps.cached(cache)
            base, scav = cache.alloc(npages, self.page_size)
        from_cache = False
        if steps is not None:
            from_cache = bool(base and p is not None and p.mspan_cache)
            if not from_cache:
                steps.turn()
        if aligned:
            found = self._aligned_pages(npages)
            if found is None:
                return None
            base, scav, growth = found
        if not base:
            base, scav = core.pages.alloc(npages)
            if not base:
                growth = self._grow(npages)
                if not growth:
                    return None
                base, scav = core.pages.alloc(npages)
                if not base:
                    raise Throw("grew heap, but no adequate free space found")
        s = self.new_mspan()
        if steps is not None:
            steps.span(npages, kind, spanclass, from_cache, base, scav, s)
        if steps is not None:
            told = steps.scavenges()
            if told is not None:
                core.scavenger.scavenge(*told)
        elif (
            core.stats.mapped_ready + scav > core.pacer.memory_limit
            or core.scavenger.gc_percent_goal != UNLIMITED
        ):
            self._scavenge_for(scav, growth)
        self._make(s, kind, spanclass, base, npages, scav)
        if steps is not None:
            s.needzero = steps.zeroed(base, s.needzero)
        nbytes = npages << self.page_shift
        if scav:
            core.mem.sys_used(base, nbytes, scav)
        self.count_span(kind, nbytes, scav)
        return s

    def count_span(self, kind: int, nbytes: int, scav: int) -> None:
        """Charges the counters with a new span's bytes, of which `scav` had no memory."""
        stats = self.core.stats.bytes
        heap_stats = self.core.heap_stats
        if scav:
            stats["heap_released"] -= scav
            heap_stats.committed += scav
            heap_stats.released -= scav
        if scav != nbytes:
            stats["heap_free"] -= nbytes - scav
        if kind == HEAP:
            stats["heap_in_use"] += nbytes
            heap_stats.in_heap += nbytes
        elif kind == STACK:
            heap_stats.in_stacks += nbytes
        else:  # of the two, MemStats has only the sum
            heap_stats.in_work_bufs += nbytes

    def _grow(self, npages: int) -> int:
        growth = self.core.growth.grow(npages)
        self.core.heap_stats.released += growth
        return growth

    def _aligned_pages(self, npages: int) -> tuple[int, int, int] | None:
        """Pages that begin at a physical page: address, bytes scavenged, bytes grown."""
        core = self.core
        config = core.config
        more = npages + config.phys_page_size // self.page_size
        growth = 0
        off, _ = core.pages.find(more)
        if off < 0:
            growth = self._grow(more)
            if not growth:
                return None
            off, _ = core.pages.find(more)
            if off < 0:
                raise Throw("grew heap, but no adequate free space found")
        phys = config.phys_page_size
        base = config.address(off) + phys - 1 & -phys
        return base, core.pages.alloc_range(base, npages), growth

    def _scavenge_for(self, scav: int, growth: int) -> None:
        """Gives memory back first where this span would exceed the memory limit, or growth the goal."""
        core = self.core
        wanted = 0
        force = False
        over = scav + core.stats.mapped_ready - core.pacer.memory_limit
        if over > 0:
            wanted, force = over, True
        goal = core.scavenger.gc_percent_goal
        if goal != UNLIMITED and growth:
            over = core.heap_retained() + growth - goal
            if over > 0:
                wanted = max(wanted, min(growth, over))
        if core.p is not None and wanted:
            core.scavenger.scavenge(wanted, force)

    def init_span(self, s: MSpan, kind: int, spanclass: int, base: int, npages: int, scav: int) -> None:
        """Makes a span of pages (initSpan)."""
        self._make(s, kind, spanclass, base, npages, scav)
        if self.core.steps is not None:
            s.needzero = self.core.steps.zeroed(base, s.needzero)

    def _make(self, s: MSpan, kind: int, spanclass: int, base: int, npages: int, scav: int) -> None:
        s.init(base, npages, self.page_size)
        if self.alloc_needs_zero(base, npages) and self.keeps(npages, scav):
            s.needzero = 1
        page = base >> self.page_shift
        if kind != HEAP:
            s.manual_free_list = []
            s.nelems = 0
            s.state = MANUAL
            self.table.set_range(page, npages, s)
            return
        layout = self.shape(s, spanclass)
        self.core.gc_bits.new_span(s.nelems)
        s.sweepgen = self.sweepgen
        s.state = IN_USE
        self.table.set_range(page, npages, s)
        self.in_use.add(page)
        if layout.inline_marks:
            self.inline.add(page)
        self.pages_in_use += npages

    def shape(self, s: MSpan, spanclass: int) -> SpanLayout:
        """Cuts a span of a class into objects; the class's layout."""
        layout = self.core.layout[spanclass]
        s.spanclass = spanclass
        s.nelems = layout.nelems
        if spanclass < 2:
            s.elemsize = s.npages << self.page_shift
        else:
            s.elemsize = layout.elemsize
            s.limit = s.base + layout.extent
        return layout

    def needs_zero(self, base: int, npages: int, scav: int) -> bool:
        """Whether a new span's pages may be dirty, if `scav` bytes of them had no memory."""
        return self.alloc_needs_zero(base, npages) and self.keeps(npages, scav)

    def keeps(self, npages: int, scav: int) -> bool:
        """Whether so many pages that were used have their contents still, if `scav` bytes had no memory."""
        return scav != npages << self.page_shift or self.core.mem.need_zero_after_sys_unused()

    def was_used(self, base: int, npages: int) -> bool:
        """Whether any of the pages was ever used."""
        first = base - self.arena_map_begin >> self.arena_shift
        last = base - self.arena_map_begin + (npages << self.page_shift) - 1 >> self.arena_shift
        arenas = self.core.arenas.by_index
        size = 1 << self.arena_shift
        if first == last:
            return arenas[first].zeroed_base > base & size - 1
        zeroed = (arenas[index].zeroed_base for index in range(first, last + 1))
        return next(zeroed) > base & size - 1 or any(zeroed)

    def alloc_needs_zero(self, base: int, npages: int) -> bool:
        """Whether any of the pages was ever used; from now on they were (allocNeedsZero)."""
        arenas = self.core.arenas.by_index
        index = base - self.arena_map_begin >> self.arena_shift
        size = 1 << self.arena_shift
        left = npages << self.page_shift
        at = base & size - 1
        end = at + left
        if end <= size:
            arena = arenas[index]
            zeroed = arena.zeroed_base
            if end > zeroed:
                arena.zeroed_base = end
            return at < zeroed
        needs = False
        while left:
            arena = arenas[index]
            if at < arena.zeroed_base:
                needs = True
            end = min(at + left, size)
            if end > arena.zeroed_base:
                arena.zeroed_base = end
            left -= end - at
            at = 0
            index += 1
        return needs

    # Freeing.

    def free_span(self, s: MSpan) -> None:
        """A span of heap objects goes back, nothing in it lives (freeSpan)."""
        self._free_span(s, HEAP)

    def free_manual(self, s: MSpan, kind: int) -> None:
        """A span that its user managed goes back (freeManual)."""
        s.needzero = 1
        self._free_span(s, kind)

    def _free_span(self, s: MSpan, kind: int) -> None:
        core = self.core
        if core.steps is not None:
            core.steps.turn()
        if s.state == MANUAL:
            if s.alloc_count:
                raise Throw("mheap.freeSpanLocked - invalid stack free")
        elif s.state == IN_USE:
            if s.alloc_count or s.sweepgen != self.sweepgen:
                line = (
                    f"mheap.freeSpanLocked - span {s.self_addr:#x} ptr {s.base:#x} "
                    f"allocCount {s.alloc_count} sweepgen {s.sweepgen}/{self.sweepgen}"
                )
                raise Throw("mheap.freeSpanLocked - invalid free", line)
            self.pages_in_use -= s.npages
            page = s.base >> self.page_shift
            self.in_use.discard(page)
            self.inline.discard(page)
        else:
            raise Throw("mheap.freeSpanLocked - invalid span state")
        nbytes = s.npages << self.page_shift
        stats = core.stats.bytes
        stats["heap_free"] += nbytes
        if kind == HEAP:
            stats["heap_in_use"] -= nbytes
            core.heap_stats.in_heap -= nbytes
        elif kind == STACK:
            core.heap_stats.in_stacks -= nbytes
        else:
            core.heap_stats.in_work_bufs -= nbytes
        core.pages.free(s.base, s.npages)
        s.state = DEAD
        self._free_mspan(s)
        if core.steps is not None:
            core.steps.freed(s.npages, kind, s.base)

    # Reclaiming: whoever needs pages sweeps until as many are free (reclaim).

    def reclaim(self, npages: int) -> None:
        """Sweeps spans without a marked object, chunk by chunk of each arena, until npages were freed."""
        config = self.core.config
        steps = self.core.steps
        if steps is not None:
            while (told := steps.reclaim_from(self.reclaim_index)) is not None:
                self.reclaim_index = max(self.reclaim_index, told + config.pages_per_reclaimer_chunk)
                if told // config.pages_per_arena < len(self.sweep_arenas):
                    self._reclaim_chunk(told, config.pages_per_reclaimer_chunk)
            return
        if self.reclaim_index >= RECLAIM_DONE:
            return
        step = config.pages_per_reclaimer_chunk
        while npages > 0:
            if self.reclaim_credit:
                take = min(self.reclaim_credit, npages)
                self.reclaim_credit -= take
                npages -= take
                continue
            at = self.reclaim_index
            self.reclaim_index += step
            if at // config.pages_per_arena >= len(self.sweep_arenas):
                self.reclaim_index = RECLAIM_DONE
                return
            found = self._reclaim_chunk(at, step)
            if found <= npages:
                npages -= found
            else:
                self.reclaim_credit += found - npages
                npages = 0

    def _reclaim_chunk(self, at: int, n: int) -> int:
        """Sweeps what has no mark among n pages from place `at` of the arenas on; pages freed."""
        core = self.core
        if core.sweeper.drained and core.steps is None:
            return 0
        config = core.config
        arena = self.sweep_arenas[at // config.pages_per_arena]
        first = (config.arena_base(arena) >> self.page_shift) + at % config.pages_per_arena
        freed = 0
        for page in range(first, first + n):
            if page in self.in_use and page not in self.marked:
                s = self.table.get(page)
                if s is not None and core.sweeper.try_acquire(s):
                    npages = s.npages
                    if core.sweeper.sweep(s, False):
                        freed += npages
        return freed
