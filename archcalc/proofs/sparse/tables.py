"""The growth of the page allocator's tables by induction: summaries, scavenge index, bits of chunks.

The heap has grown somehow: some ranges of addresses are in use, and of each the tables are mapped,
no more and no less. PageAlloc.grow runs for any further range. Summaries depend on the neighbours of
the new range only, of which there are none, one or two: a heap of three ranges has all that, and one that
is not a neighbour. The index depends on the lowest and the highest. The levels of the summaries know
nothing of each other, and are proved one by one.
"""

from __future__ import annotations

from typing import Any

from allocator.sparse.summary_memory import SCAV_BYTES, SUM_BYTES, SummaryMemory
from archcalc.proofs.answering import HeldMemory
from archcalc.proofs.properties import CHUNKS, INDEX, OF_CALLS, SUMMARIES
from archcalc.proofs.sparse.kernels import REFUSED, FromRefusal
from archcalc.proofs.sparse.process import Process

Number = Any  # an int, or a SymbolicWord in its place

# What this step asks.
PROPERTIES = OF_CALLS | {SUMMARIES, INDEX, CHUNKS}
NAME = f"{REFUSED}of {{}} bytes for the scavenge index was refused"


class _Summaries(SummaryMemory):
    """Only the levels."""

    __slots__ = ()

    def _grow_index(self, base: Number, limit: Number) -> None:
        pass

    def chunks(self, first: Number, end: Number) -> None:
        """Not looked at here."""


class _Index(SummaryMemory):
    """Only the scavenge index."""

    __slots__ = ()

    def _grow_summaries(self, base: Number, limit: Number, in_use: Any) -> None:
        pass

    def chunks(self, first: Number, end: Number) -> None:
        """Not looked at here."""


class _Chunks(SummaryMemory):
    """Only the tables of chunks."""

    __slots__ = ()

    def _grow_summaries(self, base: Number, limit: Number, in_use: Any) -> None:
        pass

    def _grow_index(self, base: Number, limit: Number) -> None:
        pass


def grow(process: Process) -> None:
    """One growth from any state of a heap whose tables were all reserved."""
    engine, config = process.engine, process.config
    levels = config.summary_levels
    process.empty_heap()
    part = engine.choose(levels + 2)
    if part < levels:
        _grow_level(process, part)
    elif part == levels:
        _grow_chunks(process)
    elif not process.rt.tables.is_32bit:
        _grow_index(process, False)


def grow_without_index(process: Process) -> None:
    """The first growth of a heap whose scavenge index was refused unnoticed."""
    process.empty_heap()
    _grow_index(process, True)


def first_entries(process: Process) -> tuple[Number, Number, Number]:
    """The same by one chunk: its base, and address and bytes of what is mapped (None where nothing is)."""
    process.empty_heap()
    tables = process.rt.tables
    tables.__class__ = _Index
    tables.index = FromRefusal.of(0, NAME.format(tables.index_bytes))
    first, end = process.offsets()
    chunk = process.config.palloc_chunk_bytes
    base: Number = process.engine.fresh("base", first, end - chunk, chunk)
    address = process.config.address(base)
    made = process.lives(lambda: process.rt.pages.grow(address, chunk))
    if not made or not tables.mapped:
        return base, None, None
    v, n, _ = tables.mapped[-1]
    return base, v, n


def heap_range(process: Process) -> tuple[Number, Number]:
    """Some range of addresses of the heap, counted from the beginning of the arena map."""
    engine, config = process.engine, process.config
    first, end = process.offsets()
    chunk = config.palloc_chunk_bytes
    base = engine.fresh("base", first, end - chunk, chunk)
    limit = engine.fresh("limit", first + chunk, end, chunk)
    engine.assume(base < limit)
    return base, limit


def _ranges_in_use(process: Process, count: int) -> list[tuple[Number, Number]]:
    """So many ranges that the heap has, in order, of which none touches the next."""
    engine = process.engine
    ranges: list[tuple[Number, Number]] = []
    for _ in range(count):
        base, limit = heap_range(process)
        if ranges:
            engine.assume(ranges[-1][1] < base)
        ranges.append((base, limit))
    in_use = process.rt.pages.in_use
    in_use.bases = [base for base, _ in ranges]
    in_use.limits = [limit for _, limit in ranges]
    return ranges


def _grow(process: Process, ranges: list[tuple[Number, Number]]) -> tuple[Number, Number] | None:
    """PageAlloc.grow by a range that overlaps none; None where the process dies."""
    engine, config, rt = process.engine, process.config, process.rt
    base, limit = heap_range(process)
    for other, end in ranges:
        engine.assume((limit <= other) | (end <= base))
    process.judge.requests = (limit - base,)
    if process.lives(lambda: rt.pages.grow(config.address(base), limit - base)):
        return base, limit
    return None


def _grow_level(process: Process, level: int) -> None:
    engine, config, kernel = process.engine, process.config, process.kernel
    tables = process.rt.tables
    tables.__class__ = _Summaries
    process.loops.turn[config.summary_levels] = level
    if not tables.is_32bit:
        at = kernel.given(tables.reservation(level))
        tables.summary = [0] * config.summary_levels
        tables.summary[level] = at
        kernel.reserved.append(HeldMemory(at, tables.reservation(level)))
    tables.lengths[level] = engine.fresh("length", 0, tables.entries(level))
    ranges = _ranges_in_use(process, 3 * engine.choose(2))
    if not tables.is_32bit:
        for base, limit in ranges:
            start, end = tables._summary_memory(level, base, limit)
            kernel.in_use.append(HeldMemory(start, end - start))
    grown = _grow(process, ranges)
    if grown is None:
        return
    shift = config.level_shift[level]
    first, end = grown[0] >> shift, (grown[1] - 1 >> shift) + 1
    require = process.judge.require
    require(SUMMARIES, end <= tables.lengths[level], f"the summaries of level {level} may be read")
    require(SUMMARIES, end <= tables.entries(level), f"level {level} has room for its summaries")
    if not tables.is_32bit:
        there = process.mapped_anywhere(at + first * SUM_BYTES, at + end * SUM_BYTES)
        require(SUMMARIES, there, f"the summaries of level {level} are mapped")


def _grow_index(process: Process, refused: bool) -> None:
    engine, config, kernel = process.engine, process.config, process.kernel
    tables = process.rt.tables
    tables.__class__ = _Index
    unit = 1 if config.scav_index_of_bits else SCAV_BYTES
    if refused:
        tables.index = FromRefusal.of(0, NAME.format(tables.index_bytes))
    else:
        tables.index = kernel.given(tables.index_bytes)
        kernel.reserved.append(
            HeldMemory(tables.index, kernel.contract.rounded(kernel.machine, tables.index_bytes))
        )
    ranges = _ranges_in_use(process, 0 if refused else engine.choose(3))
    if ranges:
        tables.index_min, tables.index_max = _entries(process, ranges[0][0], ranges[-1][1])
        if config.scav_index_from_zero:
            tables.index_min = 0
        size = (tables.index_max - tables.index_min) * unit
        kernel.in_use.append(HeldMemory(tables.index + tables.index_min * unit, size))
    grown = _grow(process, ranges)
    if grown is None:
        return
    require = process.judge.require
    shift = config.log_palloc_chunk_bytes + (3 if config.scav_index_of_bits else 0)
    first, end = grown[0] >> shift, (grown[1] - 1 >> shift) + 1
    there = process.mapped_anywhere(tables.index + first * unit, tables.index + end * unit)
    require(INDEX, there, "the entries of the scavenge index are mapped")
    lowest, highest = _entries(
        process, ranges[0][0] if ranges else grown[0], ranges[-1][1] if ranges else grown[1]
    )
    if not config.scav_index_from_zero:
        new_low, new_high = _entries(process, *grown)
        require(
            INDEX,
            (tables.index_min <= lowest) & (tables.index_min <= new_low),
            "the lower bound of the mapped entries is below all of them",
        )
        require(
            INDEX,
            (tables.index_min == lowest) | (tables.index_min == new_low),
            "the lower bound of the mapped entries is that of the heap",
        )
        require(
            INDEX,
            ((tables.index_max >= highest) & (tables.index_max >= new_high))
            & ((tables.index_max == highest) | (tables.index_max == new_high)),
            "the upper bound of the mapped entries is that of the heap",
        )


def _entries(process: Process, base: Number, limit: Number) -> tuple[Number, Number]:
    """Whole pages of entries of the index that describe [base, limit)."""
    config = process.config
    unit = 1 if config.scav_index_of_bits else SCAV_BYTES
    shift = config.log_palloc_chunk_bytes + (3 if config.scav_index_of_bits else 0)
    step = config.phys_page_size // unit
    return (base >> shift) & -step, ((limit - 1 >> shift) + step) & -step


def _grow_chunks(process: Process) -> None:
    """PageAlloc.chunks: a table for each part of the numbers; one chunk of the new ones stands for all."""
    engine, config = process.engine, process.config
    tables = process.rt.tables
    tables.__class__ = _Chunks
    if engine.choose(2):
        tables.tables[engine.fresh("table", 0, (1 << config.palloc_chunks_l1_bits) - 1)] = 1
    ranges = _ranges_in_use(process, 0)
    grown = _grow(process, ranges)
    if grown is None:
        return
    require, loops = process.judge.require, process.loops
    shift = config.log_palloc_chunk_bytes
    base, limit = grown
    chunks: Any = process.rt.pages.chunks
    ((first, end),) = chunks.grown
    require(CHUNKS, (first <= base >> shift) & (limit - 1 >> shift < end), "each new chunk has its bits")
    first, end = loops.ends["SummaryMemory.chunks"]
    shift += config.palloc_chunks_l2_bits
    covered = (first <= base >> shift) & (limit - 1 >> shift < end)
    require(CHUNKS, covered, "each new chunk has a table")
    require(CHUNKS, len(tables.tables) > 0, "a table that was missing was made")
    require(CHUNKS, end <= 1 << config.palloc_chunks_l1_bits, "each table has its place")
