"""Sweeping many spans at once, where nothing in them died.

A span that keeps all its objects only changes its bits and its generation, takes new mark bits and
is pushed on the stack of swept spans. Those are done in rows; whatever frees, is observed, or has
to ask for memory is done by the sweeper itself, in its turn.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.contiguous.bulk.marking import column
from allocator.contiguous.mspan import IN_USE

if TYPE_CHECKING:
    from array import array

    from allocator.contiguous.core import Core

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 14  # spans looked at together


def sweep_all(rt: Core) -> None:
    """Sweeps until nothing is unswept, as calling sweepone so often would."""
    if rt.log is not None:
        return
    unswept = rt.sweep_spans.unswept
    sweepone = rt.sweeper.sweepone
    while unswept:
        ids = unswept[: -AT_ONCE - 1 : -1]
        quiet = _quiet(rt, ids)
        left = len(unswept)
        edges = [0, *(np.flatnonzero(np.diff(quiet)) + 1).tolist(), len(ids)]
        for a, b in pairwise(edges):
            # sweepone passes over spans that want no sweeping, so it may have gone further.
            a = max(a, left - len(unswept))
            if a < b and quiet[a]:
                _sweep(rt, ids[a:b])
            while left - len(unswept) < b:
                sweepone()


def _quiet(rt: Core, ids: array[int]) -> Ints:
    """Which of the spans want sweeping and keep every object that is in them."""
    spans = rt.spans
    marks, specials = spans.mark_bits, spans.specials
    which = np.array(ids, np.int64)
    kept = np.array([marks[s].bit_count() for s in ids], np.int64)
    plain = np.array([not specials[s] for s in ids], bool)
    quiet: Ints = plain & (column(spans.alloc_count)[which] == kept)
    quiet &= (column(spans.state)[which] == IN_USE) & (column(spans.sweepgen)[which] == rt.heap.sweepgen - 2)
    # A large object that is not marked goes back to the heap, were it never counted as allocated.
    quiet &= (column(spans.sizeclass)[which] != 0) | (kept == column(spans.nelems)[which])
    return quiet


def _sweep(rt: Core, ids: array[int]) -> None:
    """Sweeps such spans, which are the top of the stack; the first in `ids` is the topmost."""
    spans, arenas, sweeper = rt.spans, rt.arenas, rt.sweeper
    swept = rt.sweep_spans.bufs[rt.heap.sweepgen // 2 % 2]
    unswept = rt.sweep_spans.unswept
    places = rt.config.sweep_block_entries
    need = (column(spans.nelems)[ids] + 63) // 64 * 8
    bits = [0, *np.cumsum(need).tolist()]
    i = 0
    while i < len(ids):
        stop = min(len(ids), i + swept.blocks * places - len(swept.spans))
        if arenas.next:
            stop = min(stop, bisect_right(bits, bits[i] + arenas.capacity - arenas.next_free) - 1)
        else:
            stop = i
        if stop <= i:
            # This one wants memory for its bits or its place.
            sweeper.sweepone()
            i += 1
            continue
        row = ids[i:stop]
        which = np.array(row, np.int64)
        sweeper.pages_swept += int(column(spans.npages)[which].sum())
        column(spans.free_index)[which] = 0
        column(spans.sweepgen)[which] = rt.heap.sweepgen
        alloc_bits, mark_bits = spans.alloc_bits, spans.mark_bits
        for s in row:
            alloc_bits[s] = mark_bits[s]
            mark_bits[s] = 0
        arenas.next_free += bits[stop] - bits[i]
        del unswept[len(unswept) - len(row) :]
        swept.spans.extend(row)
        i = stop
