"""memstats: the heap's own counters, and what runtime.ReadMemStats makes of all (mstats.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore

BY_SIZE = 61  # MemStats.BySize stayed this long when the classes became 68


class HeapStats:
    """heapStatsDelta, summed over all Ps: bytes of memory, then counts and bytes of objects."""

    __slots__ = (
        "committed", "in_heap", "in_stacks", "in_work_bufs", "large_alloc", "large_allocs", "large_free",
        "large_frees", "released", "small_allocs", "small_frees", "tiny_allocs",
    )  # fmt: skip

    def __init__(self, classes: int) -> None:
        self.committed = 0
        self.released = 0
        self.in_heap = 0
        self.in_stacks = 0
        self.in_work_bufs = 0
        self.tiny_allocs = 0
        self.large_alloc = 0
        self.large_allocs = 0
        self.large_free = 0
        self.large_frees = 0
        self.small_allocs = [0] * classes
        self.small_frees = [0] * classes


def total_mapped(core: HeapCore) -> int:
    """All memory that the runtime has from the system: MemStats.Sys."""
    return sum(core.stats.bytes.values()) + core.heap_stats.in_stacks + core.heap_stats.in_work_bufs


def memstats(core: HeapCore) -> dict[str, Any]:
    """runtime.ReadMemStats, under MemStats' own names, recounted as it recounts: a throw where sums differ.

    As there, the caches are flushed first. Fields that need a clock are zero.
    """
    for p in core.ps:
        p.mcache.release_all()
        core.stack_heap.clear_cache(p.mcache)
    stats, counted, pacer = core.stats.bytes, core.heap_stats, core.pacer
    sizes = core.config.size_classes.class_to_size
    total_alloc = counted.large_alloc + _bytes(counted.small_allocs, sizes)
    total_free = counted.large_free + _bytes(counted.small_frees, sizes)
    mallocs = counted.large_allocs + sum(counted.small_allocs) + counted.tiny_allocs
    frees = counted.large_frees + sum(counted.small_frees) + counted.tiny_allocs
    mapped = total_mapped(core)
    _recount(core, total_alloc, total_free, mapped)
    return {
        "Alloc": total_alloc - total_free,
        "TotalAlloc": total_alloc,
        "Sys": mapped,
        "Lookups": 0,
        "Mallocs": mallocs,
        "Frees": frees,
        "HeapAlloc": total_alloc - total_free,
        "HeapSys": stats["heap_in_use"] + stats["heap_free"] + stats["heap_released"],
        "HeapIdle": stats["heap_free"] + stats["heap_released"],
        "HeapInuse": stats["heap_in_use"],
        "HeapReleased": stats["heap_released"],
        "HeapObjects": mallocs - frees,
        "StackInuse": counted.in_stacks,
        "StackSys": counted.in_stacks + stats["stacks_sys"],
        "MSpanInuse": core.heap.spanalloc.inuse,
        "MSpanSys": stats["mspan_sys"],
        "MCacheInuse": core.cachealloc.inuse,
        "MCacheSys": stats["mcache_sys"],
        "BuckHashSys": stats["buckhash_sys"],
        "GCSys": stats["gc_misc_sys"] + counted.in_work_bufs,
        "OtherSys": stats["other_sys"],
        "NextGC": pacer.heap_goal,
        "LastGC": 0,
        "PauseTotalNs": 0,
        "NumGC": core.num_gc,
        "NumForcedGC": core.num_forced_gc,
        "GCCPUFraction": 0.0,
        "EnableGC": True,
        "DebugGC": False,
        "BySize": [
            {"Size": sizes[i], "Mallocs": counted.small_allocs[i], "Frees": counted.small_frees[i]}
            for i in range(BY_SIZE)
        ],
    }


def _bytes(counts: list[int], sizes: tuple[int, ...]) -> int:
    return sum(n * size for n, size in zip(counts, sizes, strict=True))


def _recount(core: HeapCore, total_alloc: int, total_free: int, mapped: int) -> None:
    """The checks of readmemstats_m: two ways of counting have to agree."""
    for what, one, other in recounts(core, total_alloc, total_free, mapped):
        if one != other:
            raise Throw(
                f"{what} are not equal", f"runtime: global value={one}", f"runtime: consistent value={other}"
            )


def recounts(core: HeapCore, total_alloc: int, total_free: int, mapped: int) -> list[tuple[str, int, int]]:
    """What is counted in two ways: its name, one sum, the other."""
    stats, counted, pacer = core.stats.bytes, core.heap_stats, core.pacer
    return [
        ("heapInUse and consistent stats", stats["heap_in_use"], counted.in_heap),
        ("heapReleased and consistent stats", stats["heap_released"], counted.released),
        (
            "measures of the retained heap",
            core.heap_retained(),
            counted.committed - counted.in_stacks - counted.in_work_bufs,
        ),
        ("totalAlloc and consistent stats", pacer.total_alloc, total_alloc),
        ("totalFree and consistent stats", pacer.total_free, total_free),
        ("mappedReady and other memstats", core.stats.mapped_ready, mapped - stats["heap_released"]),
    ]
