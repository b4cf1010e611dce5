"""mallocgc: from a size and a type to an address (malloc.go).

`malloc` is the short way for a machine where nothing unusual is going on: no
collector marking, no heap profile, no recording, no pointers stored. Everything
else goes through `mallocgc`, which does all that the runtime does, in its order.
Both leave the same machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import BadRequest, GoPanic, Throw
from allocator.common.tiny import GRAINS, place
from allocator.common.types import BadType, Type
from allocator.contiguous.core import Core
from allocator.contiguous.gc import BACKGROUND, MARK_TERMINATION, OFF
from allocator.contiguous.heap_bitmap import (
    HEAD_KEPT,
    NOTHING,
    LargeBits,
    Stamp,
    mask_of,
    pointer_words,
    press,
    stamp,
)
from allocator.contiguous.plan import (
    BYTES,
    HALF_ALONE,
    HALF_AND_BYTE,
    ONE_BYTE,
    TWO_BYTES,
    Plan,
    quick_plan,
)

if TYPE_CHECKING:
    from allocator.contiguous.mcache import CachedSpan, MCache


class Malloc(Core):
    """Allocation: what a Core can do with its heap."""

    __slots__ = ()

    def malloc(
        self,
        size: int,
        typ: Type | None = None,
        noscan: bool | None = None,
        needzero: bool = True,
        p: int = 0,
    ) -> int:
        """An object: mallocgc, as the interface's `malloc` says."""
        # The short way, all in one place: with a call to write an object's bits, one with pointers took 6%
        # longer.
        if self.plain:
            if typ.noscan if typ is not None else noscan is not False:
                cache = self.cache = self.caches[p]
                if size < 16:
                    if size > 0:
                        grain = GRAINS[size & 7]
                        off = (cache.tiny_offset + grain) & ~grain
                        if off + size <= 16 and cache.tiny:
                            cache.tiny_offset = off + size
                            cache.local_tinyallocs += 1
                            return cache.tiny + off
                        cached = cache.alloc[self.config.tiny_size_class]
                        v = cached.next
                        if v != cached.end:
                            cached.next = v + 16
                            bits = cached.bits
                            if bits is not None:
                                word = (v - cached.base) >> self.word_shift
                                bits[word >> 2] &= ~(0x11 << (word & 3))
                            if size < cache.tiny_offset or not cache.tiny:
                                cache.tiny = v
                                cache.tiny_offset = size
                            return v
                elif size <= 32768:
                    sizeclass = self.class_of[size]
                    cached = cache.alloc[sizeclass]
                    v = cached.next
                    if v != cached.end:
                        cached.next = v + cached.size
                        bits = cached.bits
                        if bits is not None:
                            word = (v - cached.base) >> self.word_shift
                            bits[word >> 2] &= ~(0x11 << (word & 3))
                        return v
                    return self._fetched(cache, sizeclass)
                elif size <= self.word:
                    return self._large_alone(size)
            elif typ is not None and not noscan:
                quick = self.quick_plans.get(typ if size == typ.size else (typ, size))
                if quick is not None:
                    sizeclass, scan, how, first, second = quick
                    cache = self.cache = self.caches[p]
                    cached = cache.alloc[sizeclass]
                    v = cached.next
                    if v != cached.end:
                        cached.next = v + cached.size
                        cache.local_scan += scan
                        if how:
                            bits = cached.bits
                            if bits is None:
                                bits = self.open_bits(cached)
                            word = (v - cached.base) >> self.word_shift
                            i = word >> 2
                            if how == ONE_BYTE:
                                bits[i] = first
                            elif how == HALF_AND_BYTE:
                                if word & 2:
                                    head, rest = second
                                    bits[i] = bits[i] & HEAD_KEPT | head
                                    bits[i + 1] = rest
                                else:
                                    bits[i], tail = first
                                    i += 1
                                    bits[i] = bits[i] & 0xCC | tail
                            elif how == HALF_ALONE:
                                keep, put = second if word & 2 else first
                                bits[i] = bits[i] & keep | put
                            elif how == TWO_BYTES:
                                bits[i] = first
                                bits[i + 1] = second
                            elif how == BYTES:
                                bits[i : i + second] = first
                            elif word & 2:
                                head, rest = second
                                bits[i] = bits[i] & HEAD_KEPT | head
                                i += 1
                                bits[i : i + len(rest)] = rest
                            else:
                                body, tail = first
                                end = i + len(body)
                                bits[i:end] = body
                                bits[end] = bits[end] & 0xCC | tail
                        return v
                else:
                    self._quicken(typ, size)
        if typ is None and noscan is False and size >= self.config.ptr_size:
            # A block of words; what is left over at its end is not a pointer.
            return self.mallocgc(size, self.pointer_type, needzero, p, size - size % self.config.ptr_size)
        if noscan and typ is not None and not typ.noscan:
            typ = None
        return self.mallocgc(size, typ, needzero, p)

    def _fetched(self, cache: MCache, sizeclass: int) -> int:
        """The short way's object without pointers where the run of free ones is used up."""
        v, fetched = cache.next_free(sizeclass)
        cached = cache.alloc[sizeclass]
        if cached.bits is not None:
            self._clear_first_word(cached, v)
        self.last_flags = "h" if fetched else ""
        if fetched and self.gc.should_start():
            self.start_collection(BACKGROUND)
        return v

    def _large_alone(self, size: int) -> int:
        """The short way's large object without pointers."""
        v = self.spans.base[self._large(size)]
        self.last_flags = "h"
        if self.gc.should_start():
            self.start_collection(BACKGROUND)
        return v

    def mallocgc(
        self, size: int, typ: Type | None, needzero: bool, p: int, data_size: int | None = None
    ) -> int:
        """mallocgc, whole: with a call to write an object's bits, one with pointers took 4 to 8% longer."""
        config = self.config
        if not 0 <= size <= config.uintptr_mask:
            raise BadRequest(f"an object of {size} bytes: a size must be from 0 to {config.uintptr_mask}")
        cache = self.cache = self.caches[p]
        gc = self.gc
        if gc.phase == MARK_TERMINATION:
            raise Throw("mallocgc called with gcphase == _GCmarktermination")
        if size == 0:
            return self.zerobase
        if self.debug_sbrk:
            return self.persistent_alloc_outside(size, typ.align if typ else 16, "other_sys")
        assist = gc.blacken
        if assist:
            cache.assist_bytes -= size
            if cache.assist_bytes < 0:
                gc.assist(cache)
        if self.mallocing:
            raise Throw("malloc deadlock")
        if self.on_signal_stack:
            raise Throw("malloc during signal")

        asked = size
        noscan = typ is None or typ.noscan
        flags = ""
        scan = 0
        if typ is None or noscan:
            data_size = size
            if size < config.tiny_size:
                off = place(cache.tiny_offset, size)
                if off + size <= config.tiny_size and cache.tiny:
                    v = cache.tiny + off
                    cache.tiny_offset = off + size
                    cache.local_tinyallocs += 1
                    self.last_flags = "ct"
                    if self.log_inputs:
                        self.emit_malloc(asked, typ, needzero, cache, v)
                    return v
                v, fetched = self._object(cache, config.tiny_size_class)
                self._clear_first_word(cache.alloc[config.tiny_size_class], v)
                if size < cache.tiny_offset or not cache.tiny:
                    cache.tiny = v
                    cache.tiny_offset = size
                size = config.tiny_size
                flags = "t"
            elif size <= config.max_small_size:
                sizeclass = self.class_of[size]
                v, fetched = self._object(cache, sizeclass)
                self._clear_first_word(cache.alloc[sizeclass], v)
                size = self.class_to_size[sizeclass]
            else:
                s = self._large(size)
                v, size, fetched = self.spans.base[s], self.spans.elemsize[s], True
        else:
            plan = self.plan(typ, size, data_size)
            data_size = plan.data_size
            scan = plan.scan
            if plan.sizeclass:
                v, fetched = self._object(cache, plan.sizeclass)
                cached = cache.alloc[plan.sizeclass]
                if plan.stamp.how != NOTHING:
                    bits = cached.bits
                    if bits is None:
                        bits = self.open_bits(cached)
                    press(bits, (v - cached.base) >> self.word_shift, plan.stamp)
                size = cached.size
            else:
                s = self._large(size)
                v, size, fetched = self.spans.base[s], self.spans.elemsize[s], True
                self.spans.bits[s] = LargeBits(typ, data_size, size)
            cache.local_scan += scan
        if needzero and self.memory.pages:
            self.memory.zero(v, size)
        if self.watched is not None:
            self.watched.allocated(v, None if noscan else typ, data_size)

        if gc.phase != OFF:
            gc.mark_new(v, size, scan)
        if self.mem_profile_rate > 0:
            self._sample(cache, v, size, typ)
        if assist:
            cache.assist_bytes -= size - data_size
        self.last_flags = flags + "h" if fetched else flags
        if self.log_inputs:
            self.emit_malloc(asked, typ, needzero, cache, v)
        if fetched and gc.should_start():
            self.start_collection(BACKGROUND)
        return v

    def _sample(self, cache: MCache, v: int, size: int, typ: Type | None) -> None:
        """Counts an object on the way to the next sample of the heap's profile, or takes it as that."""
        # Counted in 32 bits: sizes of 2 GB and more are below zero there.
        counted = _int32(size)
        if size < self.mem_profile_rate and counted < cache.next_sample:
            cache.next_sample = _int32(cache.next_sample - counted)
        else:
            cache.next_sample = self.next_sample()
            self.specials.profile(v, size, typ.name if typ else "")

    def _object(self, cache: MCache, sizeclass: int) -> tuple[int, bool]:
        cached = cache.alloc[sizeclass]
        v = cached.next
        if v != cached.end:
            cached.next = v + cached.size
            return v, False
        return cache.next_free(sizeclass)

    def _clear_first_word(self, cached: CachedSpan, v: int) -> None:
        bits = cached.bits
        if bits is not None:
            word = (v - cached.base) >> self.word_shift
            bits[word >> 2] &= ~(0x11 << (word & 3))

    def open_bits(self, cached: CachedSpan) -> bytearray:
        """Gives a cached span a bitmap that can be written."""
        bits = cached.bits = self.open_bits_of(cached.span)
        return bits

    def open_bits_of(self, s: int) -> bytearray:
        """The bitmap of a span of a size class, as one that can be written."""
        bits = self.spans.bits[s]
        if type(bits) is not bytearray:
            npages = self.spans.npages[s]
            n = (npages << self.config.page_shift) // self.config.heap_bitmap_scale
            bits = bytearray((bits,)) * n if bits else bytearray(n)  # type: ignore[arg-type]
            self.spans.bits[s] = bits
        return bits

    def _large(self, size: int) -> int:
        """A span for one object of more than 32 KB (largeAlloc)."""
        config = self.config
        if (size + config.page_size) & self.word < size:
            raise Throw("out of memory")
        npages = (size + config.page_size - 1) >> config.page_shift
        if self.sweeper.pages_per_byte:
            self.sweeper.deduct_credit((npages << config.page_shift) & self.word, npages)
        s = self.heap.alloc(npages, 0, True)
        if s < 0:
            raise Throw("out of memory")
        spans = self.spans
        spans.limit[s] = spans.base[s] + size
        self.init_span(s)
        spans.free_index[s] = 1
        spans.alloc_count[s] = 1
        return s

    def plan(self, typ: Type, size: int, data_size: int | None = None) -> Plan:
        """How an object of `size` bytes with pointers is laid out. Raises BadType for an impossible type."""
        key = typ, size
        plan = self.plans.get(key)
        if plan is not None:
            return plan
        config = self.config
        ptr = config.ptr_size
        if data_size is None:
            data_size = config.sizeof_defer if typ.is_defer else size
        if not 0 < typ.size <= data_size <= size:
            raise BadType(f"{size} bytes do not hold {typ.name or 'a type'} of {typ.size} bytes")
        if not 0 < typ.ptrdata <= typ.size or typ.size % ptr or typ.ptrdata % ptr:
            raise BadType(f"{typ.name or 'a type'} of {typ.size} bytes cannot have pointers in {typ.ptrdata}")
        # The pointers of an array end in its last element.
        scan = data_size - typ.size + typ.ptrdata
        if size <= config.max_small_size:
            sizeclass = self.class_of[size]
            try:
                mark = stamp(typ, data_size, self.class_to_size[sizeclass], ptr)
            except Throw as dead:
                self.printed.extend(dead.before)
                raise
        else:
            sizeclass = 0
            mark = Stamp(NOTHING)
            mask_of(typ, ptr)
            if pointer_words(typ, data_size, ptr) <= 0:
                raise Throw("heapBitsSetType: called with non-pointer type")
        plan = self.plans[key] = Plan(sizeclass, mark, scan, data_size)
        return plan

    def _quicken(self, typ: Type, size: int) -> None:
        """Has `malloc` go the short way from the third object of a type and size on."""
        plan = self.plans.get((typ, size))
        if plan is not None and plan.sizeclass:
            self.quick_plans[typ if size == typ.size else (typ, size)] = quick_plan(plan)

    # The compiler's and reflect's ways in.

    def newobject(self, typ: Type, p: int = 0) -> int:
        """One value of the type (newobject, reflect.unsafe_New)."""
        return self.malloc(typ.size, typ, p=p) if not typ.noscan else self.mallocgc(typ.size, typ, True, p)

    def newarray(self, typ: Type, n: int, p: int = 0) -> int:
        """n values of the type (newarray, reflect.unsafe_NewArray). GoPanic where no slice is so long."""
        if n < 0 or n > self.max_slice_cap(typ.size):
            raise GoPanic("runtime: allocation size out of range")
        return self.mallocgc(typ.size * n, typ, True, p)

    def max_slice_cap(self, elem_size: int) -> int:
        """The longest slice of such elements (maxSliceCap, slice.go)."""
        if elem_size == 0:
            return self.config.uintptr_mask
        return self.config.max_mem // elem_size


def _int32(n: int) -> int:
    """n as Go's int32 conversion leaves it."""
    return (n + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
