"""The beginning: mallocinit on any answers, and from there to the first memory of the heap."""

from __future__ import annotations

from functools import partial
from typing import Any

from allocator.kernels.contracts import apart
from allocator.sparse import arena_hints
from allocator.sparse.arena_hints import HeapLot, usual_seed
from allocator.sparse.mheap import ALLSPANS_BYTES
from archcalc.proofs.judge import Judge
from archcalc.proofs.loops import Loops
from archcalc.proofs.paths import Explorer
from archcalc.proofs.properties import ACCEPTED, HINTS, LADDER, RECORDED, TWICE
from archcalc.proofs.sparse import break_memory, heap_growth
from archcalc.proofs.sparse.arena_growth import JudgedArenas
from archcalc.proofs.sparse.process import Prepared, Process, explored
from archcalc.proofs.sparse.records import RememberedPieces
from archcalc.proofs.words import negated
from archcalc.reading.words import counted

Number = Any  # an int, or a SymbolicWord in its place


ARRAYS = 3  # how often as many spans as the first array of all spans has room for
SPAN_SIZES = 4  # of runs with small spans, larger ones, …
ASKED = "a hint is an address that a process can have"
NOT_ASKED = "a hint lies in the arena map: else it is not asked for"


def anyhow(engine: Explorer, judge: Judge, subject: Prepared, found: set[bool]) -> None:
    """mallocinit on any answers, with any random number. One hint stands for all.

    `found` gets to know whether the start can leave the scavenge index without a reservation, or with one.
    """
    loops = Loops(engine)
    loops.any_turn = arena_hints.HINTS
    # One try each of the 32-bit start's reservations: `arena_growth` shows that a further one is alike.
    with explored(loops, 1):
        process = Process(engine, judge, subject, loops)
        if process.start():
            found.add(bool(process.rt.tables.index_failed))
            check_hints(process)
            check_ladder(process)
            check_room(process)


def check_hints(process: Process) -> None:
    """Every hint of a 64-bit start is an address at which an arena can be."""
    config, kernel, arenas = process.config, process.kernel, process.rt.arenas
    if config.ptr_size == 4 or config.sbrk_platform:
        return
    arena = config.heap_arena_bytes
    first, end = process.arena_map()
    base: Number = 0
    hints = [*arenas.hints, *arenas.user_hints]
    if config.randomized_heap_base:
        bits = config.random_address_bits - config.log_heap_arena_bytes
        base = HeapLot(process.lot).next(bits) << config.log_heap_arena_bytes
        # What a hint for user arenas is with one base, the heap's first is with another.
        hints = arenas.hints
    for hint in hints:
        process.told = {"hint": hint.addr, "heap_base": base, "for_user_arenas": hint in arenas.user_hints}
        inside = (first <= hint.addr) & (hint.addr + arena <= end)
        fits = negated(inside) | (kernel.machine.low <= hint.addr) & (hint.addr + arena <= kernel.end)
        if config.randomized_heap_base:
            # One that a scenario can show comes first: with a base that is not 0.
            process.judge.require(HINTS, fits | (base < arena), ASKED)
            process.judge.judge()
        process.judge.require(HINTS, fits, ASKED)
        process.judge.judge()
        process.judge.require(HINTS, inside, NOT_ASKED)
        process.judge.judge()


def check_ladder(process: Process) -> None:
    """The reservations of the 32-bit start are no larger than all that a process can have."""
    config, kernel = process.config, process.kernel
    if config.ptr_size == 4 and not config.sbrk_platform:
        for size in config.ladder:
            fits = size + config.heap_arena_bytes <= kernel.end - kernel.machine.low
            process.judge.require(
                LADDER, fits, f"{counted(size, 'byte')} and an arena more fit the address space"
            )


def check_room(process: Process) -> None:
    """What the 32-bit start has reserved for records and arenas is as the growth of arenas relies on."""
    config, kernel, arenas = process.config, process.kernel, process.rt.arenas
    if config.ptr_size == 8 or config.sbrk_platform:
        return
    require = process.judge.require
    rooms = {"records": arenas.heap_arena_alloc, "arenas": arenas.arena}
    for name, room in rooms.items():
        if not room.end:
            continue
        size = room.end - room.next
        require(ACCEPTED, (size >= 0) & kernel.holds(room.next, size), f"the room for {name} is reserved")
        require(ACCEPTED, room.mapped == room.next, f"nothing of the room for {name} is mapped yet")
    require(
        RECORDED, (not arenas.heap_arena_alloc.end) | arenas.heap_arena_alloc.map_memory, "records are mapped"
    )
    first, second = rooms.values()
    if first.end and second.end:
        free = apart(first.next, first.end - first.next, second.next, second.end - second.next)
        require(TWICE, free, "records and arenas do not overlap")
    for hint in (*arenas.hints, *arenas.user_hints):
        right = (hint.addr % config.heap_arena_bytes == 0) & (hint.addr > 0)
        require(
            ACCEPTED,
            right & (hint.addr <= process.engine.room.mask),
            "a hint is a multiple of an arena's size",
        )


def to_the_first_memory(
    engine: Explorer,
    judge: Judge,
    subject: Prepared,
    index_refused: bool,
    lot: int | None = None,
    heap_anywhere: bool = False,
) -> Process | None:
    """mallocinit with no refusal but perhaps the scavenge index's, then the first growth of the heap.

    The system answers at its hints, or else as high as it can; or, with `heap_anywhere`, it gives the heap
    any address, or refuses it. The heap's base is that of releases without a random one, unless the lot
    is given.
    """
    config = subject.config
    if lot is None:
        lot = usual_seed(config) if config.randomized_heap_base else 0
    loops = Loops(engine)
    with explored(loops):
        process = Process(engine, judge, subject, loops, lot)
        process.kernel.obliging = True
        process.refused = "scavenge index" if index_refused else ""
        if not process.start():
            return None
        process.kernel.obliging, process.kernel.generous = not heap_anywhere, True
        return process if process.first_growth() else None


def to_the_second_memory(engine: Explorer, judge: Judge, subject: Prepared) -> None:
    """From a start and a first memory where systems usually give them to a growth of any size, anywhere."""
    config = subject.config
    loops = Loops(engine)
    with explored(loops):
        process = Process(
            engine, judge, subject, loops, usual_seed(config) if config.randomized_heap_base else 0
        )
        process.kernel.obliging = process.kernel.generous = True
        if process.start() and process.first_growth():
            process.kernel.obliging = False
            process.growth(
                engine.fresh("pages", config.palloc_chunk_pages, config.max_alloc >> config.page_shift)
            )


def growths(
    engine: Explorer, judge: Judge, subject: Prepared, times: int, refused: bool = False, mean: bool = False
) -> None:
    """mallocinit, then growth of the heap so many times: by a small object first, then by any.

    Only reservations of growth are refused. One hint stands for all. `refused` lets those of a 32-bit start
    be refused, too, and `mean` all that growth asks for.
    """
    config = subject.config
    loops = Loops(engine)
    with explored(loops):
        process = Process(
            engine, judge, subject, loops, usual_seed(config) if config.randomized_heap_base else 0
        )
        kernel, rt = process.kernel, process.rt
        kernel.obliging, kernel.generous = not refused, True
        if not process.start():
            return
        kernel.obliging, kernel.generous = False, not mean
        rt.persistent = RememberedPieces(rt.persistent)
        arenas = rt.arenas
        arenas.__class__ = JudgedArenas
        arenas.process = process
        arenas.by_index = process.records
        arenas.hints = arenas.hints[:1]
        if not heap_growth.judged(process, 1):
            return
        for _ in range(1, times):
            most = max(config.max_alloc >> config.page_shift, 1)
            npages = engine.fresh("pages", config.palloc_chunk_pages, most)
            if not heap_growth.judged(process, npages):
                return


def records_of_spans(engine: Explorer, judge: Judge, subject: Prepared) -> None:
    """mallocinit and the heap's first memory below a break, then records of ever more spans.

    The array that lists them grows by half, and what it was before goes back: all that a heap which only
    grows ever gives back.
    """
    loops = Loops(engine)
    with explored(loops):
        process = Process(engine, judge, subject, loops)
        process.kernel.obliging = process.kernel.generous = True
        break_memory.watch(process)
        if not process.start() or not process.first_growth():
            return
        pages, config = 1 << engine.choose(SPAN_SIZES), subject.config
        # The array grows more than once.
        spans = ALLSPANS_BYTES // config.ptr_size * ARRAYS
        process.told = {"spans": spans, "pages_each": pages}
        in_arena = config.pages_per_arena // pages
        for _ in range(0, spans, in_arena):
            if not process.lives(partial(_fill_an_arena, process.rt, in_arena)):
                return


def _fill_an_arena(rt: Any, spans: int) -> None:
    rt.growth.grow(rt.config.pages_per_arena)
    while spans:
        spans -= rt.heap.spanalloc.alloc_run(spans)[1]
