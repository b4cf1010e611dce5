"""The growth of the heap by induction: what Growth.grow maps, hands to the page allocator, and keeps.

The heap has grown somehow: it has a current arena with something left, other arenas, and memory that is
in use. Of each one stands for all. The addresses of new arenas are what `arena_growth` proves of them,
and `tables` has what happens to the memory.
"""

from __future__ import annotations

from typing import Any

from allocator.kernels.contracts import apart
from allocator.sparse.arena_hints import HeapLot
from allocator.sparse.growth import STAT, Growth
from archcalc.proofs.answering import HeldMemory, covered, fits
from archcalc.proofs.properties import ACCEPTED, COUNTERS, OF_CALLS, RECORDED, REFUSED, TWICE
from archcalc.proofs.sparse.kernels import MEANT
from archcalc.proofs.sparse.process import Process
from archcalc.proofs.sparse.records import any_arenas

Number = Any  # an int, or a SymbolicWord in its place
# What this step asks.
PROPERTIES = OF_CALLS | {ACCEPTED, COUNTERS, RECORDED, REFUSED}


class _Pages:
    """Stands for the page allocator: what it is given must be memory that the heap can use."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.given: list[HeldMemory] = []

    def grow(self, base: Number, size: Number) -> None:
        """New memory of the heap."""
        process = self.process
        config, require, kernel = process.config, process.judge.require, process.kernel
        for what, value in (("address", base), ("size", size)):
            fits(require, value, process.engine.room.mask, f"the new memory's {what}", MEANT)
        process.judge.judge()
        chunk = config.palloc_chunk_bytes
        require(ACCEPTED, (base % chunk == 0) & (size % chunk == 0), "the heap grows by whole chunks")
        require(ACCEPTED, kernel.holds(base, size), "the heap grows into what the program holds")
        begin, end = process.arena_map()
        require(ACCEPTED, (begin <= base) & (base + size <= end), "the heap grows inside the arena map")
        for edge in (base, base + size - 1):
            recorded = process.records.has(config.arena_index(edge))
            require(RECORDED, recorded, "each arena of the heap has a record")
        for other in (*process.used, *self.given):
            require(TWICE, apart(base, size, other.start, other.size), "the heap gets what it did not have")
        self.given.append(HeldMemory(base, size))

    def mark_random_padding(self, base: Number, npages: Number) -> None:
        """Pages that are left out, which were given."""
        inside = covered(base, npages << self.process.config.page_shift, self.given)
        self.process.judge.require(ACCEPTED, inside, "the pages that are left out are the heap's")


class _Arenas:
    """Arenas.sys_alloc as `arena_growth` proves it: nothing, or whole arenas that were not in use."""

    def __init__(self, process: Process) -> None:
        config = process.config
        self.process = process
        self.lot = HeapLot(process.lot)
        if config.randomized_heap_base:
            self.lot.remaining -= config.random_address_bits - config.log_heap_arena_bytes

    def sys_alloc(self, n: Number) -> tuple[Number, Number]:
        """Address and bytes; 0 and 0 for a refusal."""
        process = self.process
        engine = process.engine
        fits(process.judge.require, n, engine.room.mask, "what the heap asks for", MEANT)
        process.judge.require(
            ACCEPTED, n % process.config.palloc_chunk_bytes == 0, "whole chunks are asked for"
        )
        if engine.choose(2):
            return 0, 0
        (more,) = any_arenas(process, "more")
        engine.assume(n <= more.size)
        return more.start, more.size


def grow(process: Process) -> None:
    """Growth.grow by any number of pages, from any state.

    Where the heap begins at random in its arena, its first request is for a small object.
    """
    engine, config, rt = process.engine, process.config, process.rt
    rt.arenas = _Arenas(process)
    rt.growth = Growth(rt)
    started = engine.choose(2) == 1
    if started:
        _any_rest(process)
    most = max(config.max_alloc >> config.page_shift, 1)
    if not started and config.randomized_heap_base:
        most = config.palloc_chunk_pages
    judged(process, engine.fresh("pages", 1, most))


def judged(process: Process, npages: Number) -> bool:
    """Growth.grow, and what it does and leaves; whether there is memory and the process lives."""
    config, judge, rt = process.config, process.judge, process.rt
    require, growth = judge.require, rt.growth
    pages = rt.pages = _Pages(process)
    wanted = npages << config.page_shift
    judge.request(wanted)
    before, stats = (growth.base, growth.end), dict(rt.stats.bytes)
    got: list[Number] = []
    if not process.lives(lambda: got.append(growth.grow(npages))):
        return False
    if type(got[0]) is int and not got[0]:
        require(REFUSED, (growth.base == before[0]) & (growth.end == before[1]), "the arena is as it was")
        require(REFUSED, not pages.given, "the heap is as it was")
        require(REFUSED, rt.stats.bytes[STAT] == stats[STAT], "the heap's counter is as it was")
        return False
    require(ACCEPTED, len(pages.given) > 0, "the heap gets something")
    if pages.given:
        require(ACCEPTED, pages.given[-1].size >= wanted, "the heap gets in one piece what was asked for")
    whole: Number = sum((given.size for given in pages.given), 0)
    require(COUNTERS, got[0] == whole, "the reported bytes are what the heap has got")
    require(COUNTERS, rt.stats.bytes[STAT] == stats[STAT] + whole, "what is mapped counts as released")
    _keeps(process, pages)
    process.used += pages.given
    return True


def _any_rest(process: Process) -> None:
    """What is left of the current arena, and memory of the heap in front of it and elsewhere."""
    engine, config = process.engine, process.config
    growth = process.rt.growth
    current, other = any_arenas(process, "arena", "other")
    growth.base = engine.fresh("base", 0, engine.room.mask, config.palloc_chunk_bytes)
    growth.end = current.start + current.size
    engine.assume(current.start <= growth.base, growth.base <= growth.end)
    process.used = [HeldMemory(current.start, growth.base - current.start), other]
    process.kernel.in_use += process.used


def _keeps(process: Process, pages: _Pages) -> None:
    """What the next growth relies on."""
    config, require = process.config, process.judge.require
    growth = process.rt.growth
    for name, value in (("base", growth.base), ("end", growth.end)):
        fits(require, value, process.engine.room.mask, f"the current arena's {name}", MEANT)
    base, rest = growth.base, growth.end - growth.base
    require(ACCEPTED, rest >= 0, "the current arena ends behind its beginning")
    require(ACCEPTED, base % config.palloc_chunk_bytes == 0, "what is left of the arena begins with a chunk")
    require(ACCEPTED, growth.end % config.heap_arena_bytes == 0, "the current arena is a whole one")
    held = process.kernel.holds(base, rest) | (rest == 0)
    require(ACCEPTED, held, "what is left of the arena is reserved")
    for edge in (base, growth.end - 1):
        recorded = process.records.has(config.arena_index(edge)) | (rest == 0)
        require(RECORDED, recorded, "what is left of the arena has records")
    for other in (*process.used, *pages.given):
        require(TWICE, apart(base, rest, other.start, other.size), "what is left of the arena is not in use")
