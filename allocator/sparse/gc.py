"""The collector as the allocator sees it: phases, what is marked, and what follows (mgc.go, mgcmark.go).

What is alive is either given (a set of addresses, or everything) or found by following the
pointers that were stored in the simulated heap. No worker marks beside the program: what an allocation
owes is marked by its assist, and what is left when the mark phase ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from allocator.common.assist import share, worth
from allocator.common.at_once import Trial
from allocator.common.throw import BadRequest, Throw
from allocator.common.types import KIND_GC_PROG, Type
from allocator.interface import Live
from allocator.sparse.heap_bits import ObjectType, mask_of
from allocator.sparse.mspan import MSpan
from allocator.sparse.scan_work import ScanWork
from allocator.sparse.specials import FINALIZER

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.procs import P

OFF, MARK, MARK_TERMINATION = range(3)
BACKGROUND, FORCE, BLOCK = range(3)  # gcMode


class Collector:
    """work and the phase. `bytes_marked` is of the cycle that runs, or ran last."""

    __slots__ = ("bytes_marked", "core", "following", "grey", "phase", "scan_work", "stale", "told")

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self.phase = OFF
        self.scan_work = ScanWork(core)
        self.bytes_marked = 0
        self.grey: list[int] = []
        self.told: list[
            tuple[MSpan, int]
        ] = []  # what is still to be marked because the caller says that it lives, as bits
        self.following = False  # whether what lives is found by following pointers
        # The spans, by address, in which something may be stored in objects that were not marked just now.
        self.stale: set[int] | None = None

    def set_phase(self, phase: int) -> None:
        """setGCPhase."""
        self.phase = phase
        self.core.marking = phase != OFF
        self.core.phase_changed()

    # A cycle.

    def start(self, live: Live | None, roots: Iterable[int] | None) -> None:
        """Begins a cycle, which is left marking (gcStart)."""
        core = self.core
        core.sweeper.sweep_all()
        core.sync_caches()
        told = [] if live is None or isinstance(live, bool) else self._told(live)
        for p in core.ps:
            if p.mcache.flush_gen != core.heap.sweepgen:
                line = f"runtime: p {p.number} flushGen {p.mcache.flush_gen} != sweepgen {core.heap.sweepgen}"
                raise Throw("p mcache not flushed", line)
        core.heap.marked.clear()
        self.bytes_marked = 0
        core.sweeper.finish()
        for p in core.ps:
            p.assist_bytes = 0
        core.pacer.start_cycle()
        self.set_phase(MARK)
        self._queue([(s, s.allocated()) for s in core.in_use()] if live is True else told, roots)

    def finish(self, mode: int) -> None:
        """Marks what lives, and ends the cycle (gcMarkDone, gcMarkTermination)."""
        if self.phase != MARK:
            raise BadRequest("no collection is in its mark phase")
        core = self.core
        core.sync_caches()
        self._drain(None)
        core.pacer.end_cycle()
        self.terminate(mode)

    def terminate(self, mode: int) -> None:
        """gcMarkTermination, with the mark bits as they are."""
        core = self.core
        self.set_phase(MARK_TERMINATION)
        core.pacer.reset_live(self.bytes_marked)
        self.set_phase(OFF)
        core.sweeper.begin()
        if mode == BLOCK:
            core.heap.sweep_pages_per_byte = 0.0
            for p in core.ps:
                p.mcache.prepare_for_sweep()
            core.sweeper.sweep_all()
        self.stale = None
        core.scavenger.last_heap_in_use = core.stats.bytes["heap_in_use"]
        core.pacer.commit_all()
        core.num_gc += 1
        core.pages.index.next_gen()
        core.stack_heap.free_spans()
        for p in core.ps:
            p.mcache.prepare_for_sweep()
            if p is not core.p:
                # It is idle: nothing else runs here.
                p.page_cache.flush(core.pages)
        core.user_arenas.fault_all()
        if core.pacer.heap_goal > core.config.min_heap_for_metadata_huge_pages:
            core.enable_metadata_huge_pages()

    # Marking.

    def mark(self, p: int) -> None:
        """Marks the object that p points into, if it is one, and queues it (greyobject)."""
        core = self.core
        s = core.heap.span_of_heap(p)
        if s is None:
            return
        index = s.index_of(p)
        bit = 1 << index
        if s.mark_bits & bit or not s.allocated() & bit:
            return
        self.set_mark(s, bit)
        self.bytes_marked += s.elemsize
        if not s.spanclass & 1:
            self.grey.append(s.base + index * s.elemsize)

    def set_mark(self, s: MSpan, bits: int) -> None:
        """Marks objects of a span, and that it has marks at all (pageMarks)."""
        s.mark_bits |= bits
        self.core.heap.marked.add(s.base >> self.core.config.page_shift)

    def mark_new(self, s: MSpan, p: int) -> None:
        """An object allocated while marking is born black (gcmarknewobject)."""
        self.mark_all_new(s, 1 << s.index_of(p))

    def mark_all_new(self, s: MSpan, bits: int) -> None:
        """The same for some objects of a span."""
        self.set_mark(s, bits)
        self.bytes_marked += bits.bit_count() * s.elemsize

    def shade(self, old: int, new: int) -> None:
        """A pointer is replaced by another while marking: both are marked, as the write barrier does."""
        if self.phase == MARK and self.following:
            self.mark(old)
            self.mark(new)

    def deduct_assist_credit(self, size: int) -> None:
        """An allocation while marking pays for itself, in debt by marking (deductAssistCredit).

        In a recording others mark, too, and it does not say who did what.
        """
        core = self.core
        if self.phase != MARK or core.p is None or core.steps is not None:
            return
        core.p.assist_bytes -= size
        if core.p.assist_bytes < 0:
            self._assist(core.p)

    def _assist(self, p: P) -> None:
        """Marks until the debt is paid, or nothing is left to mark, which ends the phase (gcAssistAlloc)."""
        pacer = self.core.pacer
        bytes_per_work = pacer.assist_bytes_per_work
        own = share(-p.assist_bytes, pacer.bg_scan_credit, pacer.assist_work_per_byte, bytes_per_work)
        p.assist_bytes += own.paid
        pacer.bg_scan_credit -= own.stolen
        if not own.work:
            return
        self.core.sync_caches()
        done = self._drain(own.work)
        p.assist_bytes += worth(done, pacer.assist_bytes_per_work)
        if not self.grey and not self.told:
            # Nothing is left to mark: this assist ends the mark phase, and debts are forgotten.
            self.finish(BACKGROUND)
            p.assist_bytes = 0

    def _queue(self, told: list[tuple[MSpan, int]], roots: Iterable[int] | None) -> None:
        """Objects given as live, or the roots, become work for marking; tiny blocks in use live anyway."""
        core = self.core
        self.told = told
        self.following = roots is not None
        self.grey.clear()
        for p in core.ps:
            if p.mcache.tiny:
                self.mark(p.mcache.tiny)
        for root in roots or ():
            self.mark(int(root))
        for v in core.specials.finalizer_queue:
            self.mark(v)
        for s in core.user_arenas.chunks:
            self.mark(s.base)  # their arenas hold them
        if not self.following:
            self.grey.clear()
        self._scan_for_finalizers()

    def _drain(self, most: int | None) -> int:
        """Marks what is queued, or about `most` bytes of it (gcDrain, gcDrainN); the bytes scanned."""
        pacer = self.core.pacer
        before = pacer.heap_scan_work
        end = None if most is None else before + most
        while self.told and (end is None or pacer.heap_scan_work < end):
            s, mask = self.told.pop()
            new = mask & ~s.mark_bits
            if new:
                self.set_mark(s, new)
                self.bytes_marked += new.bit_count() * s.elemsize
                pacer.heap_scan_work += self.scan_work.of_objects(s, new)
        if most is None and self.following:
            self._follow()
        while self.grey and (end is None or pacer.heap_scan_work < end):
            self._scan(self.grey.pop())
        return pacer.heap_scan_work - before

    def _follow(self) -> None:
        """Scans what is grey: one by one, or all at once where so much is stored that this pays."""
        trial = Trial(self.grey, self._scan, len(self.core.memory.pages))
        if trial.enough:
            from allocator.sparse.bulk.tracing import follow

            follow(self, trial)

    def _told(self, live: Iterable[int]) -> list[tuple[MSpan, int]]:
        """Spans and objects of theirs, as bits. BadRequest where one is not an object, or is free."""
        core = self.core
        masks: dict[int, int] = {}
        spans: dict[int, MSpan] = {}
        for p in map(int, live):
            s = core.heap.span_of_heap(p)
            if s is None:
                if p == core.zerobase or core.debug_sbrk:
                    continue  # whatever is not in the heap, no collection looks at
                raise BadRequest(f"{p:#x} is not an object of this heap")
            base = s.base
            bit = 1 << (p - base) // s.elemsize
            if base in masks:
                masks[base] |= bit
            else:
                spans[base] = s
                masks[base] = bit
        for base, mask in masks.items():
            free = mask & ~spans[base].allocated()
            if free:
                index = (free & -free).bit_length() - 1
                raise BadRequest(f"{base + index * spans[base].elemsize:#x} is free, so it cannot be alive")
        return [(spans[base], mask) for base, mask in masks.items()]

    def _scan_for_finalizers(self) -> None:
        """What objects with finalizers point to lives; they themselves need not (markrootSpans).

        They are counted as marked when they are scanned, and once more if they live.
        """
        for page in list(self.core.heap.special):
            s = self.core.heap.table.get(page)
            for record in (s.specials or ()) if s is not None else ():
                if record.kind != FINALIZER or s is None or s.spanclass & 1:
                    continue
                self.bytes_marked += s.elemsize
                index = record.offset // s.elemsize
                if self.following:
                    self._scan(s.base + index * s.elemsize)
                else:
                    self.core.pacer.heap_scan_work += self.scan_work.of_object(s, index)

    def _scan(self, slot: int) -> None:
        """Marks what the pointers stored in a slot point to (scanobject)."""
        core = self.core
        s = core.heap.span_of_heap(slot)
        assert s is not None
        index = s.index_of(slot)
        core.pacer.heap_scan_work += self.scan_work.of_object(s, index)
        what = core.object_type(s, index)
        if what is None:
            return
        for addr in core.memory.written(slot, slot + s.elemsize):
            if is_pointer(what, addr - slot - core.header_of(s), core.config.ptr_size):
                self.mark(core.memory.load(addr))


def is_pointer(what: ObjectType, offset: int, ptr_size: int) -> bool:
    """Whether the word at an offset of an object is a pointer, by its bits or its type."""
    if offset < 0:
        return False
    if isinstance(what, Type):
        word = offset % what.size // ptr_size
        if what.kind & KIND_GC_PROG:
            return bool(mask_of(what, ptr_size) >> word & 1)
        return word * ptr_size < what.ptrdata and bool(what.gcdata[word >> 3] >> (word & 7) & 1)
    return bool(what >> offset // ptr_size & 1)
