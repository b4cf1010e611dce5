"""Where a machine's memory went: the totals after a workload, and the waste by size class."""

from __future__ import annotations

from dataclasses import dataclass, field

from allocator.interface import IN_USE, Allocator
from archcalc.workloads.driver import Driver


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
    """What a machine looks like after a workload. Bytes, except the counts."""

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
    extent: dict[str, int] = field(default_factory=dict)  # the addresses between which the heap was used
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
            tail, unfilled = run.waste(page_size)
            row[2] += tail
            row[3] += unfilled
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
