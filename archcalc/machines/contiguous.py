"""The machine of generations with one contiguous arena: its Config from the calculator's figures."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

from allocator.contiguous.config import Config
from allocator.contiguous.mem import System
from allocator.contiguous.runtime import Runtime
from allocator.kernels.fault_plans import install
from allocator.kernels.machine import Machine
from archcalc.calculator.figures import Figures, compute
from archcalc.machines.computer import system_name, system_of
from archcalc.profiles.profile import Profile

MACHINE = Runtime
HELPERS = True
system = system_of


@lru_cache(maxsize=256)
def config(figures: Figures, phys_page_size: int, data_end: int) -> Config:
    """The Config of a platform's figures."""
    if data_end != figures.profile.machine["data_end"]:
        # The ladder is asked for above the data segment: let it follow.
        figures = compute(figures.base, {**figures.sets, "fact.data_end": data_end}, figures.generation)
    constants = figures.constants
    sys = figures.sys
    engine = figures.engine

    def number(name: str) -> int:
        return int(constants[name])

    def size_of(name: str) -> int:
        return engine.struct(name).size

    layout = figures.layout
    is_64bit = int(sys["PtrSize"]) == 8
    return Config(
        platform=figures.profile.platform,
        goos=figures.profile.goos,
        ptr_size=int(sys["PtrSize"]),
        big_endian=bool(sys["BigEndian"]),
        cache_line_size=int(sys["CacheLineSize"]),
        phys_page_size=phys_page_size,
        data_end=data_end,
        page_shift=number("_PageShift"),
        heap_map_total_bits=number("_MHeapMap_TotalBits"),
        heap_map_bits=number("_MHeapMap_Bits"),
        max_mem=number("_MaxMem"),
        max_arena32=number("_MaxArena32"),
        heap_bitmap_scale=number("heapBitmapScale"),
        min_phys_page_size=number("minPhysPageSize"),
        fix_alloc_chunk=number("_FixAllocChunk"),
        max_mheap_list=number("_MaxMHeapList"),
        heap_alloc_chunk=number("_HeapAllocChunk"),
        grow_unit=int(figures.value("body.growUnit")),
        bitmap_chunk=int(figures.value("body.bitmapChunk")),
        max_gomaxprocs=number("_MaxGomaxprocs"),
        tiny_size=number("_TinySize"),
        tiny_size_class=number("_TinySizeClass"),
        max_small_size=number("_MaxSmallSize"),
        stack_cache_size=number("_StackCacheSize"),
        num_stack_orders=number("_NumStackOrders"),
        stack_cache=number("stackCache") != 0,
        fixed_stack=number("_FixedStack"),
        fin_block_size=number("_FinBlockSize"),
        gc_bits_chunk=number("gcBitsChunkBytes"),
        max_oblet_bytes=number("maxObletBytes"),
        sweep_block_entries=number("gcSweepBlockEntries"),
        sweep_buf_init_spine_cap=number("gcSweepBufInitSpineCap"),
        default_heap_minimum=number("defaultHeapMinimum"),
        sweep_min_heap_distance=number("sweepMinHeapDistance"),
        buck_hash_size=number("buckHashSize"),
        hints=tuple(hint.address for hint in layout.hints) if is_64bit else (),
        arena_size=layout.arena_size if is_64bit else 0,
        bitmap_size=layout.bitmap_size if is_64bit else 0,
        spans_size=layout.spans_size if is_64bit else 0,
        reservation_size=layout.reservation_size if is_64bit else 0,
        ladder=tuple(rung.arena_size for rung in layout.rungs),
        ladder_reservations=layout.ladder,
        ladder_bitmap_size=layout.rungs[0].bitmap_size,
        ladder_spans_size=layout.rungs[0].spans_size,
        ladder_hint=layout.rungs[0].hint.address,
        sizeof_mspan=size_of("mspan"),
        sizeof_mcache=size_of("mcache"),
        sizeof_specialfinalizer=size_of("specialfinalizer"),
        sizeof_specialprofile=size_of("specialprofile"),
        sizeof_defer=size_of("_defer"),
        sizeof_finalizer=size_of("finalizer"),
        sizeof_bucket=size_of("bucket"),
        sizeof_mem_record=size_of("memRecord"),
        gc_bits_header=number("gcBitsHeaderBytes"),
        min_defer_alloc=number("minDeferAlloc"),
        min_defer_args=number("minDeferArgs"),
        size_classes=figures.size_classes,
    )


def as_read(config: Config, system: System) -> tuple[object, ...]:
    """All of it, but for hints and rungs behind one that the system's helper always gives.

    Where sysReserve asks nobody (nacl; the BSDs for what is larger than 4 GB), the first is the last.
    """
    install(system, lambda call, v, n: system.refusal)
    wanted = [(hint, config.reservation_size) for hint in config.hints]
    wanted += [(config.ladder_hint, size) for size in config.ladder_reservations]
    given = (count for count, (v, n) in enumerate(wanted, 1) if system.sys_reserve(v, n)[0])
    asked = next(given, len(wanted))
    rungs = max(asked - len(config.hints), 0)
    read = replace(
        config,
        hints=config.hints[:asked],
        ladder=config.ladder[:rungs],
        ladder_reservations=config.ladder_reservations[:rungs],
        ladder_bitmap_size=config.ladder_bitmap_size if rungs else 0,
        ladder_spans_size=config.ladder_spans_size if rungs else 0,
        ladder_hint=config.ladder_hint if rungs else 0,
    )
    return tuple(getattr(read, field.name) for field in fields(read))


def unasked(config: Config) -> frozenset[str]:
    """None: a reservation is always asked for somewhere."""
    return frozenset()


def kernel_name(profile: Profile) -> str:
    """A port of the user's own has the kernel that its file of helpers is for."""
    return system_name(profile)


def kernel(config: Config, machine: Machine) -> Any:
    """None: helpers come between a machine and its kernel, and keep their own books."""
    return None


def hints(figures: Figures) -> list[tuple[int, int]]:
    """The hints of the one reservation; none where a ladder of smaller ones comes first."""
    layout = figures.layout
    return [(hint.address, layout.reservation_size) for hint in layout.hints] if layout.contiguous else []
