"""Sweeping: what the collector left unmarked becomes free, span by span (mgcsweep.go).

A span is swept once a cycle: by the background sweeper, by an allocation that needs its room or
its pages, or to pay for an allocation in proportion. Its mark bits become its allocation bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.at_once import pays
from allocator.common.throw import Throw
from allocator.sparse.mheap import SCALAR_BITS
from allocator.sparse.mspan import DEAD, IN_USE, MSpan

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore

DONE = -1  # sweepone found nothing more to sweep


class Sweeper:
    """sweepdata. `drained`: nothing is left on the unswept lists; `central_index` is the place in
    them where the next span is looked for."""

    __slots__ = ("_unswept", "central_index", "core", "drained")

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self.drained = False
        self.central_index = 0
        # The unswept lists in order, where they are the first of the two sets, and where the second.
        self._unswept = [[of[i] for c in core.central for of in (c.full, c.partial)] for i in (0, 1)]

    @property
    def done(self) -> bool:
        """Whether everything was swept (isSweepDone)."""
        return self.drained

    def try_acquire(self, s: MSpan) -> bool:
        """Takes a span for sweeping if nobody has yet (tryAcquire)."""
        sweepgen = self.core.heap.sweepgen
        if s.sweepgen != sweepgen - 2:
            return False
        steps = self.core.steps
        if steps is not None and not steps.acquires(s):
            return False
        s.sweepgen = sweepgen - 1
        return True

    def _next_span(self) -> MSpan | None:
        """The next of all unswept lists: full spans of a class, then those with room (nextSpanForSweep)."""
        steps = self.core.steps
        lists = self._unswept[1 - (self.core.heap.sweepgen >> 1 & 1)]
        end = len(lists)
        at = self.central_index if steps is None else steps.looks_from(self, end)
        while at < end:
            first = at
            while at < end and not lists[at].spans:
                at += 1
            if steps is not None and not steps.finds_none(lists, first, at):
                at = first
            if at < end:
                s = lists[at].pop()
                if s is not None:
                    if at > self.central_index:
                        self.central_index = at
                    return s
                at += 1
        self.central_index = end
        return None

    def sweepone(self) -> int:
        """Sweeps one span; the pages that went back to the heap, or DONE (sweepone)."""
        steps = self.core.steps
        if steps is None:
            return self._sweepone()
        steps.sweeping_one()
        pages = self._sweepone()
        steps.swept_one(pages)
        return pages

    def _sweepone(self) -> int:
        steps = self.core.steps
        if self.drained and (steps is None or not steps.looks()):
            return DONE
        heap = self.core.heap
        while True:
            s = self._next_span()
            if s is None:
                self.drained = True
                self.core.specials.sweep_ended()
                return DONE
            if s.state != IN_USE:
                if s.sweepgen not in (heap.sweepgen, heap.sweepgen + 3):
                    seen = f"s.state={s.state} s.sweepgen={s.sweepgen} sweepgen={heap.sweepgen}"
                    line = f"runtime: bad span {seen}"
                    raise Throw("non in-use span in unswept list", line)
                continue
            if self.try_acquire(s):
                npages = s.npages
                if self.sweep(s, False):
                    heap.reclaim_credit += npages
                    return npages
                return 0

    def sweep_all(self) -> None:
        """Sweeps until nothing is left."""
        core = self.core
        at_once = pays(len(core.memory.pages))
        if at_once:
            core.freed = {}
        try:
            if core.steps is None and core.watched is None and (at_once or not core.memory):
                self._sweep_rows()
            while self.sweepone() != DONE:
                pass
        finally:
            if at_once:
                from allocator.sparse.bulk.forgetting import forget_freed

                forget_freed(core)

    def _sweep_rows(self) -> None:
        """Sweeps spans without records many at a time, if there are enough spans."""
        if not self.drained and pays(len(self.core.heap.allspans)):
            from allocator.sparse.bulk.sweeping import sweep_rows

            sweep_rows(self.core)

    def ensure_swept(self, s: MSpan) -> bool:
        """Sweeps the span unless this cycle did already (ensureSwept). True if it was swept now."""
        if self.drained or not self.try_acquire(s):
            return False
        self.sweep(s, False)
        return True

    def finish(self) -> None:
        """Sweeps what is left before a cycle begins, and makes the lists new (finishsweep_m)."""
        self.sweep_all()
        for c in self.core.central:
            c.partial_unswept().reset()
            c.full_unswept().reset()
        self.core.gc_bits.next_epoch()

    def begin(self) -> None:
        """A cycle has marked: from now on all spans need sweeping (gcSweep)."""
        heap = self.core.heap
        heap.sweepgen += 2
        self.drained = False
        heap.pages_swept = 0
        heap.sweep_arenas = list(self.core.arenas.heap_list)
        heap.reclaim_index = 0
        heap.reclaim_credit = 0
        self.central_index = 0

    def sweep(self, s: MSpan, preserve: bool) -> bool:
        """Frees what is not marked in a span that is being swept (sweepLocked.sweep).

        True when the span went back to the heap. preserve: leave it to the caller, on no list.
        """
        steps = self.core.steps
        if steps is None:
            return self._sweep(s, preserve)
        base = s.base
        steps.sweeping(s, preserve)
        freed = self._sweep(s, preserve)
        steps.swept(base, freed)
        return freed

    def _sweep(self, s: MSpan, preserve: bool) -> bool:
        core = self.core
        heap = core.heap
        sweepgen = heap.sweepgen
        if s.state != IN_USE or s.sweepgen != sweepgen - 1:
            self._bad_state(s, "mspan.sweep: bad span state")
        heap.pages_swept += s.npages
        if s.specials:
            core.specials.sweep(s)
        core.on_sweep(s)
        marks = s.mark_bits
        if s.free_index < s.nelems and marks >> s.free_index & ~(s.alloc_bits >> s.free_index):
            self._report_zombies(s)
        nalloc = marks.bit_count()
        nfreed = s.alloc_count - nalloc
        if nfreed < 0:
            line = (
                f"runtime: nelems={s.nelems} nalloc={nalloc} previous allocCount={s.alloc_count} "
                f"nfreed={nfreed & 0xFFFF}"
            )
            raise Throw("sweep increased allocation count", line)
        if nfreed and core.unusual:
            core.objects_freed(s, s.allocated() & ~marks)
        s.alloc_count = nalloc
        s.free_index = 0
        s.alloc_bits = marks
        s.mark_bits = 0
        core.gc_bits.new_bits(s.nelems)
        s.sweepgen = sweepgen
        if s.is_user_arena_chunk:
            return self._swept_user_arena(s, preserve, nalloc)
        if s.spanclass > 1:
            return self._swept_small(s, preserve, nalloc, nfreed)
        return self._swept_large(s, preserve, nfreed)

    def _swept_small(self, s: MSpan, preserve: bool, nalloc: int, nfreed: int) -> bool:
        core = self.core
        if nfreed:
            s.needzero = 1
            core.heap_stats.small_frees[s.spanclass >> 1] += nfreed
            core.pacer.total_free += nfreed * s.elemsize
        if preserve:
            return False
        if nalloc == 0:
            core.heap.free_span(s)
            return True
        central = core.central[s.spanclass]
        (central.full if nalloc == s.nelems else central.partial)[core.heap.sweepgen >> 1 & 1].push(s)
        return False

    def _swept_large(self, s: MSpan, preserve: bool, nfreed: int) -> bool:
        core = self.core
        if preserve:
            return False
        if nfreed:
            core.heap_stats.large_frees += 1
            core.heap_stats.large_free += s.elemsize
            core.pacer.total_free += s.elemsize
            core.heap.free_span(s)
            if s.unrolled is not None:
                core.heap.free_manual(s.unrolled, SCALAR_BITS)
                s.unrolled = None
            return True
        core.central[s.spanclass].full_swept().push(s)
        return False

    def _swept_user_arena(self, s: MSpan, preserve: bool, nalloc: int) -> bool:
        """A chunk of a user arena leaves its quarantine once nothing points into it."""
        core = self.core
        if preserve:
            raise Throw("sweep: tried to preserve a user arena span")
        if nalloc:
            core.central[s.spanclass].full_swept().push(s)
            return False
        core.heap.pages_in_use -= s.npages
        s.state = DEAD
        core.user_arenas.swept(s)
        return False

    def _bad_state(self, s: MSpan, words: str) -> None:
        line = f"mspan.sweep: state={s.state} sweepgen={s.sweepgen} mheap.sweepgen={self.core.heap.sweepgen}"
        raise Throw(words, line)

    def _report_zombies(self, s: MSpan) -> None:
        """An object is free and marked: somebody kept a pointer where the collector does not look."""
        self.core.printed.append(
            f"runtime: marked free object in span {s.self_addr:#x}, elemsize={s.elemsize} "
            f"freeindex={s.free_index} (bad use of unsafe.Pointer or having race conditions? "
            "try -d=checkptr or -race)"
        )
        raise Throw("found pointer to free object")

    def deduct_credit(self, span_bytes: int, caller_pages: int) -> None:
        """Pays for span_bytes about to be allocated by sweeping what they owe (deductSweepCredit).

        A caller that sweeps caller_pages itself may leave so many unpaid.
        """
        heap = self.core.heap
        steps = self.core.steps
        if steps is not None:
            while steps.sweeps():
                self.sweepone()
            return
        while heap.sweep_pages_per_byte:
            basis = heap.pages_swept_basis
            live = self.core.pacer.heap_live
            new_live = span_bytes + max(0, live - heap.sweep_heap_live_basis)
            target = int(heap.sweep_pages_per_byte * float(new_live)) - caller_pages
            while target > heap.pages_swept - basis:
                if self.sweepone() == DONE:
                    heap.sweep_pages_per_byte = 0.0
                    return
                if heap.pages_swept_basis != basis:
                    break
            else:
                return
