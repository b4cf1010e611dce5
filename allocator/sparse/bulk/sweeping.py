"""Sweeping spans that have no records, many at a time.

A span that keeps an object only changes its bits and its generation, takes new mark bits, and goes to the
set of full spans or of those with room. None of that needs a record. A span that goes back to the heap, has
to ask for memory, or has a record is swept by itself, in its turn.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from allocator.sparse.bulk.full_spans import FullSpans

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.mcentral import MCentral
    from allocator.sparse.span_set import SpanSet


def sweep_rows(core: HeapCore) -> None:
    """Sweeps until nothing is on the unswept lists, with the effect of as many calls of sweepone."""
    sweeper = core.sweeper
    for at in range(sweeper.central_index, 2 * len(core.central)):
        central = core.central[at >> 1]
        unswept = central.partial_unswept() if at & 1 else central.full_unswept()
        while unswept.spans:
            if _sweep(core, central, unswept):
                sweeper.central_index = at
            else:
                sweeper.sweepone()


def _sweep(core: HeapCore, central: MCentral, unswept: SpanSet) -> int:
    """Sweeps spans from the first of the set on for which nothing has to be asked for; how many."""
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
    waiting = row.sweepgen[places] == heap.sweepgen - 2
    if not waiting.all():
        numbers = numbers[: int(waiting.argmin())]
    every, left, marks = (1 << nelems) - 1, row.left, row.marks
    full, partial = central.full_swept(), central.partial_swept()
    room = [each.block_entries * len(each.blocks) - each.tail for each in (partial, full)]
    swept: tuple[list[int], list[int]] = ([], [])
    freed: list[tuple[int, int]] = []
    lost = n = 0
    for number, k, base in zip(numbers, places.tolist(), row.base[places].tolist(), strict=False):
        kept = marks.get(k, 0)
        had = left.get(k, every)
        whole = kept == every
        if not kept or kept & ~had or len(swept[whole]) == room[whole]:
            break
        if kept != had:
            gone = had & ~kept
            freed.append((base, gone))
            lost += gone.bit_count()
            row.dirty.add(k)
        left[k] = kept
        del marks[k]
        swept[whole].append(number)
        n += 1
    for _ in range(n):
        unswept.spans.popleft()
    unswept.head += n
    row.sweepgen[places[:n]] = heap.sweepgen
    heap.pages_swept += n * layout.npages
    bits.next_free += n * need
    for to, those in zip((partial, full), swept, strict=True):
        to.tail += len(those)
        to.spans.extend(those)
    core.heap_stats.small_frees[central.spanclass >> 1] += lost
    core.pacer.total_free += lost * layout.elemsize
    if freed and core.freed is not None:
        core.freed.setdefault((layout.elemsize, nelems, layout.npages), []).extend(freed)
    return n
