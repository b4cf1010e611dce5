"""mheap.grow on symbolic sizes: that it asks the arena for enough, enters the run, and keeps the counters.

The arena underneath does what `Arena.grow` has proved: it gives nothing, or a run that is aligned,
mapped and described. Columns of span records are lists here, since arrays hold known numbers only,
and a stand-in for the table of spans checks what is written to it.
"""

from __future__ import annotations

from array import array
from typing import Any

from allocator.common.throw import Death
from allocator.contiguous.mheap import MHeap
from allocator.contiguous.mspan import NIL
from archcalc.proofs.answering import fits
from archcalc.proofs.contiguous.arena import GROWTH_WORDS, Arena, ArenaLayout
from archcalc.proofs.properties import ACCEPTED, COUNTERS, ENDS, TABLE, WRAP

Number = Any  # an int, or a SymbolicWord in its place

PROPERTIES = frozenset({WRAP, COUNTERS, TABLE, ENDS, ACCEPTED})  # what is asked here
RECORD_WORDS = frozenset({"runtime: cannot allocate memory"})  # no memory for a span's record


class _Table:
    """h.spans: every page that is written must be mapped; what it contains is unknown."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena

    def _within(self, page: Number, npages: Number) -> None:
        heap: Any = self.arena.heap
        require = self.arena.judge.require
        require(TABLE, page >= 0, "an entry is in the table of spans")
        require(TABLE, page + npages <= heap.spans_len, "an entry of the table of spans is mapped")

    def set(self, page: Number, s: int) -> None:
        self._within(page, 1)

    def set_range(self, page: Number, npages: Number, s: int) -> None:
        self._within(page, npages)

    def get(self, page: Number) -> int:
        return NIL


class _Heap(MHeap):
    """A page heap whose arena gives what the contract of mheap.sysAlloc allows."""

    __slots__ = ()

    def sys_alloc(self, n: Number) -> Number:
        system: Any = self.rt.system
        return system.grown(n)


def from_any_state(arena: Arena, layout: ArenaLayout) -> None:
    """mheap.grow by any number of pages, in any state, over an arena that gives what it may."""
    config = arena.config
    arena.any_state(layout)
    units = arena.engine.choose(config.max_mheap_list * config.page_size // config.grow_unit)
    _grow(arena, units * (config.grow_unit >> config.page_shift) or _many_pages(arena), False)


def from_the_beginning(arena: Arena, layout: ArenaLayout, first: bool) -> None:
    """The first growth of a heap, for few pages, or the second, for many; the arena's own code runs."""
    config = arena.config
    if first:
        units = arena.engine.choose(config.heap_alloc_chunk // config.grow_unit - 1) + 1
        _grow(arena, units * (config.grow_unit >> config.page_shift), True)
    elif _grow(arena, 1, True):
        _grow(arena, _many_pages(arena), True)


def _grow(arena: Arena, npages: Number, arena_grows: bool) -> bool:
    """mheap.grow, and what it asks for and leaves; whether the process lives."""
    engine, judge, config = arena.engine, arena.judge, arena.config
    heap: Any = arena.heap
    heap.__class__ = _Heap
    heap.pages = _Table(arena)
    _lists_for_arrays(arena.rt.spans)
    asked: list[Number] = []
    system: Any = arena.system
    wanted = npages << config.page_shift

    def grown(n: Number) -> Number:
        asked.append(n)
        fits(judge.require, n, engine.room.mask, "what the heap asks the arena for")
        judge.require(ACCEPTED, n % config.grow_unit == 0, "the arena is asked for whole units")
        judge.require(WRAP, n >= wanted, "the arena is asked for no less than is wanted")
        if arena_grows:
            return MHeap.sys_alloc(heap, n)
        if engine.choose(2):
            return 0
        v = engine.fresh("run", 0, engine.room.mask, config.page_size)
        engine.assume(
            heap.arena_start <= v,
            v + n <= heap.arena_used,
            v - heap.arena_start + n <= heap.spans_len << config.page_shift,
        )
        return v

    system.grown = grown
    pages_in_use = heap.pages_in_use = engine.fresh("pages_in_use", 0, engine.room.mask >> config.page_shift)
    stats: Any = arena.rt.stats
    idle, inuse = stats.heap_idle, stats.heap_inuse
    judge.requests = (*judge.requests, wanted)
    try:
        gained = heap._grow(npages)
    except Death as death:
        judge.died(ENDS, death.words, arena.last_words | GROWTH_WORDS | RECORD_WORDS)
        return False
    more = asked[-1] if gained else 0
    judge.require(COUNTERS, heap.pages_in_use == pages_in_use, "a grown run is not in use")
    judge.require(COUNTERS, stats.heap_idle == idle + more, "a grown run is idle")
    judge.require(COUNTERS, stats.heap_inuse == inuse, "no byte of a grown run is in use")
    return True


def _many_pages(arena: Arena) -> Number:
    """More pages than the lists of short runs have, up to the largest object."""
    config, engine = arena.config, arena.engine
    most = (min(config.max_mem, engine.room.mask) >> config.page_shift) + 1
    return engine.fresh("pages", config.max_mheap_list, most)


def _lists_for_arrays(spans: Any) -> None:
    for name, column in spans.columns().items():
        if isinstance(column, array):
            setattr(spans, name, list(column))
