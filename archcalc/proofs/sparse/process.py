"""The machine of today on symbolic answers: mallocinit, and the growth of its heap.

Its tables whose keys are addresses or numbers of arenas are lists of pairs here, since a dictionary
needs keys that are known; the contents of summaries and page bitmaps are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from allocator.common.throw import Death
from allocator.kernels.contracts import apart
from allocator.kernels.machine import Machine
from allocator.sparse import arena_hints, arenas, mem, page_alloc, scavenge_index, summary_memory
from allocator.sparse.addr_ranges import AddrRanges
from allocator.sparse.arena_hints import SEED_BITS
from allocator.sparse.config import Config
from allocator.sparse.mallocinit import mallocinit
from allocator.sparse.page_alloc import PageAlloc, Tables
from allocator.sparse.runtime import Runtime
from allocator.sparse.summary_memory import SummaryMemory
from allocator.sparse.systems import FAMILIES
from archcalc.proofs.answering import HeldMemory
from archcalc.proofs.judge import Judge
from archcalc.proofs.loops import Loops, over_the_unknown
from archcalc.proofs.paths import Explorer
from archcalc.proofs.properties import CHUNKS, ENDS, INDEX, RECORDED, SUMMARIES
from archcalc.proofs.sparse.kernels import KERNELS, AnsweringBreak, FromRefusal
from archcalc.proofs.words import Truth
from archcalc.reading.words import counted

Number = Any  # an int, or a SymbolicWord in its place

# The last words that a refused call may end the process with.
KNOWN_WORDS = frozenset(
    {
        "failed to reserve page summary memory",
        "memory reservation exceeds address space limit",
        "out of memory",
        "out of memory allocating allArenas",
        "out of memory allocating heap arena map",
        "out of memory allocating heap arena metadata",
        "pageAlloc: out of memory",
        "runtime: cannot allocate memory",
        "runtime: cannot map pages in arena address space",
        "runtime: failed to commit pages",
        "runtime: mmap: access denied",
        "runtime: mmap: too much locked memory (check 'ulimit -l').",
        "runtime: out of memory",
        "failed to allocate aligned heap memory; too many retries",
    }
)
LOOPING = (arena_hints, arenas, page_alloc, scavenge_index, summary_memory)
SOMEWHERE = 1 << 12  # an address of memory that is ignored
MOST_TRIES = 2  # of one reservation, on windows
RETRIES = 2  # of an aligned reservation on windows: a further one begins as the first did


@dataclass(frozen=True, slots=True)
class Prepared:
    """The object of a proof: a machine's figures, and the computer that it is on."""

    config: Config
    machine: Machine


class Pairs:
    """A mapping whose keys may be symbolic: two keys are compared, and the path forks on the outcome."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Number, Any]] = []
        self.grown: list[tuple[Number, Number]] = []

    def grow(self, first: Number, end: Number, new: Any, change: Any = None) -> None:
        """Keys from first to end have something; what it is does not matter."""
        self.grown.append((first, end))

    def get(self, key: Number, default: Any = None) -> Any:
        """What is under the key."""
        for known, value in self.pairs:
            if known == key:
                return value
        return default

    def __contains__(self, key: Number) -> bool:
        return any(known == key for known, _ in self.pairs)

    def has(self, key: Number) -> Any:
        """Whether something is under the key, as a condition: no path forks on it."""
        found: Any = False
        for known, _ in self.pairs:
            found = found | (known == key)
        return found

    def __getitem__(self, key: Number) -> Any:
        found = self.get(key, self)
        if found is self:
            raise KeyError(key)
        return found

    def __setitem__(self, key: Number, value: Any) -> None:
        self.pairs.append((key, value))

    def __len__(self) -> int:
        return len(self.pairs)


class Records:
    """Which arenas have records: ranges of their numbers, [first, end). `made` are those of one step."""

    def __init__(self) -> None:
        self.ranges: list[tuple[Number, Number]] = []
        self.made: list[tuple[Number, Any]] = []

    def add(self, config: Config, arenas: HeldMemory) -> None:
        """The arenas of that memory have records."""
        first = config.arena_index(arenas.start)
        self.ranges.append((first, first + (arenas.size >> config.log_heap_arena_bytes)))

    def has(self, index: Number) -> Truth | bool:
        """Whether the arena with that number has a record."""
        whole: Truth | bool = False
        for first, end in self.ranges:
            whole = whole | ((first <= index) & (index < end))
        return whole

    def __contains__(self, index: Number) -> bool:
        return bool(self.has(index))

    def __setitem__(self, index: Number, record: Any) -> None:
        self.made.append((index, record))


class _Pages(PageAlloc):
    """A page allocator of which only the memory matters, not its bits."""

    __slots__ = ()

    def update(self, off: Number, npages: Number) -> None:
        """The summaries' contents."""

    def mark_random_padding(self, base: Number, npages: Number) -> None:
        """Pages that are taken forever."""


class _Ranges(AddrRanges):
    """Ranges of which the last one is not entered: it is not needed any more."""

    def add(self, base: Number, limit: Number) -> None:
        """Nothing."""


class _Persistent:
    """Small pieces of memory, which is always available."""

    def alloc(self, size: Number, align: int, stat: str) -> int:
        """Some address."""
        return SOMEWHERE


class _NoTables(Tables):
    """What a page allocator is made with before it has tables."""

    def in_use(self, entries: int) -> None:
        """Nothing."""

    def reserve(self) -> None:
        """Nothing."""

    def grow(self, base: Number, limit: Number, in_use: AddrRanges) -> None:
        """Nothing."""

    def chunks(self, first: Number, end: Number) -> None:
        """Nothing."""

    def known_up_to(self, limit: Number) -> Number:
        """Not asked for."""
        return limit

    def ready_up_to(self, limit: Number) -> Number:
        """Not asked for."""
        return limit


class Process:
    """One machine in the middle of a proof."""

    def __init__(
        self, engine: Explorer, judge: Judge, subject: Prepared, loops: Loops, lot: int | None = None
    ) -> None:
        """`lot` is the random number that the heap's base is drawn from; default: any."""
        self.engine = engine
        self.judge = judge
        self.subject = subject
        self.loops = loops
        config = self.config = subject.config
        family = KERNELS[FAMILIES[config.goos][0]]
        self.kernel = family(engine, subject.machine, config.ptr_size, judge.require)
        self.rt: Any = Runtime.__new__(Runtime)
        self.lot: Number = lot or 0
        if lot is None and config.randomized_heap_base:
            self.lot = engine.fresh("lot", 0, (1 << SEED_BITS) - 1)
        self.used: list[HeldMemory] = []  # memory that the heap has been given
        self.records = Records()
        self.others: list[HeldMemory] = []  # arenas that the heap has
        self.below: Number = 0  # where the break began
        self.told: dict[str, Number] = {}  # what else a refutation is to tell
        self.rt.prepare(config, self.kernel, heap_seed=self.lot)
        self.refused = ""  # what every reservation for is refused, by its name
        self._remember_refusals(self.rt.mem.os)
        judge.calls = lambda: self.kernel.calls
        judge.figures = self.figures
        judge.requests = ()

    def _remember_refusals(self, os: Any) -> None:
        reserve = os.reserve

        def remembering(v: Number, n: Number, name: str) -> Number:
            if name == self.refused:
                self.kernel.script = [True] * MOST_TRIES
            p = reserve(v, n, name)
            self.kernel.script = []
            if type(p) is int and p == 0:
                size = f" of {counted(n, 'byte')}" if isinstance(n, int) else ""
                return FromRefusal.of(0, f"the reservation{size} for the {name} was refused")
            return p

        os.reserve = remembering

    def figures(self) -> Mapping[str, Number]:
        """Where everything lies; empty before mallocinit has come so far."""
        rt = self.rt
        found: dict[str, Number] = dict(self.told)
        if hasattr(rt, "tables"):
            found |= {f"summaries_{level}": at for level, at in enumerate(rt.tables.summary)}
            found["scavenge_index"] = rt.tables.index
            found |= {f"{what.replace(' ', '_')}_mapped_at": v for v, _, what in rt.tables.mapped}
            found |= {f"{what.replace(' ', '_')}_mapped_bytes": n for _, n, what in rt.tables.mapped}
        if self.records.ranges:
            found["arenas"] = sum((end - first for first, end in self.records.ranges), 0)
        if hasattr(rt, "growth"):
            found |= {"arena_base": rt.growth.base, "arena_end": rt.growth.end}
        return found

    # The beginning.

    def start(self) -> bool:
        """mallocinit on any answers; False where it dies."""
        return self.lives(lambda: mallocinit(self.rt)) and self._opened()

    def _opened(self) -> bool:
        """Replaces the machine's dictionaries by mappings that can have unknown keys."""
        rt = self.rt
        rt.arenas.by_index = Pairs()
        rt.arenas.l2_maps = Pairs()
        rt.tables.tables = Pairs()
        rt.pages.__class__ = _Pages
        rt.pages.mapped = lambda p: True
        rt.pages.chunks = Pairs()
        rt.pages.index.chunks = Pairs()
        return True

    def lives(self, act: Any) -> bool:
        """Does something; False where the process dies, with words that are judged."""
        try:
            act()
        except Death as death:
            self.judge.died(ENDS, death.words, KNOWN_WORDS)
            return False
        return True

    # Any state.

    def arena_map(self) -> tuple[int, int]:
        """The addresses that the arena map has room for, which may begin below 0: first and end."""
        config = self.config
        begin = config.arena_base_offset
        if begin >> 8 * config.ptr_size - 1:
            begin -= 1 << 8 * config.ptr_size
        return begin, begin + (1 << config.heap_addr_bits)

    def offsets(self) -> tuple[int, int]:
        """The user's addresses that are in the arena map, counted from its beginning: first and end."""
        config = self.config
        begin, limit = self.arena_map()
        first = max(self.subject.machine.low, begin) - begin
        end = min(self.kernel.end, limit) - begin
        chunk = config.palloc_chunk_bytes
        return -(-first // chunk) * chunk, end // chunk * chunk

    def empty_heap(self) -> None:
        """The page allocator and its tables, which nothing has been asked for yet."""
        rt: Any = self.rt
        rt.persistent = _Persistent()
        rt.tables = SummaryMemory(rt)
        rt.pages = PageAlloc(self.config, _NoTables(), lambda p: True)
        rt.pages.tables = rt.tables
        rt.pages.in_use = _Ranges(rt.tables.in_use)
        rt.tables.tables = Pairs()
        rt.pages.__class__ = _Pages
        rt.pages.chunks = Pairs()
        rt.pages.index.chunks = Pairs()

    def mapped_anywhere(self, start: Number, end: Number) -> Any:
        """Whether any byte of [start, end) is in use, which stands for all."""
        at = self.engine.fresh("byte", 0, self.engine.room.mask)
        self.engine.assume(start <= at, at < end)
        inside: Any = False
        for used in self.kernel.usable():
            inside = inside | ((used.start <= at) & (at < used.start + used.size))
        return inside

    def held_region(self, name: str, unit: int) -> HeldMemory:
        """Memory of whole units that the program holds somewhere, apart from all else that it has."""
        engine, kernel = self.engine, self.kernel
        start = engine.fresh(name, 0, engine.room.mask, unit)
        size = engine.fresh(f"{name}_size", unit, engine.room.mask, unit)
        engine.assume(
            *kernel.contract.place(kernel.machine, kernel.ptr_size, start, size),
            start + size <= engine.room.mask,
            *(apart(start, size, held.start, held.size) for held in kernel.reserved),
        )
        region = HeldMemory(start, size)
        kernel.reserved.append(region)
        return region

    # Growth.

    def first_growth(self) -> bool:
        """The heap's first memory, one chunk; False where there is none or the process dies."""
        # One hint stands for all: what is tried after one that failed does not depend on that.
        self.rt.arenas.hints = self.rt.arenas.hints[:1]
        return self.growth(self.config.palloc_chunk_pages)

    def growth(self, npages: Number) -> bool:
        """The heap grows by so many pages and its tables with it; False where it does not or dies."""
        self.judge.request(npages << self.config.page_shift)
        got: list[Number] = []
        if not self.lives(lambda: got.append(self.rt.growth.grow(npages))):
            return False
        if type(got[0]) is int and not got[0]:
            return False
        self.check_heap()
        return True

    def check_heap(self) -> None:
        """What must hold of each piece of the heap: its tables are mapped, its arenas have records."""
        rt, config, judge = self.rt, self.config, self.judge
        tables = rt.tables
        for base, limit in rt.pages.in_use:
            for level in range(config.summary_levels):
                first, end = base >> config.level_shift[level], (limit - 1 >> config.level_shift[level]) + 1
                at = tables.summary[level]
                start, size = at + first * 8, (end - first) * 8
                there = self._mapped(start, size)
                judge.require(SUMMARIES, there, f"level {level} of the summaries is mapped")
            if config.summary_levels == 5:
                unit = 1 if config.scav_index_of_bits else 8
                shift = config.log_palloc_chunk_bytes + (3 if config.scav_index_of_bits else 0)
                first, end = base >> shift, (limit - 1 >> shift) + 1
                there = self._mapped(tables.index + first * unit, (end - first) * unit)
                if isinstance(self.kernel, AnsweringBreak):
                    # Nothing is mapped here: what lies there without a reservation is not the program's.
                    there = there and not isinstance(tables.index, FromRefusal)
                refused = getattr(tables.index, "refused", "")
                what = (
                    f"{refused}, and its entries lie anywhere" if refused else "the scavenge index is mapped"
                )
                judge.require(INDEX, there, what)
            for edge in (base, limit - 1):
                table = edge >> config.log_palloc_chunk_bytes + config.palloc_chunks_l2_bits
                judge.require(CHUNKS, tables.tables.has(table), "each chunk has a table")
                number = config.arena_index(config.address(edge))
                judge.require(RECORDED, number < 1 << config.arena_bits, "an arena has its place in the map")
                judge.require(RECORDED, rt.arenas.by_index.has(number), "an arena has a record")

    def _mapped(self, start: Number, size: Number) -> Any:
        inside: Any = False
        for used in self.kernel.usable():
            inside = inside | ((used.start <= start) & (start + size <= used.start + used.size))
        return inside


@contextmanager
def explored(loops: Loops, tries: int = RETRIES) -> Iterator[None]:
    """The machine's modules as an exploration needs them, with so many tries of an aligned reservation."""
    retries = mem.ALIGNED_RETRIES
    mem.ALIGNED_RETRIES = tries
    try:
        with over_the_unknown(loops, *LOOPING):
            yield
    finally:
        mem.ALIGNED_RETRIES = retries
