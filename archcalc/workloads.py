"""Seeded workloads: what drives a machine when no recording does.

A workload is a function over a `Driver`. The driver allocates, keeps track of
what is alive, collects, audits, and remembers what was asked for, so that the
summary can say where the memory went. Equal seeds give equal runs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from allocator.common.audit import Violation
from allocator.common.throw import Death
from allocator.common.types import KIND_GC_PROG, Type
from allocator.interface import IN_USE, Allocator
from archcalc.traces.writer import Recorder


class Driver:
    """Drives one machine. `n` scales the workload: about so many allocations.

    `live` maps the address of every object that is kept to the bytes asked for.
    """

    def __init__(
        self, rt: Allocator, n: int, seed: int, audit_every: int = 0, recorder: Recorder | None = None
    ) -> None:
        self.rt = rt
        self.recorder = recorder
        self.last: tuple[int, Type | None, int] = (0, None, 0)  # the latest request
        self.n = n
        self.rng = random.Random(seed)
        self.audit_every = audit_every
        self.live: dict[int, int] = {}
        self.allocations = 0
        self.asked = 0
        self.finalizers_run = 0
        self.violations: list[Violation] = []
        self.types = types_for(rt.config.ptr_size)

    def malloc(self, size: int, typ: Type | None = None, keep: bool = True, p: int = 0) -> int:
        """An object; kept alive unless told otherwise."""
        self.last = size, typ, p
        v = self.rt.malloc(size, typ, p=p)
        self.allocations += 1
        if self.recorder is not None and self.allocations % 4096 == 0:
            self.recorder.flush()
        self.asked += size
        if keep:
            # Small objects without pointers share a block; the block is what lives.
            self.live[v] = size
        if self.audit_every and self.allocations % self.audit_every == 0:
            self.audit()
        return v

    def drop(self, share: float) -> None:
        """Lets about that share of the live objects go."""
        for v in [v for v in self.live if self.rng.random() < share]:
            del self.live[v]

    def collect(self, mode: str = "block") -> None:
        """A collection in which `live` survives, and an audit after it."""
        self.rt.collect(list(self.live), mode=self.mode(mode))
        self.audit()

    def mode(self, mode: str) -> str:
        """The mode, or a forced collection in place of a concurrent one where GOGC is off."""
        return "force" if mode == "background" and self.rt.gogc < 0 else mode

    def audit(self) -> None:
        """Looks whether all invariants hold; keeps the first hundred violations."""
        if len(self.violations) < 100:
            self.violations += self.rt.audit()

    def size(self, low: int, high: int) -> int:
        """A size between the two, small ones as likely as large ones."""
        bits = self.rng.uniform(low.bit_length() - 1, high.bit_length() - 1)
        return min(max(int(2**bits), low), high)


def types_for(ptr_size: int) -> list[Type]:
    """Types as programs have them: a pointer, a string, a slice, records, a table with a GC program."""
    table_words = 3 * 128
    # Three words, two of them pointers; the same 126 times more; then the last two pointers.
    program = bytes((3, 0b011, 0x80 | 3, 126, 2, 0b11, 0))
    return [
        *(
            Type.of_words(name, words, ptr_size)
            for name, words in (
                ("*T", "p"),
                ("string", "p."),
                ("[]byte", "p.."),
                ("interface{}", "pp"),
                ("node", "ppp."),
                ("record", "..p.p..."),
                ("header", "p" + "." * 20),
                ("mixed", "p.pp..p.ppp" * 3),
            )
        ),
        Type(
            table_words * ptr_size,
            (table_words - 1) * ptr_size,
            25 | KIND_GC_PROG,
            ptr_size,
            program,
            "table",
        ),
    ]


def mixed(d: Driver) -> None:
    """Objects of all sizes and types, a third dying between collections."""
    for i in range(d.n):
        kind = d.rng.random()
        if kind < 0.35:
            d.malloc(d.size(1, 2048), keep=d.rng.random() < 0.7)
        elif kind < 0.9:
            typ = d.rng.choice(d.types[:-1])
            d.malloc(typ.size * d.rng.choice((1, 1, 1, 2, 3, 7)), typ, keep=d.rng.random() < 0.7)
        elif kind < 0.98:
            d.malloc(d.size(2048, 32768), keep=d.rng.random() < 0.5)
        elif kind < 0.99:
            d.malloc(d.types[-1].size * d.rng.randrange(1, 4), d.types[-1])
        else:
            d.malloc(d.size(32769, 1 << 19))
        if i % max(d.n // 6, 1) == d.n // 12:
            d.drop(0.3)
            d.collect(d.rng.choice(("block", "force", "background")))
    d.rt.scavenge()


def tiny(d: Driver) -> None:
    """Objects of less than 16 bytes without pointers, which share blocks."""
    for i in range(d.n):
        d.malloc(d.rng.randrange(1, 16), keep=d.rng.random() < 0.3)
        if i % max(d.n // 4, 1) == d.n // 8:
            d.drop(0.5)
            d.collect()


def large(d: Driver) -> None:
    """Objects of more than 32 KB, kept and dropped, and their pages given back."""
    room = 1 << 22 if d.rt.config.is_64bit else 1 << 19
    for i in range(max(d.n // 40, 20)):
        typ = d.types[d.rng.randrange(4)] if d.rng.random() < 0.3 else None
        size = d.size(32769, room)
        d.malloc(size - size % typ.size if typ else size, typ, keep=d.rng.random() < 0.4)
        if i % 40 == 39:
            d.drop(0.4)
            d.collect("force" if i % 80 == 39 else "block")
            d.rt.scavenge()


def stacks(d: Driver) -> None:
    """Stacks of all orders coming, growing and going, a collection between."""
    rt = d.rt
    open_stacks: list[tuple[int, int]] = []
    for i in range(d.n // 4):
        if open_stacks and d.rng.random() < 0.48:
            v, n = open_stacks.pop(d.rng.randrange(len(open_stacks)))
            rt.stack_free(v, n)
        else:
            n = rt.config.fixed_stack << d.rng.choice((0, 0, 0, 0, 1, 1, 2, 3, 4, 5))
            open_stacks.append((rt.stack_alloc(n), n))
        if i % max(d.n // 12, 1) == 0:
            d.malloc(d.rng.randrange(16, 4096))
            d.collect()
    for v, n in open_stacks:
        rt.stack_free(v, n)
    d.collect()


def trees(d: Driver) -> None:
    """Binary trees in the simulated heap; what survives is found from their roots."""
    rt = d.rt
    ptr = rt.config.ptr_size
    node = d.types[4]
    roots: list[int] = []
    depth = 6
    for i in range(max(d.n // (1 << depth), 4)):
        level = [d.malloc(node.size, node, keep=False)]
        roots.append(level[0])
        for _ in range(depth - 1):
            below = []
            for parent in level:
                for slot in (0, 1):
                    child = d.malloc(node.size, node, keep=False)
                    rt.store(parent + slot * ptr, child)
                    below.append(child)
            level = below
        if i % 8 == 7:
            roots = [root for root in roots if d.rng.random() < 0.6]
            rt.collect(roots=roots, mode=d.mode("block" if i % 16 == 7 else "background"))
            d.audit()


def finalizers(d: Driver) -> None:
    """Objects with finalizers: kept once when they die, then gone."""
    rt = d.rt
    for i in range(d.n // 2):
        typ = d.rng.choice(d.types[:-1]) if d.rng.random() < 0.6 else None
        v = d.malloc(typ.size if typ else d.rng.randrange(1, 256), typ, keep=d.rng.random() < 0.4)
        if d.rng.random() < 0.15:
            rt.set_finalizer(v)
        if i % max(d.n // 8, 1) == d.n // 16:
            d.drop(0.4)
            d.collect(d.rng.choice(("block", "force")))
            d.finalizers_run += len(rt.run_finalizers())


def procs(d: Driver) -> None:
    """Several Ps allocating in turn, each from its own mcache."""
    count = d.rt.procs
    for i in range(d.n):
        p = d.rng.randrange(count)
        if d.rng.random() < 0.5:
            d.malloc(d.size(1, 4096), p=p, keep=d.rng.random() < 0.6)
        else:
            typ = d.rng.choice(d.types[:-1])
            d.malloc(typ.size, typ, p=p, keep=d.rng.random() < 0.6)
        if d.rng.random() < 0.02:
            d.rt.stack_free(d.rt.stack_alloc(d.rt.config.fixed_stack, p), d.rt.config.fixed_stack, p)
        if i % max(d.n // 5, 1) == d.n // 10:
            d.drop(0.4)
            d.collect(d.rng.choice(("block", "force", "background")))


def churn(d: Driver) -> None:
    """A rising heap under steady turnover, swept in proportion to allocation."""
    rounds = 8
    for turn in range(rounds):
        for _ in range(d.n // rounds):
            typ = d.rng.choice((None, None, *d.types[:-1]))
            size = typ.size if typ else d.size(8, 8192)
            d.malloc(size, typ, keep=d.rng.random() < 0.3 + 0.05 * turn)
        d.drop(0.2)
        d.collect("background")
        if turn % 3 == 2:
            d.rt.scavenge()


def exhaust(d: Driver) -> None:
    """Allocates until the runtime dies of it. Ends with a Death, or when n allocations did not do it."""
    huge = 8 << 30 if d.rt.config.is_64bit else 24 << 20
    for _ in range(d.n):
        for _ in range(3):
            d.malloc(d.rng.randrange(16, 2048))
        d.malloc(d.rng.randrange(huge // 2, huge))


WORKLOADS: Mapping[str, Callable[[Driver], None]] = {
    "mixed": mixed,
    "tiny": tiny,
    "large": large,
    "stacks": stacks,
    "trees": trees,
    "finalizers": finalizers,
    "procs": procs,
    "churn": churn,
    "exhaust": exhaust,
}
PROCS = {"procs": 4}  # GOMAXPROCS, where it is not 1
GOGC = {"churn": 100}  # where it is not off; with it off no concurrent cycle begins
FATAL = frozenset({"exhaust"})  # workloads whose natural end is the runtime's death


@dataclass(frozen=True, slots=True)
class ClassWaste:
    """Where the memory of one size class goes, in bytes. Class 0 stands for large objects."""

    sizeclass: int
    size: int
    spans: int
    objects: int
    asked: int
    inside: int
    tails: int
    unfilled: int


@dataclass(slots=True)
class Summary:
    """What a machine looks like after a workload. Bytes, but for the counts."""

    workload: str
    allocations: int = 0
    asked: int = 0
    collections: int = 0
    finalizers_run: int = 0
    live_objects: int = 0
    live_asked: int = 0
    spans_in_use: int = 0
    spans_stack: int = 0
    spans_free: int = 0
    extent: dict[str, int] = field(default_factory=dict)  # between which addresses the heap was used
    heap_sys: int = 0
    heap_inuse: int = 0
    heap_idle: int = 0
    heap_released: int = 0
    stacks_inuse: int = 0
    classes: list[ClassWaste] = field(default_factory=list)

    @property
    def heap_end(self) -> int:
        """The address up to which the heap has been used."""
        return max(self.extent.values(), default=0)

    @property
    def inside(self) -> int:
        """Lost inside live objects, between what was asked for and their class's size."""
        return sum(c.inside for c in self.classes)

    @property
    def tails(self) -> int:
        """Lost at the ends of spans."""
        return sum(c.tails for c in self.classes)

    @property
    def unfilled(self) -> int:
        """Free objects in spans that are in use."""
        return sum(c.unfilled for c in self.classes)


def summarize(d: Driver, workload: str) -> Summary:
    """Counts a machine's runs of pages."""
    rt = d.rt
    sizes = rt.config.size_classes.class_to_size
    page_size = rt.config.page_size
    rows = [[0] * 4 for _ in sizes]  # spans, objects, tails, unfilled
    for run in rt.runs():
        if run.state == IN_USE:
            row = rows[run.sizeclass]
            row[0] += 1
            row[1] += run.objects
            row[2] += run.pages * page_size - run.slots * run.elemsize
            row[3] += (run.slots - run.objects) * run.elemsize
    asked = [0] * len(sizes)
    rounded = [0] * len(sizes)
    for v, size in d.live.items():
        if size >= rt.config.tiny_size and (block := rt.block_of(v)) is not None:
            sizeclass, elemsize = block
            asked[sizeclass] += size
            rounded[sizeclass] += elemsize
    classes = [
        ClassWaste(i, sizes[i], row[0], row[1], asked[i], rounded[i] - asked[i], row[2], row[3])
        for i, row in enumerate(rows)
        if row[0]
    ]
    totals = rt.totals()
    return Summary(
        workload=workload,
        allocations=d.allocations,
        asked=d.asked,
        collections=totals.collections,
        finalizers_run=d.finalizers_run,
        live_objects=sum(c.objects for c in classes),
        live_asked=sum(d.live.values()),
        spans_in_use=totals.spans_in_use,
        spans_stack=totals.spans_stack,
        spans_free=totals.free_runs,
        extent=extent(rt),
        heap_sys=totals.heap_sys,
        heap_inuse=totals.heap_inuse,
        heap_idle=totals.heap_idle,
        heap_released=totals.heap_released,
        stacks_inuse=totals.stacks_inuse,
        classes=classes,
    )


def extent(rt: Allocator) -> dict[str, int]:
    """The addresses between which the heap has been used, under the machine's names; 0 without a heap."""
    found = rt.heap_figures()
    return {name: int(found.get(name, 0)) for name in rt.EXTENT}


@dataclass(slots=True)
class Run:
    """What came of one workload on one machine. `death` is None where the runtime lived."""

    platform: str
    workload: str
    seed: int
    summary: Summary
    violations: list[Violation]
    death: dict[str, Any] | None

    @property
    def ok(self) -> bool:
        """Whether the audit was clean, and nothing died but what was meant to."""
        return not self.violations and (self.death is None or self.workload in FATAL)


def run(
    rt: Allocator,
    platform: str,
    workload: str,
    n: int,
    seed: int,
    audit_every: int = 0,
    recorder: Recorder | None = None,
) -> Run:
    """Runs a workload on a booted machine. Objects are watched where audits are wanted in between.

    With a recorder, whose machine was booted recording, everything that happened is noted there.
    """
    driver = Driver(rt, n, seed, audit_every, recorder)
    death = None
    if audit_every:
        rt.watch()
    try:
        WORKLOADS[workload](driver)
    except Death as dead:
        death = rt.last_words(dead)
        if recorder is not None:
            recorder.death(dead, recorder.request(*driver.last))
    else:
        driver.audit()
    return Run(platform, workload, seed, summarize(driver, workload), driver.violations, death)


def boot_and_run(
    rt: Allocator,
    platform: str,
    workload: str,
    *,
    n: int,
    seed: int,
    audit_every: int = 0,
    gogc: int | None = None,
    procs: int | None = None,
    record: Path | None = None,
) -> Run:
    """Starts a prepared machine and runs a workload on it; with a file, one that records is written there.

    gogc and procs None: as the workload is about. A machine that does not boot is a run that died.
    """
    count = procs or PROCS.get(workload, 1)
    percent = GOGC.get(workload, -1) if gogc is None else gogc
    try:
        rt.start(percent, count)
    except Death as dead:
        return Run(platform, workload, seed, Summary(workload, extent=extent(rt)), [], rt.last_words(dead))
    recorder = None if record is None else Recorder(rt)
    result = run(rt, platform, workload, n, seed, audit_every, recorder)
    if recorder is not None and record is not None:
        collected = bool(result.summary.collections or percent >= 0)
        recorder.save(
            record,
            result.death is not None,
            workload=workload,
            n=n,
            seed=seed,
            gc="stw" if collected else "off",
            gomaxprocs=count,
        )
    return result
