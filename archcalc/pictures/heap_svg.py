"""A heap as SVG: rows of pages, each span filled as high as its objects are allocated; films are animated."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from archcalc.pictures import svg
from archcalc.pictures.heap import HeapView, ViewedRun
from archcalc.pictures.map_text import short
from archcalc.pictures.palette import SPANS
from archcalc.reading.words import counted

WIDTH = 1000
MARGIN = 12
ADDRESS = 100  # room for a row's address
ROW = 15
GAP = 3
ROWS = 40
LINE = 14
SECONDS = 0.5  # of one frame
STILL = ".fr{visibility:hidden}.fr.now{visibility:visible}"


def draw(frames: Sequence[HeapView], subject: str, *, bare: bool = False, turned: bool = False) -> str:
    """One heap, or a film that shows one frame after the other forever.

    Where motion is not wanted (prefers-reduced-motion), and where styles are ignored, the last frame shows.
    A film that is `turned` is on a page that has its heading, its legend and the moment's words. It is
    still, and a script moves the class `now` from the last frame to another.
    """
    grid = PageGrid(frames)
    top = MARGIN if turned else MARGIN + 2 * LINE
    body: list[str] = [] if turned else [svg.text(MARGIN, MARGIN + 8, subject, class_="b")]
    if len(frames) > 1:
        body.append(f"<style>{STILL if turned else motion(len(frames))}</style>")
    for at, frame in enumerate(frames):
        last = at == len(frames) - 1
        drawn = list(grid.frame(frame, top, told=turned or last))
        if not turned:
            drawn.insert(0, svg.text(MARGIN, top - 6, grid.words(frame), class_="dim"))
        now = " now" if turned and last else ""
        attributes = {"class_": f"fr fr{at}{now}"} if len(frames) > 1 else {}
        body.append(svg.tag("g", "".join(drawn), **attributes))
    height = top + grid.rows * (ROW + GAP) + LINE
    if not turned:
        looks = looks_of(frames)
        body += legend(looks, height)
        height += LINE * (len(looks) // 2 + 2)
    return svg.document(WIDTH, height, subject, SPANS, body, bare=bare)


def looks_of(frames: Sequence[HeapView]) -> list[str]:
    """What runs of these heaps look like, in the legend's order."""
    return [key for key in SPANS if any(run.look == key for frame in frames for run in frame.runs)]


def motion(count: int) -> str:
    """CSS that shows each of so many frames in its turn."""
    share = 100 / count
    rules = [
        f"@keyframes fr{at}{{0%{{visibility:{'visible' if at == 0 else 'hidden'}}}"
        f"{share * at:.3f}%{{visibility:visible}}{share * (at + 1):.3f}%,100%{{visibility:hidden}}}}"
        f".fr{at}{{animation:fr{at} {SECONDS * count}s step-end infinite}}"
        for at in range(count)
    ]
    return (
        f".fr{{visibility:hidden}}.fr{count - 1}{{visibility:visible}}"
        f"@media (prefers-reduced-motion:no-preference){{{''.join(rules)}}}"
    )


class PageGrid:
    """Rows of equally many pages, a power of two, so that frames of a film can be compared.

    Long gaps that no frame has anything in are left out; what comes after one begins a row.
    """

    def __init__(self, frames: Sequence[HeapView]) -> None:
        self.stretches = _joined(
            (frame.base // frame.page_size + stretch[0].page, sum(run.npages for run in stretch))
            for frame in frames
            for stretch in frame.stretches()
        )
        sizes = [end - start for start, end in self.stretches]
        self.per_row = 64
        while sum(-(-size // self.per_row) for size in sizes) > max(ROWS, len(sizes)):
            self.per_row *= 2
        self.firsts = [0, *accumulate(-(-size // self.per_row) for size in sizes)]
        self.rows = max(self.firsts[-1], 1)
        self.scale = (WIDTH - 2 * MARGIN - ADDRESS) / self.per_row

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The rows that pages from one to another lie in: (row, page of it, how many)."""
        at = max(bisect(self.stretches, start, key=lambda stretch: stretch[0]) - 1, 0)
        first = self.stretches[at][0] if self.stretches else start
        while start < end:
            row, page = divmod(start - first, self.per_row)
            stop = min(end, start - page + self.per_row)
            yield self.firsts[at] + row, page, stop - start
            start = stop

    def words(self, heap: HeapView) -> str:
        """One heap's heading."""
        t = heap.totals
        return (
            f"{heap.moment}: {short(t.live)} in objects, {short(t.in_use)} in spans, {short(t.idle)} free"
            f" ({short(t.released)} given back); a row is {short(self.per_row * heap.page_size)}"
        )

    def frame(self, heap: HeapView, top: float, told: bool) -> Iterator[str]:
        """One heap's rows; each run says what it is where words are `told`."""
        first = heap.base // heap.page_size
        for stretch in heap.stretches():
            start = first + stretch[0].page
            for row, page, pages in self.pieces(start, start + sum(run.npages for run in stretch)):
                y = top + row * (ROW + GAP)
                yield svg.text(MARGIN, y + ROW - 3, f"{(start - page) * heap.page_size:#x}", class_="dim")
                x = MARGIN + ADDRESS + page * self.scale
                yield svg.rect(x, y, pages * self.scale, ROW, class_="edge")
                start += pages
        for look, fill, start, end, words in self.merged(heap):
            yield from self.run(look, fill, first + start, first + end, words if told else "", top)

    def merged(self, heap: HeapView) -> Iterator[tuple[str, int, int, int, str]]:
        """Runs as (look, eighths full, first page, last, words); equal neighbours joined, free ones not."""
        found: tuple[str, int, int, int, str] | None = None
        for run in heap.runs:
            if run.look == "." or run.left_out:
                continue
            look, fill, start, end = run.look, round(run.fill * 8), run.page, run.page + run.npages
            if found is not None and found[:2] == (look, fill) and found[3] == start and not self.wide(run):
                found = (look, fill, found[2], end, f"{counted(end - found[2], 'page')}, {SPANS[look].words}")
                continue
            if found is not None:
                yield found
            found = (look, fill, start, end, described(run, heap))
        if found is not None:
            yield found

    def wide(self, run: ViewedRun) -> bool:
        """Whether a run is wide enough to be drawn by itself."""
        return run.npages * self.scale > 12

    def run(self, look: str, fill: int, start: int, end: int, words: str, top: float) -> Iterator[str]:
        """A run's part of each row that it lies in."""
        for row, page, pages in self.pieces(start, end):
            x = MARGIN + ADDRESS + page * self.scale
            width = max(pages * self.scale - 0.4, 0.5)
            y = top + row * (ROW + GAP)
            if look in "abcdef":
                height = ROW * fill / 8
                parts = [svg.rect(x, y, width, ROW, fill=SPANS[look].color, fill_opacity=".25")]
                if fill:
                    parts.append(svg.rect(x, y + ROW - height, width, height, **svg.fill(look)))
                yield svg.group(parts, words)
            else:
                yield svg.rect(x, y, width, ROW, words, **svg.fill(look))


def _joined(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches of pages, each told by its first and how many, as (first, end): in order, none overlaps."""
    found: list[tuple[int, int]] = []
    for start, pages in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], start + pages)
        else:
            found.append((start, start + pages))
    return found


def described(run: ViewedRun, heap: HeapView) -> str:
    """A run's description, shown to a pointer."""
    size = run.npages * heap.page_size
    words = f"{heap.base + run.page * heap.page_size:#x}: {counted(run.npages, 'page')}"
    words += f" ({short(size)}, {counted(size, 'byte')}), {SPANS[run.look].words}"
    if run.sizeclass:
        words += (
            f": class {run.sizeclass}, {run.objects} of {counted(run.slots, 'object')} of "
            f"{counted(run.size, 'byte')}"
        )
    return words


def legend(looks: Sequence[str], top: float) -> Iterator[str]:
    """Patterns with their words."""
    for at, look in enumerate(looks):
        x, y = MARGIN + (at % 2) * WIDTH / 2, top + (at // 2) * LINE
        yield svg.rect(x, y, 16, 10, **svg.fill(look))
        yield svg.rect(x, y, 16, 10, class_="edge")
        yield svg.text(x + 22, y + 9, SPANS[look].words)
