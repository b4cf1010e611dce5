"""User arenas: chunks of 8 MB that a program frees as a whole (arena.go).

A chunk is one large object with address space of its own, apart from the page allocator's. Freed,
it faults and waits in quarantine until a sweep finds that nothing points into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import GoPanic, Throw
from allocator.common.types import Type
from allocator.sparse.gc import MARK_TERMINATION
from allocator.sparse.heap_bits import repeated
from allocator.sparse.mheap import HEAP
from allocator.sparse.mspan import MSpan, SpanList

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.malloc import Malloc

NAME = "user arena chunk"
SPANCLASS = 0  # large, with pointers
FAULTED = 1  # large, without: nothing in it may be looked at


class UserArenas:
    """mheap_.userArena and userArenaState. `ready` chunks can be used again, those in `quarantine`
    not yet; `reuse` were not full when their arena was freed; `to_fault` wait for the end of marking."""

    __slots__ = ("bytes", "chunks", "core", "max_alloc", "pages", "quarantine", "ready", "reuse", "to_fault")

    def __init__(self, core: HeapCore) -> None:
        config = core.config
        self.core = core
        self.bytes = config.user_arena_chunk_bytes
        self.pages = self.bytes >> config.page_shift
        self.max_alloc = self.bytes // 4
        self.ready = SpanList()
        self.quarantine = SpanList()
        self.reuse: list[MSpan] = []
        self.to_fault: list[MSpan] = []
        self.chunks: set[MSpan] = set()  # all that are mapped, for those who count

    @property
    def reserved(self) -> int:
        """Bytes at a chunk's end for its heap bits and its type (userArenaChunkReserveBytes)."""
        ptr = self.core.config.ptr_size
        return self.bytes // ptr // 8 + 4 * ptr + 16  # sizeof(_type)

    def new_chunk(self) -> MSpan:
        """A chunk to allocate from (newUserArenaChunk)."""
        if self.reuse:
            return self.reuse.pop()
        core = self.core
        if core.gc.phase == MARK_TERMINATION:
            raise Throw("newUserArenaChunk called with gcphase == _GCmarktermination")
        if core.marking:
            core.gc.deduct_assist_credit(self.bytes)
        if core.mallocing:
            raise Throw("malloc deadlock")
        s = self.alloc_chunk()
        if s is None:
            raise Throw("out of memory")
        if core.marking:
            core.gc.mark_new(s, s.base)
        self._sample(s)
        core.may_collect()
        return s

    def _sample(self, s: MSpan) -> None:
        """Counts a chunk down to the next object of the heap profile, as one object."""
        core = self.core
        if not core.mem_profile_rate:
            return
        cache = core.mcache
        if core.mem_profile_rate != 1 and self.bytes < cache.next_sample:
            cache.next_sample -= self.bytes
        else:
            cache.next_sample = core.next_sample()
            core.profile(s.base, self.bytes)

    def alloc_chunk(self) -> MSpan | None:
        """A chunk that is ready, or address space for one and more (mheap.allocUserArenaChunk)."""
        core = self.core
        s = self.ready.first
        if s is not None:
            self.ready.remove(s)
            base = s.base
        else:
            base, size = core.arenas.sys_alloc(self.bytes, user=True)
            if not base:
                return None
            if size % self.bytes:
                raise Throw("sysAlloc size is not divisible by userArenaChunkBytes")
            for at in range(self.bytes, size, self.bytes):
                more = core.heap.new_mspan()
                more.init(base + at, self.pages, core.config.page_size)
                self.ready.insert_back(more)
            s = core.heap.new_mspan()
        core.mem.sys_map(base, self.bytes, "heap_released", NAME)
        core.mem.sys_used(base, self.bytes, self.bytes)
        core.heap.init_span(s, HEAP, SPANCLASS, base, self.pages, self.bytes)
        s.is_user_arena_chunk = True
        s.elemsize -= self.reserved
        s.free_index = s.alloc_count = 1
        s.limit = base + s.elemsize
        s.needzero = 0
        s.large_type = 0
        s.user_arena_free = base, s.limit
        stats = core.stats.bytes
        stats["heap_in_use"] += self.bytes
        stats["heap_released"] -= self.bytes
        counted = core.heap_stats
        counted.in_heap += self.bytes
        counted.committed += self.bytes
        counted.large_alloc += s.elemsize
        counted.large_allocs += 1
        core.pacer.total_alloc += s.elemsize
        core.pacer.update(s.elemsize, 0)
        core.central[SPANCLASS].full_swept().push(s)
        self.chunks.add(s)
        return s

    def free_chunk(self, s: MSpan) -> None:
        """A chunk that its arena is done with (freeUserArenaChunk)."""
        if self.core.marking:
            self.to_fault.append(s)
            return
        self.set_to_fault(s)
        self.fault_all()

    def fault_all(self) -> None:
        """What was freed while marking faults now."""
        waiting, self.to_fault = self.to_fault, []
        for s in waiting:
            self.set_to_fault(s)

    def set_to_fault(self, s: MSpan) -> None:
        """Access to a chunk faults from now on (setUserArenaChunkToFault)."""
        core = self.core
        s.spanclass = FAULTED
        core.mem.sys_fault(s.base, self.bytes)
        core.stats.bytes["heap_in_use"] -= self.bytes
        counted = core.heap_stats
        counted.committed -= self.bytes
        counted.in_heap -= self.bytes
        counted.large_frees += 1
        counted.large_free += s.elemsize
        core.pacer.total_free += s.elemsize
        core.pacer.update(-s.elemsize, 0)
        self.chunks.discard(s)
        self.quarantine.insert(s)

    def swept(self, s: MSpan) -> None:
        """Nothing points into a chunk of the quarantine any more: it is ready again."""
        if s.list is not self.quarantine:
            raise Throw("user arena span is on the wrong list")
        self.quarantine.remove(s)
        self.ready.insert(s)


class UserArena:
    """One arena of a program: chunks that are full, and the one that is allocated from."""

    __slots__ = ("active", "all", "core", "defunct", "full")

    def __init__(self, core: Malloc) -> None:
        self.core = core
        self.all = core.user_arenas
        self.full: list[MSpan] = []
        self.defunct = False
        self.active: MSpan | None = self.all.new_chunk()

    def new(self, typ: Type) -> int:
        """One value of the type (userArena.new)."""
        return self._alloc(typ, -1)

    def slice(self, typ: Type, cap: int) -> int:
        """The array of a slice (userArena.slice)."""
        if cap < 0:
            raise GoPanic("userArena.slice: negative cap")
        return self._alloc(typ, cap)

    def _alloc(self, typ: Type, cap: int) -> int:
        if self.active is None:
            raise GoPanic("arena is freed")
        core = self.core
        size = typ.size * cap if cap > 0 else typ.size
        if size > core.config.uintptr_mask:
            raise Throw("out of memory")
        if not size or not cap:
            return core.zerobase
        if size > self.all.max_alloc:
            return core.newarray(typ, cap) if cap >= 0 else core.newobject(typ)
        while True:
            p = self._take(self.active, typ, size, max(cap, 1))
            if p:
                return p
            self._refill()

    def _take(self, s: MSpan, typ: Type, size: int, count: int) -> int:
        """Room in a chunk: from the front with pointers, from the back without; 0 for none."""
        core = self.core
        if core.mallocing:
            raise Throw("malloc deadlock")
        base, limit = s.user_arena_free
        align = typ.align
        if typ.noscan:
            p = limit - size & -align
            if p < base:
                return 0
            s.user_arena_free = base, p
            return p
        p = base + align - 1 & -align
        if p + size > limit:
            return 0
        s.user_arena_free = p + size, limit
        ptr = core.config.ptr_size
        assert isinstance(s.large_type, int)
        s.large_type |= repeated(typ, count, ptr) << (p - s.base) // ptr
        core.mcache.scan_alloc += size - (typ.size - typ.ptrdata)
        return p

    def _refill(self) -> None:
        s = self.active
        assert s is not None
        base, limit = s.user_arena_free
        if limit - base > self.all.max_alloc:
            raise Throw("wasted too much memory in an arena chunk")
        self.full.append(s)
        self.active = self.all.new_chunk()

    def free(self) -> None:
        """The full chunks are given back, and what is left of the last is used again (userArena.free)."""
        if self.defunct:
            raise GoPanic("arena double free")
        self.defunct = True
        for s in reversed(self.full):
            self.all.free_chunk(s)
        self.full.clear()
        if self.active is not None:
            self.all.reuse.append(self.active)
        self.active = None
