"""The beginning: mallocinit on any answers, and from there to the first memory of the heap."""

from __future__ import annotations

from typing import Any

from allocator.sparse import arena_hints
from allocator.sparse.arena_hints import usual_seed
from archcalc.proofs.judge import Judge
from archcalc.proofs.loops import Loops
from archcalc.proofs.paths import Explorer
from archcalc.proofs.properties import HINTS
from archcalc.proofs.sparse.process import Prepared, Process, explored

Number = Any  # an int, or a SymbolicWord in its place


def anyhow(engine: Explorer, judge: Judge, subject: Prepared, found: set[bool]) -> None:
    """mallocinit on any answers, with any lot. One hint stands for all.

    `found` gets to know whether the start can leave the scavenge index without a reservation, or with one.
    """
    loops = Loops(engine)
    loops.any_turn = arena_hints.HINTS
    with explored(loops):
        process = Process(engine, judge, subject, loops)
        if process.start():
            found.add(bool(process.rt.tables.index_failed))
            check_hints(process)


def check_hints(process: Process) -> None:
    """Every hint of a 64-bit start is an address at which an arena can be."""
    config, kernel, arenas = process.config, process.kernel, process.rt.arenas
    if config.ptr_size == 4 or config.sbrk_platform:
        return
    arena = config.heap_arena_bytes
    first, end = process.arena_map()
    for hint in (*arenas.hints, *arenas.user_hints):
        process.told = {"hint": hint.addr, "lot": process.lot}
        fits = (kernel.machine.low <= hint.addr) & (hint.addr + arena <= kernel.end)
        process.judge.require(HINTS, fits, "a hint is an address that a process can have")
        fits = (first <= hint.addr) & (hint.addr + arena <= end)
        process.judge.require(HINTS, fits, "a hint lies in the arena map")


def to_the_first_memory(
    engine: Explorer, judge: Judge, subject: Prepared, index_refused: bool, lot: int | None = None
) -> Process | None:
    """mallocinit with no refusal but perhaps the scavenge index's, then the first growth of the heap.

    The system answers at its hints, and else as high as it can. The heap's base is where releases
    without a lot have it, unless the lot is given.
    """
    config = subject.config
    if lot is None:
        lot = usual_seed(config) if config.randomized_heap_base else 0
    loops = Loops(engine)
    with explored(loops):
        process = Process(engine, judge, subject, loops, lot)
        process.kernel.obliging = True
        process.kernel.script = [False] * config.summary_levels + [index_refused]
        if not process.start():
            return None
        return process if process.first_growth() else None
