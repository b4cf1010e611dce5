"""A heap at one moment: its spans in address order, and what they say of occupancy and fragmentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from allocator.interface import IN_USE, STACK, USED, Allocator, PageRun, waste
from archcalc.pictures.palette import band

GAP = 1 << 13  # pages: longer gaps are left out of drawings
STATES = {"L": "large object", "S": "stacks", ".": "free", "_": "released", "x": "not the heap's"}


@dataclass(frozen=True, slots=True)
class ViewedRun:
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
    def left_out(self) -> bool:
        """Whether it is a long gap between two parts of the heap, which is not drawn."""
        return self.look == "x" and self.npages > GAP

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
    """A moment's totals, in bytes, except the counts."""

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
        """The share of the pages with heap objects that objects really use."""
        return self.live / self.in_use if self.in_use else 0.0

    @property
    def fragmentation(self) -> float:
        """The share of the free pages that is not in the longest free run."""
        return 1 - self.largest_free / self.idle if self.idle else 0.0


@dataclass(frozen=True, slots=True)
class HeapView:
    """One moment. Runs tile the pages from `base` on; `pages` is how many there are."""

    platform: str
    moment: str
    event: int
    base: int
    page_size: int
    pages: int
    runs: tuple[ViewedRun, ...]
    totals: Sample

    @property
    def held(self) -> int:
        """The pages that are the heap's."""
        return sum(run.npages for run in self.runs if run.look != "x")

    def stretches(self) -> list[list[ViewedRun]]:
        """The runs, in pieces where long gaps are: a heap's arenas may lie terabytes apart."""
        found: list[list[ViewedRun]] = [[]]
        for run in self.runs:
            if not run.left_out:
                found[-1].append(run)
            elif found[-1]:
                found.append([])
        return [piece for piece in found if piece]

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
                lost = waste(run.npages * self.page_size, run.slots, run.objects, run.size)
                row[4] += lost.tail
                row[5] += lost.unfilled
        return [Class(number, *rows[number]) for number in sorted(rows)]


def look_at(rt: Allocator, platform: str, moment: str, event: int) -> HeapView:
    """The heap as it is now. Chunks of user arenas may lie outside the regions in use."""
    used = [region for region in rt.regions() if region.state == USED]
    page_size = rt.config.page_size
    held = list(rt.runs())
    starts = [region.base for region in used[:1]] + [run.base for run in held[:1]]
    ends = [region.end for region in used[-1:]] + [run.base + run.pages * page_size for run in held[-1:]]
    base = min(starts, default=0)
    pages = (max(ends, default=0) - base) // page_size
    runs = tuple(_tiled((_run(run, base, page_size) for run in held), pages))
    return HeapView(platform, moment, event, base, page_size, pages, runs, sample(rt, event))


def sample(rt: Allocator, event: int) -> Sample:
    """The totals of now."""
    t = rt.totals()
    spans = t.spans_in_use + t.spans_stack
    return Sample(
        event, t.live, t.in_use, t.stacks, t.idle, t.released, t.tails, t.unfilled, spans, t.largest_free
    )


def _run(run: PageRun, base: int, page_size: int) -> ViewedRun:
    page = (run.base - base) // page_size
    if run.state == IN_USE:
        look = band(run.elemsize) if run.sizeclass else "L"
        return ViewedRun(page, run.pages, look, run.sizeclass, run.elemsize, run.objects, run.slots)
    if run.state == STACK:
        return ViewedRun(page, run.pages, "S")
    return ViewedRun(page, run.pages, "_" if run.released else ".", released=run.released)


def _tiled(runs: Iterable[ViewedRun], pages: int) -> Iterator[ViewedRun]:
    """The runs in address order, with what no span holds between them: a 32-bit heap may have gaps."""
    at = 0
    for run in runs:
        if run.page > at:
            yield ViewedRun(at, run.page - at, "x")
        yield run
        at = run.page + run.npages
    if at < pages:
        yield ViewedRun(at, pages - at, "x")
