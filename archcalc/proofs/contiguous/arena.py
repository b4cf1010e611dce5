"""The machine of 7aefdfded on symbolic answers: mallocinit, and the growth of its arena by induction.

Growth is proved from any state that the invariant allows, not only from those that a run has
reached: `Arena.any_state` makes one, mheap.sysAlloc runs in it on a request of any size, and the
invariant must hold again afterwards. One span stands for all that the heap was ever given, since
only what is true of each span is assumed of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from allocator.common.throw import Death
from allocator.contiguous.config import Config
from allocator.contiguous.contracts import HelpersContract
from allocator.contiguous.mem import System
from allocator.contiguous.mheap import MHeap
from allocator.contiguous.runtime import Runtime
from allocator.kernels.contracts import apart
from allocator.kernels.machine import Machine
from archcalc.proofs.answering import HeldMemory, covered, fits
from archcalc.proofs.contiguous.answering import Answering
from archcalc.proofs.judge import Judge
from archcalc.proofs.paths import Explorer
from archcalc.proofs.properties import ACCEPTED, BITMAP, ENDS, FIXED, REFUSED, SPAN, TABLE, TWICE
from archcalc.proofs.words import SymbolicWord, Truth

Number = Any  # an int, or a SymbolicWord in its place

START_WORDS = frozenset(
    {"runtime: cannot reserve arena virtual address space", "runtime: cannot allocate memory"}
)
GROWTH_WORDS = frozenset({"stat overflow"})
FIGURES = (
    "spans_start", "bitmap", "arena_start", "arena_used", "arena_end", "arena_reserved", "bitmap_mapped",
    "spans_len", "spans_cap",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proven:
    """The object of a proof: a machine's figures, and the system that answers it."""

    config: Config
    contract: HelpersContract
    machine: Machine
    policy: System


@dataclass(frozen=True, slots=True)
class ArenaLayout:
    """A state in which mallocinit can leave the heap; answers only differ in their addresses.

    `slack` are bytes of the reservation beyond the parts, `arena` those of the arena that was asked
    for; `flat` says that addresses count from 0.
    """

    spans: int
    bitmap: int
    arena: int
    slack: int
    flat: bool
    reserved: bool
    held: bool


class Arena:
    """One machine in the middle of a proof."""

    def __init__(self, engine: Explorer, judge: Judge, subject: Proven) -> None:
        self.engine = engine
        self.judge = judge
        config = subject.config
        self.config = config
        self.system = Answering(
            engine, subject.contract, subject.machine, subject.policy, config.ptr_size, judge.require
        )
        self.rt = Runtime.prepared(config, self.system)
        self.last_words = subject.contract.last_words
        self.by_induction = False  # whether it begins in the middle
        judge.calls = lambda: self.system.calls
        judge.figures = self.figures
        judge.requests = ()

    @property
    def heap(self) -> Any:
        """mheap_, once there is one; its numbers may be symbolic."""
        return self.rt.heap

    def figures(self) -> Mapping[str, Number]:
        """Where everything lies; empty before mallocinit has got that far."""
        heap = getattr(self.rt, "heap", None)
        return {} if heap is None else {name: getattr(heap, name) for name in FIGURES}

    # The beginning.

    def start(self) -> ArenaLayout | None:
        """From the first instruction on, on any answers. Returns how the heap is left; None where it dies."""
        try:
            self.rt.start()
        except Death as death:
            self.judge.died(ENDS, death.words, self.last_words | START_WORDS)
            return None
        heap = self.heap
        for name in FIGURES:
            fits(self.judge.require, getattr(heap, name), self.engine.room.mask, f"mallocinit's {name}")
        region = self.system.reservation
        spans = heap.spans_cap * self.config.ptr_size
        bitmap = _known(heap.bitmap - heap.spans_start - spans, self.engine)
        whole = self.rt.attempts[-1].size
        arena = self._arena_of(len(self.rt.attempts))
        return ArenaLayout(
            spans=spans,
            bitmap=bitmap,
            arena=arena,
            slack=whole - spans - bitmap - arena,
            flat=isinstance(heap.arena_start, int) and heap.arena_start == 0,
            reserved=heap.arena_reserved,
            held=region is not None and region.held,
        )

    def check_boot(self) -> None:
        """What `archcalc boot` checks of a machine, on these answers."""
        for check in self.rt.boot_checks():
            self.judge.require(check.id, check.ok, check.seen)

    def _arena_of(self, attempts: int) -> int:
        config = self.config
        if attempts <= len(config.hints):
            return config.arena_size
        return config.ladder[attempts - len(config.hints) - 1]

    # Any state.

    def fresh_state(self, layout: ArenaLayout) -> None:
        """The heap as mallocinit leaves it, wherever that is."""
        self._install(layout)
        heap = self.heap
        heap.arena_used = heap.bitmap
        self.system.regions.append(HeldMemory(heap.bitmap, heap.arena_end - heap.bitmap, layout.held))

    def any_state(self, layout: ArenaLayout) -> None:
        """A heap that has grown somehow: all that is known is the invariant."""
        engine, config = self.engine, self.config
        self._install(layout)
        heap = self.heap
        mask = engine.room.mask
        page = config.page_size
        if self._keeps_its_end(layout):
            heap.arena_used = heap.arena_start + engine.fresh("grown", 0, mask, config.grow_unit)
            low: Number = heap.bitmap
        else:
            heap.arena_used = engine.fresh("arena_used", 0, mask, self._used_unit(layout))
            heap.arena_end = engine.fresh("arena_end", 0, mask)
            low = heap.bitmap if self._only_rises() else engine.fresh("window", 0, mask)
        engine.assume(low <= heap.arena_used)
        self.system.regions.append(HeldMemory(low, heap.arena_end - low, layout.held))
        if layout.arena:
            # Nothing of the first reservation was ever given back, wherever the arena has gone since.
            self.system.regions.append(HeldMemory(heap.bitmap, layout.arena, layout.held))
        engine.assume(apart(heap.spans_start, heap.bitmap - heap.spans_start, low, heap.arena_end - low))
        heap.bitmap_mapped = engine.fresh("bitmap_mapped", 0, layout.bitmap, config.phys_page_size)
        entries = config.phys_page_size // config.ptr_size
        heap.spans_len = engine.fresh("spans_len", 0, heap.spans_cap, entries)
        if not layout.held:
            self.system.regions += self._tables(layout)
        base, size = engine.fresh("span", 0, mask, page), engine.fresh("span_size", page, mask, page)
        self.system.spans.append(HeldMemory(base, size))
        engine.assume(
            *(truth for _, truth, _ in self.invariant(layout)),
            apart(base, size, heap.spans_start, heap.bitmap - heap.spans_start),
            apart(base, size, heap.arena_used, heap.arena_end - heap.arena_used),
        )

    def _install(self, layout: ArenaLayout) -> None:
        engine, config = self.engine, self.config
        machine = self.system.machine
        self.by_induction = True
        end = min(machine.end, engine.room.mask + 1)
        whole = layout.spans + layout.bitmap + layout.arena + layout.slack
        # What is not really reserved lies where it was asked for.
        unit = (self.system.contract.alignment or machine.page_size) if layout.held else self._hint_unit()
        p = engine.fresh("reserved", machine.low, end, unit)
        if layout.held:
            engine.assume(*self.system.contract.place(machine, config.ptr_size, p, whole))
        else:
            engine.assume(p + whole <= engine.room.mask)
        start = p + (-p & (config.page_size - 1))
        heap: Any = MHeap(self.rt, start, layout.spans)  # type: ignore[arg-type]
        self.rt.install_heap(heap)
        heap.bitmap = start + layout.spans + layout.bitmap
        heap.arena_start = 0 if layout.flat else heap.bitmap
        heap.arena_end = p + whole
        heap.arena_reserved = layout.reserved
        self.system.regions.append(HeldMemory(start, layout.spans + layout.bitmap, layout.held))

    def _used_unit(self, layout: ArenaLayout) -> int:
        """What arena_used is always a multiple of, as all is that the system gives and that is asked for."""
        machine, config = self.system.machine, self.config
        given = (self.system.contract.alignment or machine.page_size) if layout.held else self._hint_unit()
        units = given | layout.spans + layout.bitmap | config.grow_unit
        return max(config.page_size, units & -units)

    def _hint_unit(self) -> int:
        """The largest power of two of which every hint is a multiple."""
        bits = self.config.ladder_hint
        for hint in self.config.hints:
            bits |= hint
        return bits & -bits

    def _keeps_its_end(self, layout: ArenaLayout) -> bool:
        """Whether sysAlloc never asks for more than the first reservation (64-bit, past max_arena32)."""
        return not layout.flat and layout.arena > self.config.max_arena32

    def _only_rises(self) -> bool:
        """Whether the arena never moves: every reservation is taken to be where it was asked for."""
        return self.system.contract.believes_all

    def _tables(self, layout: ArenaLayout) -> list[HeldMemory]:
        """Bitmap and table of spans: all that is reserved for them, or what is mapped."""
        heap = self.heap
        if layout.held:
            return [HeldMemory(heap.spans_start, heap.bitmap - heap.spans_start)]
        return [
            HeldMemory(heap.spans_start, heap.spans_len * self.config.ptr_size),
            HeldMemory(heap.bitmap - heap.bitmap_mapped, heap.bitmap_mapped),
        ]

    # What must be so.

    def invariant(self, layout: ArenaLayout) -> Iterator[tuple[str, Truth | bool, str]]:
        """What growth relies on and must preserve, each with the property that it belongs to."""
        heap, config = self.heap, self.config
        used = heap.arena_used - heap.arena_start
        yield ACCEPTED, heap.arena_used % self._used_unit(layout) == 0, "arena_used is aligned"
        if self._only_rises():
            yield ACCEPTED, heap.arena_used >= heap.bitmap, "arena_used is not below where it began"
        yield ACCEPTED, used >= 0, "arena_used is not below arena_start"
        yield ACCEPTED, heap.arena_used <= heap.arena_end, "arena_used is not beyond arena_end"
        described = layout.bitmap * config.heap_bitmap_scale
        if not self._keeps_its_end(layout):
            # mallocinit asks for a page more than its parts need; here it comes after the arena.
            reach = max(described, layout.arena + layout.slack)
            yield ACCEPTED, heap.arena_end - heap.arena_start <= reach, "arena_end is inside the map"
            yield ACCEPTED, used <= described, "the bitmap has room for the arena"
        else:
            yield ACCEPTED, used % self.config.grow_unit == 0, "the arena grows in whole units"
        yield BITMAP, heap.bitmap_mapped * config.heap_bitmap_scale >= used, "bitmap is mapped for the arena"
        yield BITMAP, heap.bitmap_mapped <= layout.bitmap, "bitmap is mapped within its part"
        yield BITMAP, heap.bitmap_mapped % config.phys_page_size == 0, "bitmap is mapped in whole pages"
        described = heap.spans_len << config.page_shift
        yield TABLE, described >= used, "the table of spans is mapped for the arena"
        whole = heap.spans_len * config.ptr_size % config.phys_page_size == 0
        yield TABLE, whole, "the table of spans is mapped in whole pages"
        yield TABLE, heap.spans_len <= heap.spans_cap, "the table of spans is mapped within its part"
        for span in self.system.spans:
            inside = (heap.arena_start <= span.start) & (span.start + span.size <= heap.arena_used)
            yield SPAN, inside, "a span lies between arena_start and arena_used"

    # A step.

    def grow(self, layout: ArenaLayout, n: Number) -> Number:
        """mheap.sysAlloc of n bytes; judges what it does.

        Returns the address, 0 without memory, None where the process dies.
        """
        self.judge.requests = (*self.judge.requests, n)
        return self._grow(layout, n)

    def _grow(self, layout: ArenaLayout, n: Number) -> Number:
        heap, judge, config = self.heap, self.judge, self.config
        before = {name: getattr(heap, name) for name in FIGURES}
        stats = self._counters()
        regions = list(self.system.regions)
        try:
            v = heap.sys_alloc(n)
        except Death as death:
            judge.died(ENDS, death.words, self.last_words | GROWTH_WORDS)
            return None
        for name in FIGURES:
            fits(judge.require, getattr(heap, name), self.engine.room.mask, name)
        fits(judge.require, v, self.engine.room.mask, "the address that is given")
        if type(v) is int and v == 0:
            for name, value in before.items():
                judge.require(REFUSED, getattr(heap, name) == value, f"{name} is as it was")
            judge.require(REFUSED, self._counters() == stats, "the counters are as they were")
            judge.require(REFUSED, self.system.regions == regions, "no address space stays reserved")
        else:
            page = config.page_size
            judge.require(ACCEPTED, v % page == 0, "the address is aligned")
            judge.require(ACCEPTED, covered(v, n, self.system.usable), "what is given is mapped")
            for span in self.system.spans:
                judge.require(TWICE, apart(v, n, span.start, span.size), "it overlaps no span")
            for table in self._tables(layout):
                judge.require(TWICE, apart(v, n, table.start, table.size), "it overlaps no table")
            offset = v - heap.arena_start
            judge.require(
                BITMAP, heap.bitmap_mapped * config.heap_bitmap_scale >= offset + n, "its bitmap is mapped"
            )
            judge.require(TABLE, heap.spans_len << config.page_shift >= offset + n, "its entries are mapped")
            self.system.spans.append(HeldMemory(v, n))
        for id, truth, what in self.invariant(layout) if self.system.spans else ():
            judge.require(id, truth, what)
        for span in self.system.spans:
            free = apart(span.start, span.size, heap.arena_used, heap.arena_end - heap.arena_used)
            judge.require(TWICE, free, "what is left of the arena is in no span")
        if self.by_induction:
            self._keeps_its_rest(layout)
        return v

    def _keeps_its_rest(self, layout: ArenaLayout) -> None:
        """What a later sysMap relies on. A run from the beginning goes on to where that insists on it."""
        heap, judge = self.heap, self.judge
        judge.require(FIXED, heap.arena_reserved is layout.reserved, "the flag says what the reservation is")
        if layout.held:
            rest = heap.arena_end - heap.arena_used
            ours = self.system.held(heap.arena_used, rest) | (rest == 0)
            judge.require(FIXED, ours, "what is left of the arena is reserved")

    def _counters(self) -> list[Number]:
        stats = self.rt.stats
        return [getattr(stats, name) for name in ("heap_sys", "gc_sys", "other_sys", "buckhash_sys")]

    def request(self, least: int = 1) -> SymbolicWord:
        """A number of bytes that mheap.grow may ask for: whole units of 64 KB, up to the largest object."""
        unit = self.config.grow_unit
        most = min(self.config.max_mem + unit, self.engine.room.mask)
        return self.engine.fresh("request", max(unit, least), most, unit)

    def first_growth(self, layout: ArenaLayout) -> Number:
        """The growth for the first small object: a megabyte, or what it needs at least (mheap.grow)."""
        v = self.grow(layout, self.config.heap_alloc_chunk)
        return self._grow(layout, self.config.grow_unit) if type(v) is int and v == 0 else v


def _known(value: Number, engine: Explorer) -> int:
    """A difference of addresses that is the same for all of them."""
    if not isinstance(value, SymbolicWord):
        return int(value)
    engine.holds(False)
    found = engine.number(value)
    assert engine.holds(value == found)
    return found
