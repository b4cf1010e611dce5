"""Sweeping many spans at once, where something in them lives.

A span that keeps all its objects only changes its bits and its generation, takes new mark bits and
is pushed on the stack of swept spans. One that keeps some goes to the list of those that have room, too, and
what was stored in its dead objects is forgotten. Those are done in rows; whatever goes back to the heap, is
observed, or has to ask for memory is done by the sweeper itself, in its turn.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.forget import forget
from allocator.contiguous.bulk.marking import column
from allocator.contiguous.mspan import IN_USE, NIL

if TYPE_CHECKING:
    from array import array

    from allocator.contiguous.core import Core
    from allocator.contiguous.mspan import SpanList

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 14  # spans looked at together
FEW = 16  # spans that are moved to another list one by one


def sweep_all(rt: Core) -> None:
    """Sweeps until nothing is unswept, with the effect of as many calls of sweepone."""
    if rt.log is not None:
        return
    unswept = rt.sweep_spans.unswept
    sweepone = rt.sweeper.sweepone
    while unswept:
        ids = unswept[: -AT_ONCE - 1 : -1]
        kept = np.array([rt.spans.mark_bits[s].bit_count() for s in ids], np.int64)
        simple = _simple(rt, ids, kept)
        left = len(unswept)
        edges = [0, *(np.flatnonzero(np.diff(simple)) + 1).tolist(), len(ids)]
        for a, b in pairwise(edges):
            # sweepone passes over spans that need no sweeping, so it may have gone further.
            a = max(a, left - len(unswept))
            if a < b and simple[a]:
                _sweep(rt, ids[a:b], kept[a:b])
            while left - len(unswept) < b:
                sweepone()


def _simple(rt: Core, ids: array[int], kept: Ints) -> Ints:
    """Which of the spans need sweeping and stay spans, with so many objects in them that are marked."""
    spans = rt.spans
    specials, in_cache = spans.specials, spans.in_cache
    which = np.array(ids, np.int64)
    plain = np.array([not specials[s] and not in_cache[s] for s in ids], bool)
    count, nelems = column(spans.alloc_count)[which], column(spans.nelems)[which]
    plain &= (column(spans.state)[which] == IN_USE) & (column(spans.sweepgen)[which] == rt.heap.sweepgen - 2)
    plain &= column(spans.free_index)[which] <= nelems
    small = column(spans.sizeclass)[which] != 0
    # A large object that is not marked goes back to the heap, even if it was never counted as allocated.
    simple: Ints = plain & (count == kept) & (small | (kept == nelems))
    if rt.watched is None:
        simple |= plain & small & (kept > 0) & (kept < count)
    return simple


def _sweep(rt: Core, ids: array[int], kept: Ints) -> None:
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
            # This one needs memory for its bits or its place.
            sweeper.sweepone()
            i += 1
            continue
        row = ids[i:stop]
        which = np.array(row, np.int64)
        sweeper.pages_swept += int(column(spans.npages)[which].sum())
        freed = column(spans.alloc_count)[which] - kept[i:stop]
        fewer = np.flatnonzero(freed)
        if len(fewer):
            _count_free(rt, which[fewer], freed[fewer])
        column(spans.free_index)[which] = 0
        column(spans.sweepgen)[which] = rt.heap.sweepgen
        alloc_bits, mark_bits = spans.alloc_bits, spans.mark_bits
        for s in row:
            alloc_bits[s] = mark_bits[s]
            mark_bits[s] = 0
        if len(fewer) and rt.memory:
            _forget(rt, which[fewer])
        arenas.next_free += bits[stop] - bits[i]
        del unswept[len(unswept) - len(row) :]
        swept.spans.extend(row)
        i = stop


def _count_free(rt: Core, which: Ints, freed: Ints) -> None:
    """What MCentral.free_span does with spans that have lost some objects, but not all; not yet swept."""
    spans = rt.spans
    column(spans.alloc_count)[which] -= freed
    column(spans.needzero)[which] = 1
    local = rt.cache.local_nsmallfree
    classes = column(spans.sizeclass)[which]
    for sizeclass in np.unique(classes).tolist():
        local[sizeclass] += int(freed[classes == sizeclass].sum())
    full = column(spans.free_index)[which] == column(spans.nelems)[which]
    for i in np.flatnonzero(~full).tolist():
        s = int(which[i])
        full[i] = spans.first_free(s) == spans.nelems[s]
    for sizeclass in np.unique(classes[full]).tolist():
        central = rt.central[sizeclass]
        move(which[full & (classes == sizeclass)], central.empty, central.nonempty)


def move(which: Ints, old: SpanList, new: SpanList) -> None:
    """Takes spans off one list and puts each at the front of another."""
    spans = old.spans
    on_list = spans.on_list
    names = which.tolist()
    if len(names) < FEW or any(on_list[s] is not old for s in names):
        for s in names:
            old.remove(s)
            new.insert(s)
        return
    after, before = column(spans.next), column(spans.prev)
    # Where each run of them, in the old list's order, ends: found by going on twice as far each time.
    sort = np.argsort(which)
    ordered = which[sort]
    follower = after[which]
    at = np.minimum(np.searchsorted(ordered, follower), len(which) - 1)
    ends = np.where(ordered[at] == follower, sort[at], np.arange(len(which)))
    while not np.array_equal(further := ends[ends], ends):
        ends = further
    leader = before[which]
    at = np.minimum(np.searchsorted(ordered, leader), len(which) - 1)
    first = np.flatnonzero(ordered[at] != leader)
    left, right = leader[first], follower[ends[first]]
    for begin, end in zip(left.tolist(), right.tolist(), strict=True):
        if begin == NIL:
            old.first = end
        else:
            after[begin] = end
        if end == NIL:
            old.last = begin
        else:
            before[end] = begin
    before[which[:-1]] = which[1:]
    after[which[1:]] = which[:-1]
    before[names[-1]] = NIL
    after[names[0]] = new.first
    if new.first == NIL:
        new.last = names[0]
    else:
        before[new.first] = names[0]
    new.first = names[-1]
    for s in names:
        on_list[s] = new


def _forget(rt: Core, which: Ints) -> None:
    """Drops what was stored in objects that are free now, of spans that were just swept (Sweeper._forget)."""
    spans, stale = rt.spans, rt.gc.stale
    classes = column(spans.sizeclass)[which]
    for sizeclass in np.unique(classes).tolist():
        those = which[classes == sizeclass].tolist()
        if stale is not None:
            those = [s for s in those if spans.base[s] in stale]
            if not those:
                continue
        s = those[0]
        nelems = spans.nelems[s]
        every = (1 << nelems) - 1
        free = [(spans.base[s], every & ~spans.alloc_bits[s]) for s in those]
        forget(rt.memory, free, spans.elemsize[s], nelems, spans.npages[s])
