"""The address space of a sparse machine, piece by piece: heap, tables, and what is only reserved."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from allocator.interface import MAPPED, RESERVED, USED, Region

if TYPE_CHECKING:
    from allocator.sparse.core import Core


def regions(core: Core) -> list[Region]:
    """Every piece in address order; none overlaps another."""
    found = [*_reservations(core), *_tables(core), *_heap(core)]
    chunk = core.config.persistent_chunk_size
    found += [
        Region("persistent", base, chunk, MAPPED, "records that are never given back")
        for base in core.persistent.all_chunks
    ]
    return sorted(found, key=lambda region: region.base)


def reserved(core: Core) -> int:
    """How many bytes the reservations for summaries and the scavenge index have."""
    return sum(region.size for region in _reservations(core))


def _reservations(core: Core) -> list[Region]:
    config, tables = core.config, core.tables
    found: list[Region] = []
    if tables.is_32bit:
        found += [
            Region("summaries", base, size, MAPPED, "all levels of the summaries")
            for base, size, what in tables.mapped
            if what == "page summary"
        ]
    for level, base in enumerate(() if tables.is_32bit else tables.summary):
        size = tables.reservation(level)
        found += _split("summaries", base, size, tables.mapped, f"level {level} of the summaries")
    if config.summary_levels == 5:
        if tables.index_failed:
            found += [
                Region("scavenge index", base, size, MAPPED, "entries at an address that was never reserved")
                for base, size, what in tables.mapped
                if what == "scavenge index"
            ]
        else:
            found += _split(
                "scavenge index", tables.index, tables.index_bytes, tables.mapped, "the scavenge index"
            )
    return [region for region in found if region.size > 0]


def _tables(core: Core) -> list[Region]:
    config, tables = core.config, core.tables
    found: list[Region] = []
    for base in tables.tables.values():
        found.append(Region("chunks", base, tables.table_bytes, MAPPED, "a table of chunks' page bits"))
    l2 = config.ptr_size << config.arena_l2_bits
    for base in core.arenas.l2_maps.values():
        found.append(Region("arena map", base, l2, MAPPED, "where each arena's record is"))
    size = config.sizeof["heapArena"]
    own = [arena.address for arena in core.arenas.by_index.values()]
    linear = core.arenas.heap_arena_alloc
    if linear.end:
        found += [
            Region(
                "arena records", core.arenas.meta, linear.mapped - core.arenas.meta, MAPPED, "of all arenas"
            ),
            Region("arena records", linear.mapped, linear.end - linear.mapped, RESERVED, "room for more"),
        ]
    elif size >= 64 << 10:
        found += [Region("arena records", base, size, MAPPED, "what is known of an arena") for base in own]
    return [region for region in found if region.size > 0]


def _split(name: str, base: int, size: int, mapped: list[tuple[int, int, str]], what: str) -> list[Region]:
    """A reservation as pieces: mapped where growth came to, reserved elsewhere."""
    found: list[Region] = []
    at = base
    for start, length, _ in sorted(mapped):
        if not base <= start < base + size:
            continue
        found.append(Region(name, at, start - at, RESERVED, what))
        found.append(Region(name, start, length, MAPPED, what))
        at = start + length
    found.append(Region(name, at, base + size - at, RESERVED, what))
    return found


def _heap(core: Core) -> list[Region]:
    """The arenas: what the heap has grown to, and what lies before and after it."""
    config = core.config
    arena = config.heap_arena_bytes
    used = sorted((config.address(base), config.address(limit)) for base, limit in core.pages.in_use)
    limits = [limit for _, limit in used]
    found = [Region("heap", base, limit - base, USED, "pages in the page allocator") for base, limit in used]
    for index in core.arenas.by_index:
        at, end = config.arena_base(index), config.arena_base(index) + arena
        i = bisect_right(limits, at)
        while i < len(used) and used[i][0] < end:
            base, limit = used[i]
            found.append(Region("arena", at, max(base - at, 0), RESERVED, "an arena's untouched part"))
            at, i = limit, i + 1
        found.append(Region("arena", at, max(end - at, 0), RESERVED, "an arena's untouched part"))
    rest = core.arenas.arena
    if rest.end > rest.next:
        found.append(Region("arenas", rest.next, rest.end - rest.next, RESERVED, "room for further arenas"))
    return [region for region in found if region.size > 0]
