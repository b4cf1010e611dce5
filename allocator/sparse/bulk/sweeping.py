"""Sweeping spans that have no records, many at a time.

A span that keeps an object only changes its bits and its generation, takes new mark bits, and goes to the
set of full spans or of those with room. None of that needs a record. A span that goes back to the heap, has
to ask for memory, or has a record is swept by itself, in its turn.
"""

from __future__ import annotations

from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.sparse.bulk.full_spans import FullSpans

if TYPE_CHECKING:
    from allocator.sparse.heap_bits import SpanLayout
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.mcentral import MCentral
    from allocator.sparse.span_set import SpanSet

Ints = np.ndarray[Any, np.dtype[Any]]


def sweep_rows(core: HeapCore) -> None:
    """Sweeps until nothing is on the unswept lists, with the effect of as many calls of sweepone."""
    sweeper = core.sweeper
    for at in range(sweeper.central_index, 2 * len(core.central)):
        central = core.central[at >> 1]
        unswept = central.partial_unswept() if at & 1 else central.full_unswept()
        while unswept.spans:
            n = _sweep(core, central, unswept)
            if n > 0:
                sweeper.central_index = at
                continue
            for _ in range(max(-n, 1)):
                sweeper.sweepone()


def _sweep(core: HeapCore, central: MCentral, unswept: SpanSet) -> int:
    """Sweeps spans from the first of the set on for which nothing has to be asked for; how many.

    0 where the first has to be swept by itself, less where as many go back to the heap.
    """
    heap, bits = core.heap, core.gc_bits
    layout = core.layout[central.spanclass]
    nelems = layout.nelems
    need = (nelems + 63 >> 6) << 3
    most = unswept.block_entries - 1 - unswept.head % unswept.block_entries  # until a block is free
    most = min(most, (bits.capacity - bits.next_free) // need if bits.next else 0)
    row, numbers = heap.allspans.of_one_row(islice(unswept.spans, most))
    if not isinstance(row, FullSpans):
        return 0
    places = row.places(numbers)
    kept, had = row.marked[places], row.allocated[places]
    whole = kept == nelems
    good = (row.sweepgen[places] == heap.sweepgen - 2) & (kept > 0) & (kept <= had)
    full, partial = central.full_swept(), central.partial_swept()
    for to, those in ((partial, ~whole), (full, whole)):
        good &= those.cumsum() <= to.block_entries * len(to.blocks) - to.tail
    n = len(good) if good.all() else int(good.argmin())
    if not n:
        return -len(kept) if not kept.any() else -int((kept > 0).argmax())
    places, whole, freed = places[:n], whole[:n], (had - kept)[:n]
    popleft = unswept.spans.popleft
    for _ in repeat(None, n):
        popleft()
    unswept.head += n
    _free(row, layout, places, freed)
    row.allocated[places] = kept[:n]
    row.sweepgen[places] = heap.sweepgen
    heap.pages_swept += n * layout.npages
    bits.next_free += n * need
    names = np.array(numbers[:n])
    for to, those in ((partial, ~whole), (full, whole)):
        to.tail += int(np.count_nonzero(those))
        to.spans.extend(names[those].tolist())
    lost = int(freed.sum())
    core.heap_stats.small_frees[central.spanclass >> 1] += lost
    core.pacer.total_free += lost * layout.elemsize
    return n


def _free(row: FullSpans, layout: SpanLayout, places: Ints, freed: Ints) -> None:
    """What is marked in spans of a row is what they have from now on; so many objects of each are freed."""
    core, left = row.core, row.left
    fewer = places[freed > 0]
    row.dirty.update(fewer.tolist())
    if core.freed is not None:
        stale, every = core.gc.stale, (1 << layout.nelems) - 1
        gone = [
            (base, left.get(k, every) & ~row.marks[k])
            for k, base in zip(fewer.tolist(), row.base[fewer].tolist(), strict=True)
            if stale is None or base in stale
        ]
        if gone:
            core.freed.setdefault((layout.elemsize, layout.nelems, layout.npages), []).extend(gone)
    swept = places.tolist()
    left.update(zip(swept, map(row.marks.pop, swept), strict=True))
    row.marked[places] = 0
