"""Every throw, panic, exit and error print that the model has, reached.

Where only overwritten memory leads there, the test overwrites the model's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest

from allocator.common.sizeclasses import compute
from allocator.common.types import KIND_GC_PROG, KIND_NO_POINTERS, Type
from allocator.contiguous.fixalloc import FixAlloc
from allocator.contiguous.gc import MARK, MARK_TERMINATION
from allocator.contiguous.mcache import MCache
from allocator.contiguous.mcentral import MCentral
from allocator.contiguous.mem import System
from allocator.contiguous.mheap import MHeap
from allocator.contiguous.mspan import FREE, STACK
from allocator.contiguous.runtime import Runtime
from allocator.contiguous.systems import new_system
from allocator.kernels.address_space import Range
from allocator.kernels.fault_plans import NthCall, Request, install
from allocator.kernels.machine import Machine
from allocator.kernels.system import ENOMEM, Answer, Errno
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.machines import config_of
from archcalc.machines.computer import system_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms

Reaches = Callable[..., AbstractContextManager[None]]

MB = 1 << 20


class Unborn(Runtime):
    """A machine that the test boots, so that what it printed can be read when it dies of that."""

    __slots__ = ()

    def __init__(
        self,
        platform: str,
        options: MachineOptions | None = None,
        sets: dict[str, int] | None = None,
        **changes: Any,
    ) -> None:
        computed = figures.compute(platforms.load(platform), sets)
        config = replace(config_of(computed, options), **changes)
        self.prepare(config, system_of(computed, options))

    def live(self) -> None:
        """Everything that a Runtime's constructor does."""
        self.start(-1, 1)


def span_of(rt: Runtime, addr: int) -> int:
    """The span of an object, its record brought up to date."""
    rt.sync_caches()
    return rt.heap.lookup(addr)


def free_span(rt: Runtime) -> int:
    """A free span of the page heap, on a list by its length."""
    return next(s for s in range(len(rt.spans)) if rt.spans.state[s] == FREE)


@pytest.fixture
def rt() -> Runtime:
    return boot("linux/amd64")


@pytest.fixture
def starved() -> Runtime:
    """On the last rung of the ladder, without any arena and without room for one."""
    return boot("linux/386", ulimit_v=280_000_000, image_size=MB)


# malloc.go and what mallocinit tests


def test_tables_that_disagree(reaches: Reaches) -> None:
    rt = Unborn("linux/amd64", tiny_size_class=3)
    with reaches("malloc.go:217", rt):
        rt.live()


def test_defer_pools_across_a_class_border(reaches: Reaches) -> None:
    rt = Unborn("linux/amd64", sizeof_defer=40)
    with reaches("panic.go:162", rt):
        rt.live()


def test_page_sizes_that_cannot_be(reaches: Reaches) -> None:
    rt = Unborn("linux/arm64", phys_page_size=0)
    with reaches("malloc.go:230", rt):
        rt.live()
    rt = Unborn("linux/arm64", phys_page_size=2048)
    with reaches("malloc.go:234", rt):
        rt.live()
    rt = Unborn("linux/arm64", phys_page_size=12288)
    with reaches("malloc.go:238", rt):
        rt.live()


def test_no_reservation_at_all(reaches: Reaches) -> None:
    rt = Unborn("linux/386", MachineOptions(ulimit_v=200 * MB))
    with reaches("malloc.go:352", rt):
        rt.live()


def test_an_arena_that_would_not_begin_on_a_page(reaches: Reaches) -> None:
    # One page more of arena is 256 bytes more of bitmap.
    rt = Unborn("linux/amd64", sets={"_MaxMem": (1 << 39) + 8191})
    with reaches("malloc.go:376", rt):
        rt.live()


def test_a_misaligned_arena(reaches: Reaches, rt: Runtime) -> None:
    rt.heap.arena_used += 4096
    with reaches("malloc.go:437", rt):
        rt.malloc(8)


def test_memory_out_of_the_bitmaps_reach(reaches: Reaches) -> None:
    rt = boot("linux/arm64", va_bits=36)
    with reaches("malloc.go:460", rt):
        while True:
            rt.malloc(16 * MB)


def test_a_count_that_does_not_fit_its_bits(reaches: Reaches, rt: Runtime) -> None:
    s = span_of(rt, rt.malloc(4096))
    rt.spans.alloc_count[s] = 0
    rt.malloc(4096)
    with reaches("malloc.go:523", rt):
        rt.malloc(4096)


def test_a_fetched_span_without_a_free_object(
    reaches: Reaches, rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    refill = MCache.refill

    def overwrite(cache: MCache, sizeclass: int) -> None:
        refill(cache, sizeclass)
        s = cache.alloc[sizeclass].span
        rt.spans.alloc_bits[s] = (1 << rt.spans.nelems[s]) - 1

    monkeypatch.setattr(MCache, "refill", overwrite)
    with reaches("malloc.go:535", rt):
        rt.malloc(4096)


def test_allocating_at_the_wrong_moment(reaches: Reaches, rt: Runtime) -> None:
    with rt.during_malloc(), reaches("malloc.go:591", rt):
        rt.malloc(8)
    rt.on_signal_stack = True
    rt.phase_changed()
    with reaches("malloc.go:594", rt):
        rt.malloc(8)
    rt.gc.phase = MARK_TERMINATION
    rt.phase_changed()
    with reaches("malloc.go:552", rt):
        rt.malloc(8)


def test_objects_that_are_too_large(reaches: Reaches) -> None:
    rt = boot("linux/386")
    with reaches("malloc.go:783", rt):
        rt.malloc((1 << 32) - 4096)
    with reaches("malloc.go:797", rt):
        rt.malloc(0xE0000000)


def test_arrays_that_are_too_long(reaches: Reaches, rt: Runtime) -> None:
    typ = Type(16, 0, KIND_NO_POINTERS, 8, b"", "T")
    with reaches("malloc.go:819", rt):
        rt.newarray(typ, -1)
    with reaches("malloc.go:819", rt):
        rt.newarray(typ, rt.max_slice_cap(16) + 1)


def test_persistent_memory_of_odd_kinds(reaches: Reaches, rt: Runtime) -> None:
    with reaches("malloc.go:925", rt):
        rt.persistent_alloc_outside(0, 8, "other_sys")
    with reaches("malloc.go:929", rt):
        rt.persistent_alloc_outside(8, 3, "other_sys")
    with reaches("malloc.go:932", rt):
        rt.persistent_alloc_outside(8, 16384, "other_sys")


def test_no_chunk_of_persistent_memory(reaches: Reaches, rt: Runtime) -> None:
    install(rt.system, NthCall("sysAlloc", 1, ENOMEM))
    with reaches("malloc.go:957", rt):
        for _ in range(5):
            rt.persistent_alloc_outside(60_000, 8, "other_sys")


# mheap.go


def test_no_room_for_the_list_of_spans(reaches: Reaches, rt: Runtime) -> None:
    # Backing for 8192 pointers, as large as an arena of mark bits, which comes after it.
    install(rt.system, Request("sysAlloc", None, 65536, ENOMEM))
    with reaches("mheap.go:279", rt):
        rt.malloc(8)


def test_no_room_for_mark_bits(reaches: Reaches, rt: Runtime) -> None:
    rt.stack_alloc(32768)
    install(rt.system, Request("sysAlloc", None, 65536, ENOMEM))
    with reaches("mheap.go:1416", rt):
        rt.malloc(8)


def test_a_span_on_a_free_list_that_is_not_free(reaches: Reaches, rt: Runtime) -> None:
    rt.malloc(8)
    rt.spans.state[free_span(rt)] = STACK
    with reaches("mheap.go:690", rt):
        rt.malloc(100_000)


def test_a_span_that_is_shorter_than_its_list(reaches: Reaches, rt: Runtime) -> None:
    rt.malloc(8)
    rt.spans.npages[free_span(rt)] = 1
    with reaches("mheap.go:693", rt):
        rt.malloc(100_000)


def test_the_heap_cannot_grow(reaches: Reaches, starved: Runtime) -> None:
    with reaches("mheap.go:781", starved):
        starved.malloc(8)


def test_spans_freed_in_the_wrong_state(reaches: Reaches, rt: Runtime) -> None:
    stack = rt.heap.lookup(rt.stack_alloc(2048))
    with reaches("mheap.go:872", rt):
        rt.heap.free_stack(stack)
    used = span_of(rt, rt.malloc(4096))
    with reaches("mheap.go:877", rt):
        rt.heap.free_span(used, 0)
    with reaches("mheap.go:881", rt):
        rt.heap.free_span(free_span(rt), 0)


def test_lists_that_do_not_have_what_they_should(reaches: Reaches, rt: Runtime) -> None:
    s = span_of(rt, rt.malloc(100_000))
    with reaches("mheap.go:1050", rt):
        rt.heap.freelarge.remove(s)
    with reaches("mheap.go:1074", rt):
        rt.heap.freelarge.insert(s)
    with reaches("mheap.go:1092", rt):
        rt.heap.freelarge.insert_back(s)


def test_specials_of_no_object(reaches: Reaches, rt: Runtime) -> None:
    with reaches("mheap.go:1131", rt):
        rt.set_finalizer(8)
    with reaches("mheap.go:1179", rt):
        rt.clear_finalizer(8)


def test_an_object_sampled_twice(reaches: Reaches, rt: Runtime) -> None:
    p = rt.malloc(64)
    rt.specials.profile(p, 64, "here")
    with reaches("mheap.go:1293", rt):
        rt.specials.profile(p, 64, "here")


# mcentral.go, mcache.go, mfixalloc.go


def test_a_full_span_among_those_with_room(reaches: Reaches, rt: Runtime) -> None:
    first, _ = rt.malloc(4096), rt.malloc(4096)
    rt.collect([first])
    rt.spans.alloc_count[rt.heap.lookup(first)] = 2
    with reaches("mcentral.go:107", rt):
        rt.malloc(4096)


def test_an_empty_span_from_a_cache(reaches: Reaches, rt: Runtime) -> None:
    s = span_of(rt, rt.malloc(4096))
    rt.spans.alloc_count[s] = 0
    with reaches("mcentral.go:142", rt):
        rt.release_cache(rt.cache)


def test_a_cached_span_is_swept(reaches: Reaches, rt: Runtime) -> None:
    s = span_of(rt, rt.malloc(4096))
    rt.release_cache(rt.cache)
    rt.spans.in_cache[s] = True
    with reaches("mcentral.go:167", rt):
        rt.collect([])


def test_a_span_to_keep_that_is_on_no_list(reaches: Reaches, rt: Runtime) -> None:
    s = span_of(rt, rt.malloc(4096))
    rt.release_cache(rt.cache)
    central = rt.central[rt.spans.sizeclass[s]]
    central.nonempty.remove(s)
    with reaches("mcentral.go:175", rt):
        central.free_span(s, True, False)


def test_a_refill_too_early(reaches: Reaches, rt: Runtime) -> None:
    s = span_of(rt, rt.malloc(4096))
    with reaches("mcache.go:114", rt):
        rt.cache.refill(rt.spans.sizeclass[s])


def test_no_span_for_small_objects(reaches: Reaches, starved: Runtime) -> None:
    with reaches("mcache.go:124", starved):
        starved.malloc(8)


def test_a_full_span_from_the_central_list(
    reaches: Reaches, rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_span = MCentral.cache_span

    def overwrite(central: MCentral) -> int:
        s = cache_span(central)
        rt.spans.alloc_count[s] = rt.spans.nelems[s]
        return s

    monkeypatch.setattr(MCentral, "cache_span", overwrite)
    with reaches("mcache.go:128", rt):
        rt.malloc(4096)


def test_an_allocator_that_was_never_set_up(reaches: Reaches, rt: Runtime) -> None:
    with reaches("mfixalloc.go:67", rt):
        FixAlloc(rt, 0, "other_sys").alloc()


# mgcsweep.go, mbitmap.go, msize.go


def test_a_freed_span_among_the_unswept(reaches: Reaches, rt: Runtime) -> None:
    s = span_of(rt, rt.malloc(100_000))
    rt.collect(True, mode="force")
    rt.spans.state[s] = FREE
    with reaches("mgcsweep.go:102", rt):
        while True:
            rt.sweepone()


def test_a_span_that_nobody_took_for_sweeping(reaches: Reaches, rt: Runtime) -> None:
    s = span_of(rt, rt.malloc(4096))
    with reaches("mgcsweep.go:177", rt):
        rt.sweeper.sweep(s, False)


def test_more_marks_than_objects(reaches: Reaches, rt: Runtime) -> None:
    s = span_of(rt, rt.malloc(4096))
    rt.collect(True, mode="force")
    rt.spans.alloc_count[s] = 0
    with reaches("mgcsweep.go:288", rt):
        rt.sweepone()


def test_sweep_credit_below_zero(reaches: Reaches, rt: Runtime) -> None:
    rt.set_sweep_ratio(1.0)
    with reaches("mgcsweep.go:409", rt):
        rt.sweeper.reimburse_credit(1)


def test_a_free_index_beyond_the_objects(reaches: Reaches, rt: Runtime) -> None:
    s = span_of(rt, rt.malloc(4096))
    rt.spans.free_index[s] = rt.spans.nelems[s] + 1
    with reaches("mbitmap.go:224", rt):
        rt.spans.first_free(s)


def test_a_span_beyond_the_arena(reaches: Reaches) -> None:
    rt = boot("android/arm", taken=[(0x400000, 0x500000)])
    objects = [rt.malloc(MB) for _ in range(532)]
    assert rt.heap.arena_used < objects[0]
    rt.collect([])
    with reaches("mbitmap.go:377", rt):
        rt.malloc(30 * MB)


def test_a_pointer_to_a_free_span(reaches: Reaches, rt: Runtime) -> None:
    p = rt.malloc(8, noscan=False)
    rt.store(p, rt.spans.base[free_span(rt)])
    with reaches("mbitmap.go:433", rt):
        rt.collect(roots=[p])


def test_gc_programs_that_are_wrong(reaches: Reaches, rt: Runtime) -> None:
    kind = 25 | KIND_GC_PROG
    with reaches("mbitmap.go:1391", rt):
        rt.malloc(48, Type(48, 48, kind, 8, bytes([6, 0x3F, 0]), "T"))
    with reaches("mbitmap.go:1398", rt):
        rt.malloc(64, Type(64, 64, kind, 8, bytes([4, 0x0F, 0]), "T"))


def test_the_class_of_a_large_size(reaches: Reaches) -> None:
    with reaches("msize.go:26"):
        compute().size_to_class(32769)


# mem_*.go


def system(goos: str, call: str = "", answer: Answer = 0, taken: tuple[Range, ...] = ()) -> System:
    """An operating system that answers one kind of call as it is told."""
    made = new_system(goos, Machine(taken=taken), ptr_size=8)
    if call:
        install(made, Request(call, None, None, answer))
    return made


AT = 0xC000000000
TAKEN = (Range(AT, AT + 4096),)


def test_linux(reaches: Reaches) -> None:
    os = system("linux", "sysAlloc", Errno(13))
    with reaches("mem_linux.go:64", os):
        os.sys_alloc(4096, "other_sys")
    os = system("linux", "sysAlloc", Errno(11))
    with reaches("mem_linux.go:68", os):
        os.sys_alloc(4096, "other_sys")
    os = system("linux")
    with reaches("mem_linux.go:142", os):
        os.sys_unused(AT + 1, 4096)
    os = system("linux", "sysMap", ENOMEM)
    with reaches("mem_linux.go:216", os):
        os.sys_map(AT, 4096, False)
    with reaches("mem_linux.go:227", os):
        os.sys_map(AT, 4096, True)
    os = system("linux", taken=TAKEN)
    with reaches("mem_linux.go:220", os):
        os.sys_map(AT, 8192, False)
    with reaches("mem_linux.go:230", os):
        os.sys_map(AT + 1, 4096, True)


def test_the_bsds(reaches: Reaches) -> None:
    os = system("freebsd", "sysMap", ENOMEM)
    with reaches("mem_bsd.go:80", os):
        os.sys_map(AT, 4096, False)
    with reaches("mem_bsd.go:91", os):
        os.sys_map(AT, 4096, True)
    os = system("netbsd", taken=TAKEN)
    with reaches("mem_bsd.go:84", os):
        os.sys_map(AT, 4096, False)
    os = system("openbsd")
    with reaches("mem_bsd.go:94", os):
        os.sys_map(AT + 1, 4096, True)


def test_darwin(reaches: Reaches) -> None:
    os = system("darwin", "sysMap", ENOMEM)
    with reaches("mem_darwin.go:58", os):
        os.sys_map(AT, 4096, True)
    os = system("darwin")
    with reaches("mem_darwin.go:61", os):
        os.sys_map(AT + 1, 4096, True)


def test_windows(reaches: Reaches) -> None:
    os = system("windows")
    with reaches("mem_windows.go:52", os):
        os.sys_unused(AT, 8192)
    with reaches("mem_windows.go:74", os):
        os.sys_used(AT, 8192)
    with reaches("mem_windows.go:89", os):
        os.sys_free(AT, 4096)
    with reaches("mem_windows.go:116", os):
        os.sys_map(AT, 4096, True)


def test_a_crash_on_purpose(reaches: Reaches) -> None:
    os = system("linux", "sysFree", Errno(12))
    with reaches("signal_unix.go:274", os):
        os.sys_free(AT, 4096)


# mstats.go


def test_counters_that_wrap(reaches: Reaches) -> None:
    rt = boot("linux/386")
    rt.stats.heap_sys = 0xFFFFFFFF
    with reaches("mstats.go:668", rt):
        rt.stat_inc("heap_sys", 2)
    rt.stats.heap_sys = 1
    with reaches("mstats.go:682", rt):
        rt.stat_dec("heap_sys", 2)


# stack.go


def test_a_pool_that_is_not_whole_pages(reaches: Reaches) -> None:
    rt = Unborn("linux/amd64", stack_cache_size=20_000)
    with reaches("stack.go:162", rt):
        rt.live()


def test_no_memory_for_stacks(reaches: Reaches, starved: Runtime) -> None:
    with reaches("stack.go:191", starved):
        starved.stack_alloc(2048)
    with reaches("stack.go:403", starved):
        starved.stack_alloc(65536)


def test_a_fresh_stack_span_that_is_not_fresh(
    reaches: Reaches, rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    alloc_stack = MHeap.alloc_stack

    def counting(heap: MHeap, npages: int) -> int:
        s = alloc_stack(heap, npages)
        rt.spans.alloc_count[s] = 1
        return s

    def listing(heap: MHeap, npages: int) -> int:
        s = alloc_stack(heap, npages)
        rt.spans.stack_free[s] = [rt.spans.base[s]]
        return s

    monkeypatch.setattr(MHeap, "alloc_stack", counting)
    with reaches("stack.go:194", rt):
        rt.stack_alloc(2048)
    monkeypatch.setattr(MHeap, "alloc_stack", listing)
    with reaches("stack.go:197", rt):
        rt.stack_alloc(2048)


def test_a_pooled_span_without_a_stack(reaches: Reaches, rt: Runtime) -> None:
    s = rt.heap.lookup(rt.stack_alloc(2048, None))
    rt.spans.stack_free[s] = []
    with reaches("stack.go:208", rt):
        rt.stack_alloc(2048, None)


def test_stacks_that_are_none(reaches: Reaches, rt: Runtime) -> None:
    p = rt.malloc(100_000)
    with reaches("stack.go:223", rt):
        rt.stack_free(p, 2048, None)
    with reaches("stack.go:332", rt):
        rt.stack_alloc(3000)
    with reaches("stack.go:435", rt):
        rt.stack_free(p, 3000)
    with reaches("stack.go:480", rt):
        rt.stack_free(p, 65536)


# mprof.go, mgc.go


def test_no_memory_for_the_profile(reaches: Reaches) -> None:
    rt = boot("linux/amd64", mem_profile_rate=1)
    install(rt.system, Request("sysAlloc", None, rt.config.buck_hash_size * 8, ENOMEM))
    with reaches("mprof.go:153", rt):
        rt.malloc(4096)


def test_a_trigger_out_of_range(reaches: Reaches, rt: Runtime) -> None:
    p = rt.malloc(4096)
    rt.gc.trigger_ratio = 1e17
    with reaches("mgc.go:1710", rt):
        rt.collect([p])


def test_phases_out_of_order(reaches: Reaches, rt: Runtime) -> None:
    rt.malloc(8)
    rt.gc.phase = MARK
    with reaches("mgc.go:1751", rt):
        rt.gc._sweep_phase(0)
    rt.open_sweep_phase()
    with reaches("mgc.go:1761", rt):
        rt.open_sweep_phase()
