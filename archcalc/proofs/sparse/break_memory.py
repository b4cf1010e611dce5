"""Memory below a break by induction (mem_sbrk.go): what is free there, what is in use, and where it ends.

The break has risen somehow and perhaps sunk again in the runtime's own idea. Up to two free blocks lie
below it; two have all that a list can have: a block in front of another, and one after it.
"""

from __future__ import annotations

from typing import Any

from allocator.kernels.contracts import apart
from archcalc.proofs.answering import HeldMemory, fits
from archcalc.proofs.properties import ACCEPTED, OF_CALLS, TWICE
from archcalc.proofs.sparse.kernels import MEANT, AnsweringBreak
from archcalc.proofs.sparse.process import Process
from archcalc.proofs.words import Truth

Number = Any  # an int, or a SymbolicWord in its place
# What this step asks.
PROPERTIES = OF_CALLS | {ACCEPTED}
MOST_FREED = 2


def any_state(process: Process, freed: int | None = None) -> None:
    """A break anywhere, with so many free blocks below it (up to two, if that is not given)."""
    engine, kernel = process.engine, process.kernel
    if not isinstance(kernel, AnsweringBreak):
        return
    os: Any = process.rt.mem.os
    first = process.below = kernel.at
    os.bloc = engine.fresh("bloc", first, kernel.end, os.page)
    os.bloc_max = engine.fresh("bloc_max", first, kernel.end, os.page)
    engine.assume(os.bloc <= os.bloc_max)
    kernel.at = os.bloc_max
    kernel.reserved.append(HeldMemory(first, os.bloc_max - first))
    for _ in range(engine.choose(MOST_FREED + 1) if freed is None else freed):
        at = engine.fresh("freed", first, kernel.end, os.page)
        size = engine.fresh("freed_size", os.page, kernel.end, os.page)
        for other, length in os.freed.blocks:
            engine.assume(other + length < at)
        engine.assume(at + size <= os.bloc)
        os.freed.addresses.append(at)
        os.freed.sizes.append(size)


def part_below(process: Process, name: str, unit: int, *others: HeldMemory) -> HeldMemory:
    """Memory below the break that is in use: whole units, apart from what else is."""
    engine, kernel = process.engine, process.kernel
    start = engine.fresh(name, 0, kernel.end, unit)
    size = engine.fresh(f"{name}_size", unit, kernel.end, unit)
    engine.assume(
        in_use(process, start, size),
        *(apart(start, size, other.start, other.size) for other in others),
    )
    return HeldMemory(start, size)


def arenas_below(process: Process, *names: str) -> list[HeldMemory]:
    """Whole arenas below the break, with records; none on other systems."""
    config = process.config
    found: list[HeldMemory] = []
    if isinstance(process.kernel, AnsweringBreak):
        begin, limit = process.arena_map()
        for name in names:
            region = part_below(process, name, config.heap_arena_bytes, *found)
            process.engine.assume(begin <= region.start, region.start + region.size <= limit)
            process.records.add(config, region)
            found.append(region)
    return found


def in_use(process: Process, v: Number, n: Number) -> Truth | bool:
    """Whether [v, v+n) lies below the break, and is not free."""
    os: Any = process.rt.mem.os
    whole: Truth | bool = (process.below <= v) & (v + n <= os.bloc)
    for at, size in os.freed.blocks:
        whole = whole & apart(v, n, at, size)
    return whole


def reached(process: Process, v: Number) -> Truth | bool:
    """Whether the break has ever been at v or above; anything goes on systems without one."""
    os: Any = process.rt.mem.os
    return not isinstance(process.kernel, AnsweringBreak) or v <= os.bloc_max


def check(process: Process, *used: HeldMemory) -> None:
    """What must be so of the break and the free list, beside memory that is in use."""
    if not isinstance(process.kernel, AnsweringBreak):
        return
    os: Any = process.rt.mem.os
    require = process.judge.require
    fits(require, os.bloc, process.engine.room.mask, "the break", MEANT)
    require(ACCEPTED, process.below <= os.bloc, "the break is not below where it began")
    require(ACCEPTED, os.bloc <= process.kernel.at, "the runtime's break is not above the system's")
    require(ACCEPTED, os.bloc_max == process.kernel.at, "the runtime knows the system's break")
    end: Number = None
    for at, size in os.freed.blocks:
        require(ACCEPTED, (at % os.page == 0) & (size % os.page == 0), "what is free are whole pages")
        require(TWICE, (process.below <= at) & (at + size <= os.bloc), "what is free lies below the break")
        require(ACCEPTED, size > 0, "no free block is empty")
        if end is not None:
            require(TWICE, end < at, "free blocks are in order and do not touch")
        end = at + size
    for one in used:
        require(TWICE, in_use(process, one.start, one.size), "what is in use is not free")


def step(process: Process) -> None:
    """One call of a helper from any state: sysAlloc, sysReserve or sysFree.

    No request is larger than the addresses beyond the user's, so that an end that wraps is
    for `arena_growth`, where sizes are the program's.
    """
    engine, rt, judge = process.engine, process.rt, process.judge
    if not isinstance(process.kernel, AnsweringBreak):
        return
    os: Any = rt.mem.os
    page = os.page
    any_state(process)
    used = part_below(process, "used", page)
    way = engine.choose(5)
    if way == 0:
        again = part_below(process, "given_back", page, used)
        judge.requests = (again.size,)
        if process.lives(lambda: rt.mem.sys_unreserve(again.start, again.size)):
            check(process, used)
        return
    n = engine.fresh("bytes", 1, engine.room.mask - process.kernel.end - page)
    judge.requests = (n,)
    # Anywhere, at the break, anywhere else, or memory to be used at once.
    hint = (0, os.bloc, engine.fresh("hint", page, engine.room.mask, page), 0, 0)[way]
    got: list[Number] = []
    if way == 3:
        lives = process.lives(lambda: got.append(os.alloc(n, "")))
    else:
        lives = process.lives(lambda: got.append(rt.mem.sys_reserve(hint, n, "")))
    if not lives:
        return
    whole = [used]
    if not (isinstance(got[0], int) and not got[0]):
        size = (n + (page - 1)) & -page
        judge.require(TWICE, apart(got[0], size, used.start, used.size), "what is given was not in use")
        judge.require(ACCEPTED, got[0] % page == 0, "what is given begins with a page")
        whole.append(HeldMemory(got[0], size))
    check(process, *whole)


def watch(process: Process) -> None:
    """Judges all memory that the runtime gets below the break from now on, and what it gives back."""
    os: Any = process.rt.mem.os
    kernel: Any = process.kernel
    process.below = kernel.at
    alloc, free, reserve_aligned = os.alloc, os.free, os.reserve_aligned_sbrk

    def got(v: Number, n: Number) -> None:
        if not (isinstance(v, int) and not v):
            process.others.append(HeldMemory(v, (n + (os.page - 1)) & -os.page))
        check(process, *process.others)

    def allocating(n: Number, name: str) -> Number:
        v = alloc(n, name)
        got(v, n)
        return v

    def freeing(v: Number, n: Number) -> None:
        process.others = [one for one in process.others if one.start is not v]
        free(v, n)
        check(process, *process.others)

    def reserving(size: Number, align: int) -> tuple[Number, Number]:
        v, n = reserve_aligned(size, align)
        got(v, n)
        return v, n

    os.alloc, os.free, os.reserve_aligned_sbrk = allocating, freeing, reserving
