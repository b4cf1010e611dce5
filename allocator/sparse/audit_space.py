"""The invariants of the address space: arenas, what growth has left of them, and the heap's tables."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from allocator.common.audit import NOWHERE, Seen
from allocator.sparse.invariants import invariant
from allocator.sparse.regions import regions
from allocator.sparse.summary_memory import SCAV_BYTES, SUM_BYTES

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore


@invariant("arenas")
def _arenas(core: HeapCore) -> Iterator[Seen]:
    """Each arena is listed once and has its place in the map; the heap lies in arenas."""
    config, arenas = core.config, core.arenas
    listed = [*arenas.heap_list, *arenas.user_list]
    if len(set(listed)) != len(listed):
        yield "an arena is listed twice", NOWHERE
    for index in set(listed) - set(arenas.by_index):
        yield f"arena {index} is listed, and has no record", config.arena_base(index)
    unlisted = set(arenas.by_index) - set(listed)
    if config.lists_user_arenas and unlisted:
        yield f"arena {min(unlisted)} is not listed", config.arena_base(min(unlisted))
    for index in arenas.by_index:
        if (index >> config.arena_l2_bits if config.arena_l1_bits else 0) not in arenas.l2_maps:
            yield f"arena {index} has no place in the map of arenas", config.arena_base(index)
    shift = config.log_heap_arena_bytes
    for base, limit in core.pages.in_use:
        for at in range(base >> shift, (limit - 1 >> shift) + 1):
            if config.arena_index(config.address(at << shift)) not in arenas.by_index:
                yield f"the heap has grown to {config.address(at << shift):#x}, where no arena is", NOWHERE


@invariant("current arena")
def _current_arena(core: HeapCore) -> Iterator[Seen]:
    """What growth has left of its arena is an arena's, and not heap yet."""
    config, growth = core.config, core.growth
    if growth.base > growth.end:
        yield f"the current arena has {growth.base:#x} to {growth.end:#x} left", NOWHERE
    elif growth.base < growth.end:
        for p in (growth.base, growth.end - 1):
            if config.arena_index(p) not in core.arenas.by_index:
                yield f"{p:#x} is left to grow into, and in no arena", NOWHERE
        first, end = config.offset(growth.base), config.offset(growth.end - 1)
        following = core.pages.in_use.at_or_above(first)
        if following is not None and following <= end:
            yield f"{config.address(following):#x} is left to grow into, and heap already", NOWHERE


@invariant("summary memory")
def _summary_memory(core: HeapCore) -> Iterator[Seen]:
    """Each summary and each entry of the index that the heap needs is mapped, and none is mapped twice."""
    config, tables = core.config, core.tables
    chunks = core.pages.chunks  # which brings up what grew and lagged behind
    mapped = sorted((v, v + n) for v, n, _ in tables.mapped)
    for (_, end), (begin, _) in pairwise(mapped):
        if begin < end:
            yield f"summaries at {begin:#x} are mapped twice", NOWHERE
    if sum(end - begin for begin, end in mapped) != tables.mapped_ready:
        yield f"summaries have {tables.mapped_ready} bytes, by their count", NOWHERE
    joined = _joined(mapped)
    shift = config.log_palloc_chunk_bytes
    parts = chunks.parts(0, core.pages.end)
    for base, limit in _joined((first << shift, end << shift) for first, end, _ in parts):
        for level, length in enumerate(tables.lengths):
            first, end = tables.summary_range(level, base, limit)
            if length < end:
                yield f"level {level} of the summaries ends before the heap", NOWHERE
            at = tables.summary[level]
            if not _within(joined, at + first * SUM_BYTES, at + end * SUM_BYTES):
                yield f"level {level} of the summaries lies where nothing is mapped", NOWHERE
        if not tables.is_32bit:
            first, end, unit = base >> shift, limit >> shift, SCAV_BYTES
            if config.scav_index_of_bits:
                first, end, unit = first >> 3, (end + 7) >> 3, 1
            if not _within(joined, tables.index + first * unit, tables.index + end * unit):
                yield "the scavenge index lies where nothing is mapped", NOWHERE


def _joined(pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pieces in order as few as can be: those that touch are one."""
    found: list[tuple[int, int]] = []
    for begin, end in pieces:
        if found and begin <= found[-1][1]:
            begin, before = found.pop()
            end = max(before, end)
        found.append((begin, end))
    return found


def _within(pieces: list[tuple[int, int]], begin: int, end: int) -> bool:
    i = bisect_right(pieces, (begin, 1 << 65)) - 1
    return i >= 0 and end <= pieces[i][1]


@invariant("regions")
def _regions(core: HeapCore) -> Iterator[Seen]:
    """No two pieces of the address space overlap."""
    before = None
    for region in regions(core):
        if before is not None and region.base < before.end:
            yield f"{region.name} at {region.base:#x} overlap {before.name}", NOWHERE
        before = region
