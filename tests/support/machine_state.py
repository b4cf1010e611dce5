"""All of a machine's state as plain data, so that two machines can be compared to the last bit."""

from __future__ import annotations

from typing import Any

from allocator.contiguous.mspan import IN_USE
from allocator.contiguous.runtime import Runtime

HEAP = (
    "arena_start", "arena_used", "arena_end", "arena_reserved", "bitmap_mapped", "spans_len", "pages_in_use",
    "sweepgen", "sweepdone", "free_mask", "busy_mask",
)  # fmt: skip
SWEEPER = ("pages_per_byte", "pages_swept", "span_bytes_alloc")
COLLECTOR = ("phase", "trigger_ratio", "scan_work", "bytes_marked", "heap_minimum", "bg_scan_credit")
COUNTERS = (
    "tiny", "tiny_offset", "local_tinyallocs", "local_scan", "next_sample", "local_nsmallfree",
    "local_largefree", "local_nlargefree", "assist_bytes",
)  # fmt: skip


def state_of(rt: Runtime) -> dict[str, Any]:
    """The state by name. The caches' spans are brought up to date for it."""
    rt.sync_caches()
    spans, heap = rt.spans, rt.heap
    ids = range(len(spans))
    numbers = {name: list(column) for name, column in _numbers(rt).items()}
    lists = [*heap.free, heap.freelarge, *heap.busy, heap.busylarge, *rt.stacks.pool, *rt.stacks.large]
    lists += [part for central in rt.central for part in (central.empty, central.nonempty)]
    arenas = rt.arenas
    fixed = (rt.spanalloc, rt.cachealloc, rt.specialprofilealloc, rt.specialfinalizeralloc)
    space = getattr(rt.kernel, "space", None)
    return {
        **numbers,
        "on_list": [lst and lst.name for lst in spans.on_list],
        "bits": [rt.bitmap(s) if spans.state[s] == IN_USE else None for s in ids],
        "specials": [_specials(rt, s) for s in ids],
        "buckets": {k: (b.addr, b.allocs, b.alloc_bytes, b.frees) for k, b in rt.specials.buckets.items()},
        "stats": {name: getattr(rt.stats, name) for name in rt.stats.__slots__},
        "heap": {name: getattr(heap, name) for name in HEAP},
        "sweeper": {name: getattr(rt.sweeper, name) for name in SWEEPER},
        "collector": {name: getattr(rt.gc, name) for name in COLLECTOR},
        "lists": [(lst.name, lst.first, lst.last) for lst in lists],
        "pages": {i: [c] * 128 if isinstance(c, int) else list(c) for i, c in heap.pages.chunks.items()},
        "sweep": [(list(buf.spans), buf.blocks, buf.spine_cap) for buf in rt.sweep_spans.bufs],
        "arenas": (arenas.free, arenas.next, arenas.current, arenas.previous, arenas.next_free),
        "fixalloc": [(list(f.free_list), f.chunk, f.nchunk, f.inuse) for f in fixed],
        "allspans": (rt.spanalloc.allspans_at, rt.spanalloc.allspans_cap),
        "persistent": dict(rt.persistent.chunks),
        "caches": [_cache(cache) for cache in rt.caches],
        "running": rt.cache.id,
        "rand": rt.rand.state,
        "space": None if space is None else list(space),
        "printed": list(rt.printed),
    }


def _numbers(rt: Runtime) -> dict[str, Any]:
    others = ("on_list", "bits", "specials", "stack_free")
    return {name: column for name, column in rt.spans.columns().items() if name not in others}


def _specials(rt: Runtime, s: int) -> list[Any]:
    found = rt.spans.specials[s] or []
    return [(r.addr, r.offset, r.kind, r.bucket and r.bucket.addr) for r in found]


def _cache(cache: Any) -> list[Any]:
    places = [(c.span, c.base, c.next, c.end, c.start, c.bits is None) for c in cache.alloc]
    for c in cache.alloc:
        if c.bits is not None:
            assert c.bits is cache.rt.spans.bits[c.span]
    return [*(getattr(cache, name) for name in COUNTERS), *places, cache.stack_lists]


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Where two states differ: the name, and the first places with both values."""
    found: list[tuple[Any, ...]] = []
    for name, x in a.items():
        y = b[name]
        if x == y:
            continue
        if isinstance(x, dict):
            where = [(k, x.get(k), y.get(k)) for k in sorted({*x, *y}, key=str) if x.get(k) != y.get(k)]
            found.append((name, where[:3]))
        elif isinstance(x, list):
            where = [(i, p, q) for i, (p, q) in enumerate(zip(x, y, strict=False)) if p != q]
            found.append((name, len(x), len(y), where[:3]))
        else:
            found.append((name, x, y))
    return found
