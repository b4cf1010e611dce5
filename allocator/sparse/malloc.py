"""mallocgc: from a size and a type to an address (malloc.go).

`malloc` is the short way for a machine where nothing unusual is going on: no collector marking,
no heap profile, no watch, no stored pointers. Everything else goes through `mallocgc`,
which does all that the runtime does, in its order. Both leave the same machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import BadRequest, GoPanic, Throw
from allocator.common.types import Type
from allocator.sparse.gc import MARK_TERMINATION
from allocator.sparse.heap_bits import ObjectType, Plan, plan, unrolled_pages
from allocator.sparse.heap_core import HeapCore
from allocator.sparse.mheap import SCALAR_BITS

if TYPE_CHECKING:
    from allocator.sparse.mcache import CachedSpan, MCache
    from allocator.sparse.mspan import MSpan


class Malloc(HeapCore):
    """Allocation: what a HeapCore can do with its heap."""

    def malloc(
        self,
        size: int,
        typ: Type | None = None,
        noscan: bool | None = None,
        needzero: bool = True,
        p: int = 0,
    ) -> int:
        """An object: mallocgc, as the interface's `malloc` says."""
        if self.plain:
            if typ.noscan if typ is not None else noscan is not False:
                cache = self.ps[p].mcache
                if size < 16:
                    if size > 0:
                        grain = self.grains[size]
                        off = cache.tiny_offset + grain & ~grain
                        if off + size <= 16 and cache.tiny:
                            cache.tiny_offset = off + size
                            cache.tiny_allocs += 1
                            return cache.tiny + off
                        cached = cache.tiny_span
                        v = cached.next
                        if v != cached.end:
                            cached.next = v + 16
                            if size < cache.tiny_offset or not cache.tiny:
                                cache.tiny = v
                                cache.tiny_offset = size
                            return v
                elif size <= 32760:
                    spanclass = self.noscan_class[size]
                    cached = cache.alloc[spanclass]
                    v = cached.next
                    if v != cached.end:
                        cached.next = v + cached.size
                        return v
                    if self.gc.phase != MARK_TERMINATION:
                        return self._fetched(spanclass, p)
                elif self.largest_small < size <= self.word and self.gc.phase != MARK_TERMINATION:
                    return self._large_alone(size, p)
            elif typ is not None and not noscan:
                found = self.plans.get(typ if size == typ.size else (typ, size))
                if found is not None:
                    spanclass, what, scan, header = found
                    cache = self.ps[p].mcache
                    cached = cache.alloc[spanclass]
                    v = cached.next
                    if v != cached.end:
                        cached.next = v + cached.size
                        if what is not None:
                            types = cached.types
                            if types is None:
                                types = self.open_types(cached)
                            types[(v - cached.base) // cached.size] = what
                        cache.scan_alloc += scan
                        return v + header
        if typ is None and noscan is False and size >= self.config.ptr_size:
            typ = self.pointer_type
        elif noscan and typ is not None and not typ.noscan:
            typ = None
        return self.mallocgc(size, typ, needzero, p)

    def _fetched(self, spanclass: int, p: int) -> int:
        """The short way's object without pointers where the run of free ones is used up."""
        v, fetched = self.run_on(p).mcache.next_free(spanclass)
        if fetched:
            self.may_collect()
        return v

    def _large_alone(self, size: int, p: int) -> int:
        """The short way's large object without pointers."""
        s = self.run_on(p).mcache.alloc_large(size, True)
        s.free_index = s.alloc_count = 1
        s.large_type = None
        self.may_collect()
        return s.base

    def mallocgc(self, size: int, typ: Type | None, needzero: bool, p: int | None) -> int:
        """mallocgc, whole. p None: before there is a P."""
        config = self.config
        if not 0 <= size <= config.uintptr_mask:
            raise BadRequest(f"an object of {size} bytes: a size must be from 0 to {config.uintptr_mask}")
        if self.gc.phase == MARK_TERMINATION:
            raise Throw("mallocgc called with gcphase == _GCmarktermination")
        if size == 0:
            return self.zerobase
        cache = self.mcache0 if p is None else self.run_on(p).mcache
        if self.debug_sbrk:
            return self.persistent.alloc(size, _sbrk_align(size) if typ else 16, "other_sys")
        if self.marking:
            self.gc.deduct_assist_credit(size)
        if self.mallocing:
            raise Throw("malloc deadlock")
        noscan = typ is None or typ.noscan
        if typ is None or noscan:
            if size < config.tiny_size:
                v = self._from_tiny_block(cache, size)
                if v:
                    self._note(v, None, size)
                    return v
                v, slot, fetched = self._tiny_block(cache, size)
            elif size <= config.max_small_size - config.malloc_header_size:
                slot, fetched = self._object(cache, self.noscan_class[size])
                v = slot
            else:
                v = slot = self._large(cache, size, None).base
                fetched = True
        else:
            v, slot, fetched = self._with_pointers(cache, size, typ)
        if self.unusual or self.marking or self.mem_profile_rate:
            self._look_at(cache, v, slot, None if noscan else typ, size, needzero or not noscan)
        if fetched:
            self.may_collect()
        return v

    def short_way(self, size: int, typ: Type | None) -> Plan | None:
        """How a small object is laid out that `takes_next` may take; None for tiny and large ones."""
        config = self.config
        if typ is not None and not typ.noscan:
            found = self.plan(typ, size)
            return found if found.spanclass else None
        if config.tiny_size <= size <= config.max_small_size - config.malloc_header_size:
            return Plan(self.noscan_class[size], None, 0, 0)
        return None

    def takes_next(self, plan: Plan, v: int, p: int) -> bool:
        """mallocgc's short way: the object at v, where it is the next in the P's span and nothing watches it.

        False where that is not so; nothing has changed then.
        """
        if self.unusual or self.marking or self.mem_profile_rate or self.debug_sbrk or self.mallocing:
            return False
        spanclass, what, scan, header = plan
        cache = self.run_on(p).mcache
        cached = cache.alloc[spanclass]
        slot = v - header
        if cached.next != slot or slot == cached.end or self.gc.phase == MARK_TERMINATION:
            return False
        cached.next = slot + cached.size
        if what is not None:
            types = cached.types
            if types is None:
                types = self.open_types(cached)
            types[(slot - cached.base) // cached.size] = what
        cache.scan_alloc += scan
        return True

    def _look_at(self, cache: MCache, v: int, slot: int, typ: Type | None, size: int, needzero: bool) -> None:
        """What happens to a new object where something looks at objects one by one."""
        s = self.heap.span_of(slot)
        assert s is not None
        if self.memory and needzero:
            self.memory.zero(slot, s.elemsize)
        self._note(v, typ, size)
        if self.marking:
            self.gc.mark_new(s, slot)
            if self.p is not None:
                self.p.assist_bytes -= s.elemsize - size
        self._sample(cache, v, s.elemsize)

    def _note(self, v: int, typ: Type | None, size: int) -> None:
        if self.watched is not None:
            self.watched.allocated(v, typ, size)

    def _sample(self, cache: MCache, v: int, size: int) -> None:
        """Counts down to the next object of the heap profile."""
        if not self.mem_profile_rate:
            return
        if self.config.samples_below_zero:
            cache.next_sample -= size
            sampled = cache.next_sample < 0
        else:
            sampled = self.mem_profile_rate == 1 or size >= cache.next_sample
            if not sampled:
                cache.next_sample -= size
        if sampled:
            cache.next_sample = self.next_sample()
            self.profile(v, size)

    def _from_tiny_block(self, cache: MCache, size: int) -> int:
        """Room in the tiny block that is open, 0 if it has none."""
        grain = self.grains[size]
        off = (cache.tiny_offset + grain) & ~grain
        if off + size > self.config.tiny_size or not cache.tiny:
            return 0
        cache.tiny_offset = off + size
        cache.tiny_allocs += 1
        return cache.tiny + off

    def _tiny_block(self, cache: MCache, size: int) -> tuple[int, int, bool]:
        """A new tiny block, which stays open if it has more room left than the other."""
        v, fetched = self._object(cache, self.tiny_spanclass)
        if size < cache.tiny_offset or not cache.tiny:
            cache.tiny = v
            cache.tiny_offset = size
        return v, v, fetched

    def _with_pointers(self, cache: MCache, size: int, typ: Type) -> tuple[int, int, bool]:
        """An object with pointers: its address, that of its slot, whether a span was fetched."""
        spanclass, what, scan, header = self.plan(typ, size)
        if not spanclass:
            s = self._large(cache, size, typ)
            return s.base, s.base, True
        slot, fetched = self._object(cache, spanclass)
        if what is not None:
            cached = cache.alloc[spanclass]
            types = cached.types
            if types is None:
                types = self.open_types(cached)
            types[(slot - cached.base) // cached.size] = what
        cache.scan_alloc += scan
        return slot + header, slot, fetched

    def _object(self, cache: MCache, spanclass: int) -> tuple[int, bool]:
        cached = cache.alloc[spanclass]
        v = cached.next
        if v != cached.end:
            cached.next = v + cached.size
            return v, False
        return cache.next_free(spanclass)

    def open_types(self, cached: CachedSpan) -> list[ObjectType | None]:
        """Makes room in a cached span for what its objects' bits or headers are."""
        s = cached.span
        assert s is not None
        cached.types = types = s.open_types()
        return types

    def _large(self, cache: MCache, size: int, typ: Type | None) -> MSpan:
        """A span for one object of more than 32 KB (mallocgcLarge)."""
        s = cache.alloc_large(size, typ is None)
        s.free_index = 1
        s.alloc_count = 1
        s.large_type = typ
        if typ is not None:
            pages = unrolled_pages(self.config, typ)
            if pages:
                s.unrolled = self.heap.alloc_manual(pages, SCALAR_BITS)
            cache.scan_alloc += s.elemsize if self.config.headers else self.plan(typ, size).scan
        return s

    def plan(self, typ: Type, size: int) -> Plan:
        """How an object of `size` bytes with pointers is laid out. BadType for a type that cannot be."""
        key = typ if size == typ.size else (typ, size)
        found = self.plans.get(key)
        if found is None:
            found = self.plans[key] = plan(self.config, typ, size)
        return found

    # The compiler's and reflect's ways in.

    def newobject(self, typ: Type, p: int = 0) -> int:
        """One value of the type (newobject)."""
        return self.malloc(typ.size, typ, p=p)

    def newarray(self, typ: Type, n: int, p: int = 0) -> int:
        """n values of the type (newarray). GoPanic where no slice is so long."""
        size = typ.size * n
        if n < 0 or size > self.config.max_alloc or size > self.config.uintptr_mask:
            raise GoPanic("runtime: allocation size out of range")
        return self.malloc(size, typ, p=p)


def _sbrk_align(size: int) -> int:
    """The alignment of an object with a type under GODEBUG=sbrk=1: by its size alone."""
    return 8 if size & 7 == 0 else 4 if size & 3 == 0 else 2 if size & 1 == 0 else 1
