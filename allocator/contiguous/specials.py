"""Special records: finalizers and profile records attached to objects (mheap.go, mfinal.go, mprof.go).

They live off heap, listed by their span by offset and kind, and are looked
at when the span is swept: an unmarked object with a finalizer is kept for one
more cycle and its finalizer queued; other records of dead objects are freed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.contiguous.core import Core

FINALIZER, PROFILE = 1, 2  # _KindSpecialFinalizer must sort first
NAMES = {FINALIZER: "specialfinalizer", PROFILE: "specialprofile"}


@dataclass(slots=True)
class Special:
    """One record: its own address, the offset in the span, its kind, and the bucket of a profile record."""

    addr: int
    offset: int
    kind: int
    bucket: Bucket | None = None


@dataclass(slots=True)
class Bucket:
    """What the heap profile counts for one kind of allocation site. Bytes and objects."""

    addr: int
    size: int
    allocs: int = 0
    alloc_bytes: int = 0
    frees: int = 0
    free_bytes: int = 0


class Specials:
    """Adds, removes and sweeps special records, and keeps the finalizer queue and the profile's buckets."""

    __slots__ = ("buckets", "finalizer_blocks", "finalizer_queue", "per_block", "queued_blocks", "rt")

    def __init__(self, rt: Core) -> None:
        config = rt.config
        self.rt = rt
        self.finalizer_queue: list[int] = []
        # finblock.fin: what is left of a block after two pointers and two 32-bit counters.
        self.per_block = (config.fin_block_size - 2 * config.ptr_size - 8) // config.sizeof_finalizer
        self.finalizer_blocks = 0  # blocks ever made
        self.queued_blocks = 0  # blocks in finq
        self.buckets: dict[tuple[int, str], Bucket] = {}

    # Finalizers.

    def add_finalizer(self, p: int) -> bool:
        """Attaches a finalizer to the object at p (addfinalizer). False: it had one already."""
        rt = self.rt
        addr = rt.fix_alloc("specialfinalizer")
        if self.attach(p, Special(addr, 0, FINALIZER)):
            if rt.gc.phase:
                rt.gc.retain_for_finalizer(p)
            return True
        rt.fix_free("specialfinalizer", addr)
        return False

    def remove_finalizer(self, p: int) -> None:
        """Takes the finalizer of p away, if there is one (removefinalizer)."""
        rt = self.rt
        s = rt.heap.lookup_maybe(p)
        if s < 0:
            raise Throw("removespecial on invalid pointer")
        rt.ensure_swept(s)
        offset = p - rt.spans.base[s]
        records = rt.spans.specials[s] or []
        for i, record in enumerate(records):
            if record.offset == offset and record.kind == FINALIZER:
                del records[i]
                rt.fix_free("specialfinalizer", record.addr)
                return

    def run_finalizers(self) -> list[int]:
        """Empties the queue as the finalizer goroutine does, last in first out (runfinq).

        Returns the objects in the order in which their finalizers ran.
        """
        queue, self.finalizer_queue = self.finalizer_queue, []
        self.queued_blocks = 0
        return queue[::-1]

    def _queue_finalizer(self, p: int) -> None:
        """queuefinalizer: blocks of the queue are made as needed and never given back."""
        rt = self.rt
        if len(self.finalizer_queue) >= self.queued_blocks * self.per_block:
            self.queued_blocks += 1
            if self.queued_blocks > self.finalizer_blocks:
                rt.persistent_alloc_outside(rt.config.fin_block_size, 0, "gc_sys")
                self.finalizer_blocks += 1
        self.finalizer_queue.append(p)

    # The heap profile.

    def profile(self, p: int, size: int, site: str) -> None:
        """Records a sampled allocation (mProf_Malloc). `site` stands for its call stack."""
        if not self.attach(p, self.sample(size, site)):
            raise Throw("setprofilebucket: profile already set")

    def sample(self, size: int, site: str) -> Special:
        """Counts a sampled allocation in its bucket; the record to attach to the object."""
        rt = self.rt
        config = rt.config
        if not self.buckets:
            rt.sys_alloc_outside(config.buck_hash_size * config.ptr_size, "buckhash_sys")
        bucket = self.buckets.get((size, site))
        if bucket is None:
            length = config.sizeof_bucket + rt.profile_depth * config.ptr_size + config.sizeof_mem_record
            addr = rt.persistent_alloc_outside(length, 0, "buckhash_sys")
            bucket = self.buckets[size, site] = Bucket(addr, size)
        bucket.allocs += 1
        bucket.alloc_bytes += size
        return Special(rt.fix_alloc("specialprofile"), 0, PROFILE, bucket)

    # The records of a span.

    def attach(self, p: int, record: Special) -> bool:
        """addspecial: False when the object has one of the kind at that offset."""
        rt = self.rt
        s = rt.heap.lookup_maybe(p)
        if s < 0:
            raise Throw("addspecial on invalid pointer")
        rt.ensure_swept(s)
        record.offset = (p - rt.spans.base[s]) & 0xFFFF  # special.offset is 16 bits
        records = rt.spans.specials[s]
        if records is None:
            records = rt.spans.specials[s] = []
        key = record.offset, record.kind
        at = 0
        while at < len(records) and (records[at].offset, records[at].kind) <= key:
            if (records[at].offset, records[at].kind) == key:
                return False
            at += 1
        records.insert(at, record)
        return True

    def sweep(self, s: int) -> None:
        """What sweeping does with a span's records, before it frees objects. May set mark bits."""
        rt = self.rt
        spans = rt.spans
        size = spans.elemsize[s]
        base = spans.base[s]
        records = spans.specials[s] or []
        kept: list[Special] = []
        i = 0
        while i < len(records):
            index = records[i].offset // size
            end = (index + 1) * size
            group_end = i
            while group_end < len(records) and records[group_end].offset < end:
                group_end += 1
            group = records[i:group_end]
            i = group_end
            if spans.mark_bits[s] >> index & 1:
                kept += group
                continue
            finalized = any(record.kind == FINALIZER for record in group)
            if finalized:
                spans.mark_bits[s] |= 1 << index
            for record in group:
                if record.kind == FINALIZER or not finalized:
                    self._free(record, base + record.offset, size)
                else:
                    kept.append(record)
        spans.specials[s] = kept or None

    def _free(self, record: Special, p: int, size: int) -> None:
        """freespecial: queues a finalizer, or counts a sampled object as freed."""
        if record.kind == FINALIZER:
            self._queue_finalizer(p)
        elif record.bucket is not None:
            record.bucket.frees += 1
            record.bucket.free_bytes += size
        self.rt.fix_free(NAMES[record.kind], record.addr)
