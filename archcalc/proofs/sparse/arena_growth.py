"""Addresses for new arenas by induction: at a hint, from the 32-bit start's reservation, or anywhere.

Arenas.sys_alloc runs for any number of chunks, with one hint that stands for all, since what is tried after
one that failed does not depend on it. What it says of the new arenas to their tables is in `records`.
"""

from __future__ import annotations

from typing import Any

from allocator.kernels.contracts import apart
from allocator.sparse.arena_hints import Hint
from allocator.sparse.arenas import Arenas
from archcalc.proofs.answering import HeldMemory, fits
from archcalc.proofs.properties import ACCEPTED, NOTICED, OF_CALLS, REFUSED, TWICE
from archcalc.proofs.sparse import break_memory, records
from archcalc.proofs.sparse.kernels import MEANT, AnsweringBreak, FromRefusal
from archcalc.proofs.sparse.process import Process
from archcalc.proofs.sparse.records import Persistent, any_arenas

Number = Any  # an int, or a SymbolicWord in its place
# What this step asks.
PROPERTIES = OF_CALLS | {ACCEPTED, REFUSED}


class JudgedArenas(Arenas):
    """Arenas each of whose steps is judged."""

    process: Process

    def sys_alloc(self, n: Number, *, user: bool = False) -> tuple[Number, Number]:
        """Judged as a step of the induction is."""
        return judged(self.process, super().sys_alloc, n, user)

    def _add_arenas(self, v: Number, size: Number, user: bool) -> None:
        add = super()._add_arenas
        if isinstance(v, FromRefusal):  # which is a finding of its own, and so is what follows
            add(v, size, user)
            self.process.records.add(self.process.config, HeldMemory(v, size))
        else:
            records.judged(self.process, lambda: add(v, size, user), HeldMemory(v, size), user)


class _Arenas(Arenas):
    """Arenas whose tables are ignored here: what is entered there is only noted."""

    __slots__ = ()

    def _add_arenas(self, v: Number, size: Number, user: bool) -> None:
        pass


def grow(process: Process) -> None:
    """Arenas.sys_alloc of any number of chunks, from any state."""
    engine, config, rt = process.engine, process.config, process.rt
    rt.persistent = Persistent(process)
    arenas: Any = _Arenas(rt, 0)
    rt.arenas = arenas
    break_memory.any_state(process)
    process.others += break_memory.arenas_below(process, "other") or any_arenas(process, "other")
    user = config.user_arenas and engine.choose(2) == 1
    _any_hint(process, arenas, user)
    _any_rest(process, arenas)
    chunk = config.palloc_chunk_bytes
    n = engine.fresh("asked", chunk, min(config.max_alloc + chunk, engine.room.mask), chunk)
    process.judge.requests = (n,)
    process.lives(lambda: judged(process, arenas.sys_alloc, n, user))


def judged(process: Process, sys_alloc: Any, n: Number, user: bool) -> tuple[Number, Number]:
    """Arenas.sys_alloc, and what it does and leaves; gives what it gives."""
    config, arenas, kernel = process.config, process.rt.arenas, process.kernel
    require, mask, arena = process.judge.require, process.engine.room.mask, config.heap_arena_bytes
    known = [hint.addr for hint in (*arenas.hints, *arenas.user_hints)]
    had, rest, pieces = list(kernel.reserved), arenas.arena.next, len(process.records.ranges)
    v, size = sys_alloc(n, user=user)
    if isinstance(v, FromRefusal):
        require(
            NOTICED, False, f"{v.refused}, which is taken for memory at the address that was asked for, 0"
        )
        return v, size
    for hint in (*arenas.hints, *arenas.user_hints):
        if not any(hint.addr is addr for addr in known):
            right = (hint.addr % arena == 0) & (hint.addr > 0) & (hint.addr <= mask)
            require(ACCEPTED, right, "a hint is a multiple of an arena's size, and not 0")
            below = break_memory.reached(process, hint.addr)
            require(ACCEPTED, below, "a hint lies where the break has been, if there is but a break")
    if type(size) is int and not size:
        require(REFUSED, type(v) is int and v == 0, "no address is given without memory")
        require(REFUSED, arenas.arena.next == rest, "nothing is taken from the start's reservation")
        require(REFUSED, len(process.records.ranges) == pieces, "no arena is entered")
        for held in kernel.reserved if not isinstance(kernel, AnsweringBreak) else ():
            if held not in had:
                require(REFUSED, held.size == 0, "no address space stays reserved")
        break_memory.check(process, *process.others)
        return v, size
    fits(require, v, mask, "the arenas' address", MEANT)
    fits(require, size, mask, "the arenas' size", MEANT)
    require(ACCEPTED, (v % arena == 0) & (size % arena == 0), "whole arenas are given")
    require(ACCEPTED, size >= n, "no less is given than was asked for")
    begin, limit = process.arena_map()
    inside = (begin <= v) & (v + size <= limit) & (v + size <= mask)
    require(ACCEPTED, inside, "arenas lie in the arena map")
    for other in process.others:
        require(TWICE, apart(v, size, other.start, other.size), "an arena is given once")
    process.others.append(HeldMemory(v, size))
    if isinstance(kernel, AnsweringBreak):
        require(ACCEPTED, break_memory.in_use(process, v, size), "arenas lie below the break")
        break_memory.check(process, *process.others)
    else:
        require(ACCEPTED, kernel.holds(v, size), "arenas are reserved")
    _keeps(process, arenas)
    return v, size


def _any_hint(process: Process, arenas: Arenas, user: bool) -> None:
    """One hint, or none. Where there is but a break, the heap's first memory has left hints, too."""
    engine, config = process.engine, process.config
    if not engine.choose(2):
        return
    arena = config.heap_arena_bytes
    hint = Hint(engine.fresh("hint", arena, engine.room.mask, arena), 0)  # type: ignore[arg-type]
    engine.assume(break_memory.reached(process, hint.addr))
    hint.down = engine.choose(2) == 1
    (arenas.user_hints if user else arenas.hints).append(hint)


def _any_rest(process: Process, arenas: Arenas) -> None:
    """What is left of the arenas that the 32-bit start has reserved, of which there may be none."""
    config = process.config
    if config.ptr_size != 4 or config.sbrk_platform or not process.engine.choose(2):
        return
    left = process.held_region("left", config.heap_arena_bytes)
    arenas.arena.next = arenas.arena.mapped = left.start
    arenas.arena.end = left.start + left.size


def _keeps(process: Process, arenas: Arenas) -> None:
    """What is left of the start's reservation is not in use."""
    require = process.judge.require
    linear = arenas.arena
    rest = linear.end - linear.next
    if not linear.end:
        return
    require(ACCEPTED, rest >= 0, "what is left of the start's reservation ends behind its beginning")
    held = process.kernel.holds(linear.next, rest) | (rest == 0)
    require(ACCEPTED, held, "what is left of the start's reservation is reserved")
    for one in process.others:
        free = apart(linear.next, rest, one.start, one.size)
        require(TWICE, free, "what is left of the start's reservation is not in use")
