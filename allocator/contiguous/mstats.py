"""memstats: the counters, under mstats' own names while the machine runs (mstats.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allocator.contiguous.mspan import IN_USE

if TYPE_CHECKING:
    from allocator.contiguous.core import Core

BY_SIZE = 61  # MemStats.BySize stayed this long when the classes became 67


class MStats:
    """The runtime's memstats. Bytes, except the counts. `gc_*` and pauses need a clock and are left out."""

    __slots__ = (
        "buckhash_sys", "enablegc", "gc_sys", "gc_trigger", "heap_idle", "heap_inuse", "heap_live",
        "heap_marked", "heap_objects", "heap_released", "heap_scan", "heap_sys", "largefree", "mcache_sys",
        "mspan_sys", "next_gc", "nlargefree", "nlookup", "nsmallfree", "numforcedgc", "numgc", "other_sys",
        "size_by_class", "stacks_inuse", "stacks_sys", "tinyallocs",
    )  # fmt: skip

    def __init__(self, num_size_classes: int) -> None:
        self.heap_sys = 0
        self.heap_idle = 0
        self.heap_inuse = 0
        self.heap_released = 0
        self.heap_objects = 0
        self.stacks_inuse = 0
        self.stacks_sys = 0
        self.mspan_sys = 0
        self.mcache_sys = 0
        self.buckhash_sys = 0
        self.gc_sys = 0
        self.other_sys = 0
        self.next_gc = 0
        self.numgc = 0
        self.numforcedgc = 0
        self.enablegc = False
        self.tinyallocs = 0
        self.nlookup = 0
        self.gc_trigger = 0
        self.heap_live = 0
        self.heap_scan = 0
        self.heap_marked = 0
        # mheap keeps these four; they only ever feed memstats.
        self.largefree = 0
        self.nlargefree = 0
        self.nsmallfree = [0] * num_size_classes
        # memstats.by_size[i].size, copied out by mallocinit.
        self.size_by_class = [0] * num_size_classes


def memstats(rt: Core) -> dict[str, Any]:
    """runtime.ReadMemStats: counts every span again and returns the result under MemStats' names.

    As there, the caches are flushed first. Fields that need a clock are zero.
    """
    for cache in rt.caches:
        rt.flush_cache(cache)
    for cache in rt.caches:
        rt.purge_cached_stats(cache)
    stats, spans = rt.stats, rt.spans
    sizes = rt.class_to_size
    mallocs = [0] * len(sizes)
    large = alloc = 0
    for s, state in enumerate(spans.state):
        if state == IN_USE:
            sizeclass = spans.sizeclass[s]
            if sizeclass:
                mallocs[sizeclass] += spans.alloc_count[s]
                alloc += spans.alloc_count[s] * spans.elemsize[s]
            else:
                large += 1
                alloc += spans.elemsize[s]
    frees = stats.nsmallfree
    nfree = stats.nlargefree + sum(frees) + stats.tinyallocs
    nmalloc = large + sum(mallocs) + nfree
    stats.heap_objects = nmalloc - nfree
    small_freed = sum(n * size for n, size in zip(frees, sizes, strict=True))
    return {
        "Alloc": alloc,
        "TotalAlloc": alloc + stats.largefree + small_freed,
        "Sys": stats.heap_sys + stats.stacks_sys + stats.mspan_sys + stats.mcache_sys
        + stats.buckhash_sys + stats.gc_sys + stats.other_sys,
        "Lookups": stats.nlookup,
        "Mallocs": nmalloc,
        "Frees": nfree,
        "HeapAlloc": alloc,
        "HeapSys": stats.heap_sys - stats.stacks_inuse,
        "HeapIdle": stats.heap_idle,
        "HeapInuse": stats.heap_inuse - stats.stacks_inuse,
        "HeapReleased": stats.heap_released,
        "HeapObjects": stats.heap_objects,
        "StackInuse": stats.stacks_inuse,
        "StackSys": stats.stacks_sys + stats.stacks_inuse,
        "MSpanInuse": rt.spanalloc.inuse,
        "MSpanSys": stats.mspan_sys,
        "MCacheInuse": rt.cachealloc.inuse,
        "MCacheSys": stats.mcache_sys,
        "BuckHashSys": stats.buckhash_sys,
        "GCSys": stats.gc_sys,
        "OtherSys": stats.other_sys,
        "NextGC": stats.next_gc,
        "LastGC": 0,
        "PauseTotalNs": 0,
        "NumGC": stats.numgc,
        "NumForcedGC": stats.numforcedgc,
        "GCCPUFraction": 0.0,
        "EnableGC": stats.enablegc,
        "DebugGC": False,
        "BySize": [
            {"Size": size, "Mallocs": mallocs[i] + frees[i], "Frees": frees[i]}
            for i, size in enumerate(stats.size_by_class[:BY_SIZE])
        ],
    }  # fmt: skip
