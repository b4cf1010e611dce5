"""The arenas that a heap has: their records in the arena map, by induction.

Arenas._add_arenas runs for any arenas that were just got. The map's second level may be there or not,
the list of arenas be full or not, on 32-bit the room for records be used up or not; one arena of the
new ones stands for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allocator.kernels.contracts import apart
from allocator.sparse.arenas import Arenas
from allocator.sparse.linear_alloc import LinearAlloc
from allocator.sparse.persistentalloc import MAX_BLOCK
from archcalc.proofs.answering import HeldMemory, covered, fits
from archcalc.proofs.properties import OF_CALLS, RECORDED, TWICE
from archcalc.proofs.sparse import break_memory
from archcalc.proofs.sparse.kernels import MEANT, AnsweringBreak
from archcalc.proofs.sparse.process import SOMEWHERE, Pairs, Process

Number = Any  # an int, or a SymbolicWord in its place
# What this step asks.
PROPERTIES = OF_CALLS | {RECORDED}


class Persistent:
    """Small pieces of memory, always granted; a large one may be refused."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.asked = 0  # bytes of the last piece

    def alloc(self, size: int, align: int, stat: str) -> int:
        """Some address; 0."""
        self.asked = size
        return SOMEWHERE if size < MAX_BLOCK or self.process.engine.choose(2) else 0


class RememberedPieces:
    """The machine's own small pieces, of which the last one's size is remembered."""

    def __init__(self, persistent: Any) -> None:
        self.persistent = persistent
        self.asked = 0

    def alloc(self, size: int, align: int, stat: str) -> Number:
        """What the machine gets."""
        self.asked = size
        return self.persistent.alloc(size, align, stat)


def any_arenas(process: Process, *names: str) -> list[HeldMemory]:
    """Whole arenas inside the arena map, with records, that the program holds; none overlaps another."""
    begin, limit = process.arena_map()
    found = []
    for name in names:
        region = process.held_region(name, process.config.heap_arena_bytes)
        process.engine.assume(begin <= region.start, region.start + region.size <= limit)
        process.records.add(process.config, region)
        found.append(region)
    return found


def add(process: Process) -> None:
    """Arenas._add_arenas for any new arenas, from any state."""
    config, rt = process.config, process.rt
    user = config.user_arenas and process.engine.choose(2) == 1
    arenas = Arenas(rt, 0)
    rt.persistent = Persistent(process)
    rt.arenas = arenas
    break_memory.any_state(process, freed=0)
    new, _ = break_memory.arenas_below(process, "new", "other") or any_arenas(process, "new", "other")
    process.records.ranges.pop(0)
    arenas.by_index = process.records  # type: ignore[assignment]
    _any_tables(process, arenas, user)
    process.lives(lambda: judged(process, lambda: arenas._add_arenas(new.start, new.size, user), new, user))


def judged(process: Process, act: Callable[[], None], new: HeldMemory, user: bool) -> None:
    """Enters new arenas in their tables, and what it does and leaves."""
    config, arenas, kernel = process.config, process.rt.arenas, process.kernel
    require, linear = process.judge.require, arenas.heap_arena_alloc
    before = linear.next
    process.loops.ends.pop("Arenas._add_arenas", None)
    process.records.made.clear()
    maps, had = len(arenas.l2_maps), len(kernel.calls)
    listed, capacity = (arenas.user_list if user else arenas.heap_list), arenas.list_caps[user]
    act()
    first, end = process.loops.ends["Arenas._add_arenas"]
    covers = (first == config.arena_index(new.start)) & (
        end - first == new.size >> config.log_heap_arena_bytes
    )
    require(RECORDED, covers, "each new arena gets a record, and no other")
    require(RECORDED, len(process.records.made) == 1, "each gets one")
    for index, record in process.records.made:
        require(
            RECORDED, (index >= 0) & (index < 1 << config.arena_bits), "an arena has its place in the map"
        )
        l1 = index >> config.arena_l2_bits if config.arena_l1_bits else 0
        require(RECORDED, l1 in arenas.l2_maps, "the arena's part of the map is there")
        at, size = record.address, config.sizeof["heapArena"]
        fits(require, at, process.engine.room.mask, "a record's address", MEANT)
        if linear.next is not before:
            mapped = covered(at, size, kernel.in_use)
            require(RECORDED, mapped, "a record's memory is mapped")
            require(TWICE, before <= at, "a record lies after those before it")
            require(TWICE, linear.next >= at + size, "the next record lies after it")
    if len(arenas.l2_maps) > maps:
        size = config.ptr_size << config.arena_l2_bits
        large = any(call.call == "sysAlloc" and call.size >= size for call in kernel.calls[had:])
        whole = large or isinstance(kernel, AnsweringBreak)  # which is asked for no sizes
        require(RECORDED, whole, "a part of the map has all its entries")
        for _, at in arenas.l2_maps.pairs[maps:]:
            require(RECORDED, at != 0, "a part of the map lies somewhere")
    if arenas.list_caps[user] != capacity:
        room = process.rt.persistent.asked
        require(
            RECORDED, arenas.list_caps[user] * config.ptr_size <= room, "the list is as large as its memory"
        )
    if listed:
        require(RECORDED, len(listed) <= arenas.list_caps[user], "the list of arenas has room for it")
    for other in process.others:
        require(TWICE, apart(new.start, new.size, other.start, other.size), "new arenas overlap no others")
    process.records.add(config, new)


def _any_tables(process: Process, arenas: Arenas, user: bool) -> None:
    """The arena map's second level, the list of arenas, and on 32-bit the room for records."""
    engine, config = process.engine, process.config
    maps = Pairs()
    arenas.l2_maps = maps  # type: ignore[assignment]
    if engine.choose(2):
        l1 = engine.fresh("l1", 0, (1 << config.arena_l1_bits) - 1) if config.arena_l1_bits else 0
        maps[l1] = SOMEWHERE
    full, entries = engine.choose(2), config.phys_page_size // config.ptr_size
    arenas.list_caps[user] = entries * engine.choose(2)
    listed = arenas.user_list if user else arenas.heap_list
    listed.extend([0] * (arenas.list_caps[user] if full else max(arenas.list_caps[user] - 1, 0)))
    if config.ptr_size == 4 and not config.sbrk_platform and engine.choose(2):
        _any_room(process, arenas.heap_arena_alloc)


def _any_room(process: Process, linear: LinearAlloc) -> None:
    """What the 32-bit start has reserved for records, used up to some address."""
    engine, config = process.engine, process.config
    page = config.phys_page_size
    room = process.held_region("records", page)
    start, size = room.start, room.size
    used: Number = engine.fresh("recorded", 0, engine.room.mask, config.ptr_size)
    engine.assume(used <= size)
    linear.next = start + used
    linear.mapped = start + ((used + page - 1) & -page)
    linear.end = start + size
    linear.map_memory = True
    process.kernel.in_use.append(HeldMemory(start, linear.mapped - start))
