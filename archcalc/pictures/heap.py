"""A heap at one moment: its spans in address order, and what they say of occupancy and fragmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from allocator.contiguous.mspan import DEAD, IN_USE, STACK
from allocator.contiguous.runtime import Runtime
from archcalc.pictures.palette import band

STATES = {"L": "large object", "S": "stacks", ".": "free", "_": "released", "x": "not the heap's"}


@dataclass(frozen=True, slots=True)
class Run:
    """A run of pages that one span record holds; `look` is a key of palette.SPANS.

    `page` counts from the heap's first page. `objects` of `slots` are allocated, each of `size` bytes. Of
    a free run `released` pages were given back to the OS.
    """

    page: int
    npages: int
    look: str
    sizeclass: int = 0
    size: int = 0
    objects: int = 0
    slots: int = 0
    released: int = 0

    @property
    def fill(self) -> float:
        """The share of its objects that is allocated; 0 for what has none."""
        return self.objects / self.slots if self.slots else 0.0

    @property
    def state(self) -> str:
        """What it is, in words."""
        return STATES.get(self.look, "small objects")


@dataclass(frozen=True, slots=True)
class Class:
    """The spans of one size class; class 0 are large objects. Sizes and waste in bytes."""

    sizeclass: int
    size: int
    spans: int
    objects: int
    free: int
    tails: int
    unfilled: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment's totals, in bytes but for the counts."""

    event: int
    live: int
    in_use: int
    stacks: int
    idle: int
    released: int
    tails: int
    unfilled: int
    spans: int
    largest_free: int

    @property
    def occupancy(self) -> float:
        """The share of pages with heap objects that objects really have."""
        return self.live / self.in_use if self.in_use else 0.0

    @property
    def fragmentation(self) -> float:
        """The share of the free pages that is not in the longest free run."""
        return 1 - self.largest_free / self.idle if self.idle else 0.0


@dataclass(frozen=True, slots=True)
class Heap:
    """One moment. Runs tile the pages from `base` on; `pages` is how many there are."""

    platform: str
    moment: str
    event: int
    base: int
    page_size: int
    pages: int
    runs: tuple[Run, ...]
    totals: Sample

    def classes(self) -> list[Class]:
        """The size classes that have spans, large objects first."""
        rows: dict[int, list[int]] = {}
        for run in self.runs:
            if run.slots:
                row = rows.setdefault(run.sizeclass, [0, 0, 0, 0, 0, 0])
                row[0] = run.size if run.sizeclass else 0
                row[1] += 1
                row[2] += run.objects
                row[3] += run.slots - run.objects
                row[4] += run.npages * self.page_size - run.slots * run.size
                row[5] += (run.slots - run.objects) * run.size
        return [Class(number, *rows[number]) for number in sorted(rows)]


def look_at(rt: Runtime, platform: str, moment: str, event: int) -> Heap:
    """The heap as it is now."""
    rt.sync_caches()
    heap, config = rt.heap, rt.config
    base = heap.bitmap
    pages = max((heap.arena_used - base) >> config.page_shift, 0)
    runs = tuple(_tiled(list(_runs(rt, base)), pages))
    return Heap(platform, moment, event, base, config.page_size, pages, runs, sample(rt, event))


def sample(rt: Runtime, event: int) -> Sample:
    """The totals of now, counted from the spans."""
    rt.sync_caches()
    spans, shift = rt.spans, rt.config.page_shift
    live = in_use = stacks = idle = released = tails = unfilled = largest = count = 0
    for s, state in enumerate(spans.state):
        if state == DEAD:
            continue
        size = spans.npages[s] << shift
        if state == IN_USE:
            count += 1
            objects, slots, each = spans.alloc_count[s], spans.nelems[s], spans.elemsize[s]
            in_use += size
            live += objects * each
            tails += size - slots * each
            unfilled += (slots - objects) * each
        elif state == STACK:
            count += 1
            stacks += size
        else:
            idle += size
            released += spans.npreleased[s] << shift
            largest = max(largest, size)
    return Sample(event, live, in_use, stacks, idle, released, tails, unfilled, count, largest)


def _runs(rt: Runtime, base: int) -> Iterator[Run]:
    spans, shift = rt.spans, rt.config.page_shift
    for s, state in enumerate(spans.state):
        if state == DEAD:
            continue
        page, npages = (spans.base[s] - base) >> shift, spans.npages[s]
        if state == IN_USE:
            sizeclass, size = spans.sizeclass[s], spans.elemsize[s]
            look = band(size) if sizeclass else "L"
            yield Run(page, npages, look, sizeclass, size, spans.alloc_count[s], spans.nelems[s])
        elif state == STACK:
            yield Run(page, npages, "S")
        else:
            released = spans.npreleased[s]
            yield Run(page, npages, "_" if released else ".", released=released)


def _tiled(runs: list[Run], pages: int) -> Iterator[Run]:
    """In address order; what no span holds, as where a 32-bit heap jumped over others, is a run as well."""
    at = 0
    for run in sorted(runs, key=lambda run: run.page):
        if run.page > at:
            yield Run(at, run.page - at, "x")
        yield run
        at = run.page + run.npages
    if at < pages:
        yield Run(at, pages - at, "x")
