"""The machine as a recording ends: its totals (Z), every span (Zs), the pointer bits of those in use (Zb)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from allocator.contiguous.own_records import SPAN_AT_END

if TYPE_CHECKING:
    from allocator.contiguous.core import Core
    from allocator.contiguous.runtime import Runtime

BITMAP_BYTES = 4096  # of one span
BITMAP_SPANS = 600


def span_lines(rt: Core) -> list[str]:
    """The Zs records, in allspans order; the caches must be synced."""
    spans = rt.spans
    columns = (
        spans.base, spans.npages, spans.state, spans.sizeclass, spans.nelems, spans.alloc_count,
        spans.free_index, spans.needzero, spans.npreleased, spans.sweepgen, spans.elemsize, spans.limit,
        spans.self_addr,
    )  # fmt: skip
    return [SPAN_AT_END % fields for fields in zip(*columns, strict=True)]


def totals_at_end(rt: Core) -> dict[str, Any]:
    """The Z record's values."""
    heap, stats = rt.heap, rt.stats
    return {
        "arena_start": heap.arena_start,
        "arena_used": heap.arena_used,
        "arena_end": heap.arena_end,
        "bitmap": heap.bitmap,
        "bitmap_mapped": heap.bitmap_mapped,
        "heap_live": stats.heap_live,
        "heap_scan": stats.heap_scan,
        "gc_trigger": stats.gc_trigger,
        "next_gc": stats.next_gc,
        "pages_in_use": heap.pages_in_use,
        "sweepgen": heap.sweepgen,
    }


def end_state(rt: Runtime, whole: bool = True) -> Iterator[str]:
    """All of it, as a recording has it; of one that died in the middle of something only the totals."""
    rt.sync_caches()
    yield f"Z {json.dumps(totals_at_end(rt))}"
    if not whole:
        return
    yield from span_lines(rt)
    for s in rt.in_use()[:BITMAP_SPANS]:
        yield f"Zb {rt.spans.base[s]:x} {rt.bitmap(s, BITMAP_BYTES).hex()}"
