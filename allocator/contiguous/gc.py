"""The collector as the allocator sees it: phases, pacing without a clock, and marking (mgc.go, mgcmark.go).

What is alive is either given (a set of addresses, or everything) or found by
following the pointers that were stored in the simulated heap. Marking is work
on a queue that allocations during a concurrent cycle help with, as assists do.
Time is not modelled: where the pacer divides by it, it sees a cycle that
took no time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeGuard

from allocator.common.assist import share, worth
from allocator.common.at_once import Trial, pays
from allocator.common.throw import BadRequest, Throw
from allocator.common.types import KIND_GC_PROG
from allocator.contiguous.heap_bitmap import LargeBits, pointer_words
from allocator.contiguous.mspan import IN_USE, NIL, STACK
from allocator.contiguous.specials import FINALIZER
from allocator.contiguous.sweep import DONE
from allocator.interface import Live

if TYPE_CHECKING:
    from allocator.contiguous.core import Core
    from allocator.contiguous.mcache import MCache

OFF, MARK, MARK_TERMINATION = range(3)
BACKGROUND, FORCE, FORCE_BLOCK = range(3)  # gcMode

GOAL_UTILIZATION = 0.25
TRIGGER_GAIN = 0.5
MAX_UINT64 = (1 << 64) - 1


def is_array(live: Any) -> TypeGuard[Any]:
    """Whether live objects are given as a NumPy array."""
    return "numpy" in sys.modules and isinstance(live, sys.modules["numpy"].ndarray)


class Collector:
    """gcController, work and the phase. `gcpercent` below zero is GOGC=off."""

    __slots__ = (
        "assist_bytes_per_work", "assist_work_per_byte", "bg_scan_credit", "blacken", "bytes_marked",
        "following", "gcpercent", "grey", "heap_minimum", "masks", "phase", "rt", "scan_work",
        "stale", "trigger_ratio",
    )  # fmt: skip

    def __init__(self, rt: Core, gcpercent: int) -> None:
        self.rt = rt
        self.phase = OFF
        self.blacken = False
        self.trigger_ratio = 7 / 8.0
        self.assist_work_per_byte = 0.0
        self.assist_bytes_per_work = 0.0
        self.bg_scan_credit = 0
        self.bytes_marked = 0
        self.scan_work = 0
        self.grey: list[int] = []  # objects to scan, when pointers are followed
        self.masks: list[
            tuple[int, int]
        ] = []  # spans and objects of theirs to mark, if live objects are given
        self.following = False
        # The spans, by address, in which something may be stored in objects that were not marked just now.
        self.stale: set[int] | None = None
        self.heap_minimum = 0
        self.gcpercent = 0
        self.set_percent(gcpercent)
        stats = rt.stats
        stats.gc_trigger = self.heap_minimum
        # The goal that such a trigger would have been derived from (gcinit).
        stats.next_gc = int(
            float(stats.gc_trigger) / (1 + self.trigger_ratio) * (1 + float(self.gcpercent) / 100)
        )
        if self.gcpercent < 0:
            stats.next_gc = MAX_UINT64

    def set_percent(self, percent: int) -> int:
        """GOGC becomes percent, off below zero; the old value (setGCPercent)."""
        old = self.gcpercent
        self.gcpercent = max(percent, -1)
        minimum = self.rt.config.default_heap_minimum
        # gcpercent is widened to 64 bits unsigned: off makes an enormous minimum.
        self.heap_minimum = (minimum * (self.gcpercent & MAX_UINT64) & MAX_UINT64) // 100
        self.trigger_ratio = min(self.trigger_ratio, float(self.gcpercent) / 100)
        return old

    def should_start(self, force: bool = False) -> bool:
        """Whether an allocation should begin a cycle now (gcShouldStart)."""
        if self.gcpercent < 0 or self.phase != OFF:
            return False
        stats = self.rt.stats
        return (force or stats.heap_live >= stats.gc_trigger) and stats.enablegc

    def set_phase(self, phase: int) -> None:
        """setGCPhase."""
        self.phase = phase
        self.rt.phase_changed()
        if self.rt.log_inputs:
            self.rt.emit(f"P {phase}")

    # A cycle.

    def start(self, mode: int, live: Live | None, roots: Iterable[int] | None, force: bool = False) -> bool:
        """Begins a cycle (gcStart). A background one is left marking; a forced one is over on return.

        False: the conditions for a background cycle do not hold.
        """
        rt = self.rt
        if mode != BACKGROUND or self.should_start(force):
            self._sweep_all()
        if mode == BACKGROUND and not self.should_start(force):
            return False
        self._reset_mark_state()
        self._finish_sweep()
        if mode == BACKGROUND:
            self._start_cycle()
            self.set_phase(MARK)
            self._queue(live, roots)
            for cache in rt.caches:
                if cache.tiny:
                    self._grey_object(cache.tiny)
            self.blacken = True
            rt.phase_changed()
        else:
            rt.stats.numforcedgc += 1
            self._mark_termination(mode, live, roots)
        return True

    def finish(self) -> None:
        """Ends a background cycle: marks what is left, then mark termination (gcMarkDone)."""
        if self.phase != MARK:
            raise BadRequest("no collection is in its mark phase")
        self._drain(None)
        self.blacken = False
        self._end_cycle()
        self._mark_termination(BACKGROUND, None, None)

    def _reset_mark_state(self) -> None:
        self.bytes_marked = 0
        for cache in self.rt.caches:
            cache.assist_bytes = 0

    def _finish_sweep(self) -> None:
        """finishsweep_m: nothing may be unswept when marking begins."""
        rt = self.rt
        self._sweep_all()
        rt.arenas.next_epoch()
        if rt.log_inputs:
            rt.emit("y")

    def _start_cycle(self) -> None:
        """gcController.startCycle."""
        stats = self.rt.stats
        self.scan_work = 0
        self.bg_scan_credit = 0
        if stats.gc_trigger <= self.heap_minimum:
            stats.heap_marked = int(float(stats.gc_trigger) / (1 + self.trigger_ratio))
        stats.next_gc = self._goal()
        stats.next_gc = max(stats.next_gc, stats.heap_live + 1024 * 1024)
        self._revise()

    def _goal(self) -> int:
        if self.gcpercent < 0:
            return MAX_UINT64
        marked = self.rt.stats.heap_marked
        return marked + marked * self.gcpercent // 100

    def revise_if_marking(self) -> None:
        """Recomputes the assist ratio if assists are on: heap_live or heap_scan changed."""
        if self.blacken:
            self._revise()

    def _revise(self) -> None:
        """gcController.revise."""
        stats = self.rt.stats
        work = max(stats.heap_scan - self.scan_work, 1000)
        distance = stats.next_gc - stats.heap_live
        if distance <= 0:
            distance = 1
        self.assist_work_per_byte = float(work) / float(distance)
        self.assist_bytes_per_work = float(distance) / float(work)

    def _end_cycle(self) -> None:
        """gcController.endCycle, for a mark phase in which no assist time was measured."""
        stats = self.rt.stats
        goal = float(self.gcpercent) / 100
        actual = float(stats.heap_live) / float(stats.heap_marked) - 1
        error = (
            goal - self.trigger_ratio - GOAL_UTILIZATION / GOAL_UTILIZATION * (actual - self.trigger_ratio)
        )
        self.trigger_ratio += TRIGGER_GAIN * error
        self.trigger_ratio = min(max(self.trigger_ratio, 0.0), goal * 0.95)

    def _mark_termination(self, mode: int, live: Live | None, roots: Iterable[int] | None) -> None:
        """gcMarkTermination and what follows it with the world stopped."""
        rt = self.rt
        self.blacken = False
        self.set_phase(MARK_TERMINATION)
        for cache in rt.caches:
            rt.flush_cache(cache)
        if mode != BACKGROUND:
            self._queue(live, roots)
            self._drain(None)
        self._account()
        self.set_phase(OFF)
        self._sweep_phase(mode)
        rt.stats.numgc += 1
        rt.free_stack_spans()

    def _account(self) -> None:
        """What gcMark derives once everything is marked: the heap's size and the next trigger."""
        rt = self.rt
        stats = rt.stats
        for cache in rt.caches:
            rt.purge_cached_stats(cache)
        stats.heap_marked = self.bytes_marked
        stats.gc_trigger = int(float(stats.heap_marked) * (1 + self.trigger_ratio))
        stats.gc_trigger = max(stats.gc_trigger, self.heap_minimum)
        if stats.gc_trigger >> 63:
            rt.printed.append(
                f"next_gc={stats.next_gc} bytesMarked={self.bytes_marked} "
                f"heap_live={stats.heap_live} initialHeapLive={stats.heap_live}"
            )
            raise Throw("gc_trigger underflow")
        stats.heap_live = self.bytes_marked
        # Only concurrent cycles begin with scan_work 0, so forced ones leave the sum since the last of those.
        stats.heap_scan = self.scan_work
        distance = rt.config.sweep_min_heap_distance * (self.gcpercent & MAX_UINT64) & MAX_UINT64
        minimum = (stats.heap_live + distance // 100) & MAX_UINT64
        stats.gc_trigger = max(stats.gc_trigger, minimum)
        stats.next_gc = max(self._goal(), stats.gc_trigger)

    def _sweep_phase(self, mode: int) -> None:
        """gcSweep: opens a sweep phase, and sweeps all of it where the mode asks for that."""
        rt = self.rt
        heap, sweeper, stats = rt.heap, rt.sweeper, rt.stats
        if self.phase != OFF:
            raise Throw("gcSweep being done but phase is not GCoff")
        rt.open_sweep_phase()
        if rt.log_inputs:
            rt.emit(
                f"g {heap.sweepgen} {stats.heap_live} {stats.gc_trigger} {stats.next_gc} {heap.pages_in_use}"
            )
        if mode == FORCE_BLOCK:
            sweeper.pages_per_byte = 0.0
            sweeper.pages_swept = 0
            self._sweep_all()
            self.stale = None
            return
        self.stale = None
        distance = stats.gc_trigger - stats.heap_live - 1024 * 1024
        distance = max(distance, rt.config.page_size)
        rt.set_sweep_ratio(float(heap.pages_in_use) / float(distance))

    def _sweep_all(self) -> None:
        """Sweeps whatever is unswept."""
        rt = self.rt
        if pays(len(rt.sweep_spans.unswept)):
            from allocator.contiguous.bulk.sweeping import sweep_all

            sweep_all(rt)
        while rt.sweepone() != DONE:
            pass

    # Assists.

    def assist(self, cache: MCache) -> None:
        """Lets an allocation that is in debt do its share of the marking (gcAssistAlloc)."""
        bytes_per_work = self.assist_bytes_per_work
        own = share(-cache.assist_bytes, self.bg_scan_credit, self.assist_work_per_byte, bytes_per_work)
        cache.assist_bytes += own.paid
        self.bg_scan_credit -= own.stolen
        if not own.work:
            return
        done = self._drain(own.work)
        cache.assist_bytes += worth(done, self.assist_bytes_per_work)
        if not self.grey and not self.masks:
            # Nothing is left to mark: this assist ends the mark phase, and debts are forgotten.
            self.finish()
            cache.assist_bytes = 0

    # Marking.

    def _queue(self, live: Live | None, roots: Iterable[int] | None) -> None:
        """Fills the work queue from what the driver says is alive."""
        rt = self.rt
        rt.sync_caches()
        self.grey = []
        self.masks = []
        self.following = roots is not None
        if roots is not None:
            for p in roots:
                self._grey_object(p)
        elif live is True and pays(len(rt.spans)):
            from allocator.contiguous.bulk.marking import allocated_masks

            self.masks = allocated_masks(rt)
        elif live is True:
            self.masks = [
                (s, rt.allocated_mask(s)) for s in range(len(rt.spans)) if rt.spans.state[s] == IN_USE
            ]
        elif is_array(live):
            from allocator.contiguous.bulk.marking import live_masks

            self.masks = live_masks(rt, live)
        elif live:
            self.masks = list(self._masks_of(live).items())
        self._mark_finalizer_roots()

    def _masks_of(self, live: Iterable[int]) -> dict[int, int]:
        masks: dict[int, int] = {}
        rt = self.rt
        for p in live:
            s = rt.heap.lookup_maybe(int(p))
            if s == NIL:
                if p == rt.zerobase:
                    continue
                raise BadRequest(f"{int(p):#x} is not an object of this heap")
            index = (int(p) - rt.spans.base[s]) // rt.spans.elemsize[s]
            masks[s] = masks.get(s, 0) | 1 << index
        for s, mask in masks.items():
            free = mask & ~rt.allocated_mask(s)
            if free:
                index = (free & -free).bit_length() - 1
                p = rt.spans.base[s] + index * rt.spans.elemsize[s]
                raise BadRequest(f"{p:#x} is free, so it cannot be alive")
        return masks

    def _drain(self, scan_work: int | None) -> int:
        """Marks from the queue until that much scan work is done, all of it for None (gcDrainN)."""
        before = self.scan_work
        if scan_work is None and pays(len(self.masks)):
            from allocator.contiguous.bulk.marking import mark

            mark(self)
        if scan_work is None and self.following:
            self._follow()
        while (self.grey or self.masks) and (scan_work is None or self.scan_work - before < scan_work):
            if self.masks:
                self._mark_mask(*self.masks.pop())
            else:
                self._scan(self.grey.pop())
        return self.scan_work - before

    def _follow(self) -> None:
        """Scans what is grey: one by one, or all at once where so much is stored that this pays."""
        trial = Trial(self.grey, self._scan, len(self.rt.memory.pages))
        if trial.enough:
            from allocator.contiguous.bulk.tracing import follow

            follow(self, trial)

    def _mark_mask(self, s: int, mask: int) -> None:
        spans = self.rt.spans
        mask &= ~spans.mark_bits[s]
        spans.mark_bits[s] |= mask
        self.bytes_marked += mask.bit_count() * spans.elemsize[s]
        bits = spans.bits[s]
        if type(bits) is int:
            # Nothing but objects without pointers, or single pointers throughout.
            if bits:
                self.scan_work += mask.bit_count() * spans.elemsize[s]
            return
        while mask:
            index = (mask & -mask).bit_length() - 1
            mask &= mask - 1
            self.scan_work += self.scan_extent(s, index)

    def scan_extent(self, s: int, index: int) -> int:
        """Bytes of an object that scanning reads before the bitmap tells it to stop."""
        rt = self.rt
        spans = rt.spans
        ptr = rt.config.ptr_size
        size = spans.elemsize[s]
        bits = spans.bits[s]
        if type(bits) is int:
            return size if bits else 0
        oblet = rt.config.max_oblet_bytes
        if isinstance(bits, LargeBits):
            words = max(pointer_words(bits.typ, bits.data_size, ptr), 2)
            if bits.typ.kind & KIND_GC_PROG:
                words = (words + 3) & ~3
            extent = min(words * ptr, size)
            # A second word is read whatever its scan bit says, in each piece of 128 KB.
            return extent + ptr if size > oblet and extent % oblet == ptr else extent
        assert isinstance(bits, bytearray)
        first = index * size // ptr
        n = size // ptr
        if not bits[first >> 2] >> (first & 3) & 0x10:
            return 0
        i = 2
        while i < n and bits[(first + i) >> 2] >> ((first + i) & 3) & 0x10:
            i += 1
        return i * ptr if n > 1 else ptr

    def _grey_object(self, p: int) -> None:
        """Marks the object that p points into and queues it for scanning (greyobject)."""
        rt = self.rt
        spans = rt.spans
        heap = rt.heap
        if p < heap.arena_start or p >= heap.arena_used:
            return
        s = heap.lookup(p)
        if s == NIL or p < spans.base[s] or p >= spans.limit[s] or spans.state[s] != IN_USE:
            if s != NIL and spans.state[s] != STACK and rt.debug_invalidptr:
                where = "to unallocated span" if spans.state[s] != IN_USE else "to unused region of span"
                rt.printed.append(
                    f"runtime: pointer {p:#x} {where} idx={heap.page(p):#x} span.base()={spans.base[s]:#x} "
                    f"span.limit={spans.limit[s]:#x} span.state={spans.state[s]}"
                )
                raise Throw("found bad pointer in Go heap (incorrect use of unsafe or cgo?)")
            return
        index = (p - spans.base[s]) // spans.elemsize[s]
        if spans.mark_bits[s] >> index & 1:
            return
        spans.mark_bits[s] |= 1 << index
        if not self.scan_extent(s, index):
            self.bytes_marked += spans.elemsize[s]
            return
        if self.following:
            self.grey.append(spans.base[s] + index * spans.elemsize[s])
        else:
            self.bytes_marked += spans.elemsize[s]
            self.scan_work += self.scan_extent(s, index)

    def _scan(self, base: int) -> None:
        """scanobject: greys what the object's pointers point to."""
        s, size, extent = self._count_scan(base)
        for target in self._pointers(s, base, extent):
            if not base <= target < base + size:
                self._grey_object(target)

    def _pointers(self, s: int, base: int, extent: int) -> Iterator[int]:
        """The pointers stored in the pointer words of the object at base, in span s, within so many bytes."""
        rt = self.rt
        memory = rt.memory
        if not extent or not memory:
            return
        words = memory.written(base, base + extent)
        if not words:
            return
        shift = rt.word_shift
        start = rt.spans.base[s]
        bits: bytes | bytearray | int | LargeBits = rt.spans.bits[s]
        if not isinstance(bits, bytearray):
            bits = rt.bitmap(s, ((words[-1] - start) >> shift) // 4 + 1)
        for addr in words:
            word = (addr - start) >> shift
            if bits[word >> 2] >> (word & 3) & 1:
                yield memory.load(addr)

    def _count_scan(self, base: int) -> tuple[int, int, int]:
        """What scanobject adds to the sums; the object's span, its size, and how much of it is read."""
        rt = self.rt
        s = rt.heap.lookup(base)
        size = rt.spans.elemsize[s]
        if size == 0:
            raise Throw("scanobject n == 0")
        self.bytes_marked += size
        extent = self.scan_extent(s, (base - rt.spans.base[s]) // size)
        self.scan_work += extent
        return s, size, extent

    def _mark_finalizer_roots(self) -> None:
        """What is queued lives, and what finalizers need, but not the finalized objects (markrootSpans)."""
        rt = self.rt
        for p in rt.specials.finalizer_queue:
            self._grey_object(p)
        for s in range(len(rt.spans)):
            if rt.spans.state[s] == IN_USE and rt.spans.specials[s]:
                for record in rt.spans.specials[s] or ():
                    if record.kind == FINALIZER:
                        size = rt.spans.elemsize[s]
                        self._retain(rt.spans.base[s] + record.offset // size * size)

    def retain_for_finalizer(self, p: int) -> None:
        """A finalizer was set while marking: what the object points to is kept (addfinalizer)."""
        s = self.rt.heap.lookup_maybe(p)
        size = self.rt.spans.elemsize[s]
        base = self.rt.spans.base[s]
        self._retain(base + (p - base) // size * size)

    def _retain(self, base: int) -> None:
        """Scans an object for its finalizer. It is counted as marked then, once more if it really is."""
        if self.following:
            self._scan(base)
        else:
            self._count_scan(base)

    def mark_new(self, p: int, size: int, scan_size: int) -> None:
        """An object allocated while marking is born black (gcmarknewobject)."""
        rt = self.rt
        s = rt.heap.lookup(p)
        rt.spans.mark_bits[s] |= 1 << (p - rt.spans.base[s]) // rt.spans.elemsize[s]
        self.bytes_marked += size
        self.scan_work += scan_size
