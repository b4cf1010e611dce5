"""A heap in characters: its pages in address order, a letter for what they hold, under it how full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archcalc.pictures.heap import HeapView, ViewedRun
from archcalc.pictures.map_text import ASCII, UNICODE, short
from archcalc.pictures.palette import SPANS, painted
from archcalc.reading.words import counted

ROWS = 24
BLOCKS = "▁▂▃▄▅▆▇█"
DIGITS = "123456789#"


def draw(heap: HeapView, width: int, unicode: bool, color: bool, legend: bool = True) -> list[str]:
    """The heap in at most ROWS rows of pages; a letter stands for 1, 2, 4, … pages.

    Each stretch between long gaps begins a row of its own.
    """
    cells = max(width - len(f"{heap.base + heap.pages * heap.page_size:#x}") - 2, 16)
    stretches = heap.stretches()
    sizes = [sum(run.npages for run in stretch) for stretch in stretches]
    each = 1
    while sum(-(-size // (each * cells)) for size in sizes) > max(ROWS, len(sizes)):
        each *= 2
    lines = [f"{heap.moment}: {short(sum(sizes) * heap.page_size)}, {counted(each, 'page')} a letter"]
    room = width - cells - 1
    end = 0
    for stretch in stretches:
        if end:
            gap = short((stretch[0].page - end) * heap.page_size)
            lines.append(f"{'':<{room}} ({gap} that are not the heap's)")
        shown = shares(stretch, each)
        for at in range(0, len(shown), cells):
            row = shown[at : at + cells]
            address = f"{heap.base + (stretch[0].page + at * each) * heap.page_size:#x}"
            lines.append(f"{address:<{room}} {letters(row, unicode, color)}")
            full = fills(row, unicode).rstrip()
            if full:
                lines.append(f"{'':<{room}} {full}")
        end = stretch[-1].page + stretch[-1].npages
    if legend:
        lines += ["", *explained(heap, unicode, color)]
    return lines


def shares(runs: Iterable[ViewedRun], each: int) -> list[tuple[str, float]]:
    """For each cell of `each` pages what takes most of it, and how full its small objects' spans are."""
    cells: list[tuple[str, float]] = []
    pages: list[ViewedRun] = []
    for run in runs:
        left = run.npages
        while left:
            part = min(left, each - len(pages))
            if part == each:
                # A run that fills cells by itself needs no counting of its pages.
                whole = left // each
                cells += [(run.look, run.fill)] * whole
                left -= whole * each
                continue
            pages += [run] * part
            left -= part
            if len(pages) == each:
                cells.append(_most(pages))
                pages = []
    if pages:
        cells.append(_most(pages))
    return cells


def _most(pages: Sequence[ViewedRun]) -> tuple[str, float]:
    counts: dict[str, list[ViewedRun]] = {}
    for run in pages:
        counts.setdefault(run.look, []).append(run)
    look, most = max(counts.items(), key=lambda item: len(item[1]))
    return look, sum(run.fill for run in most) / len(most)


def letters(row: Sequence[tuple[str, float]], unicode: bool, color: bool) -> str:
    """What the cells hold."""
    text = ""
    at = 0
    while at < len(row):
        end = at
        while end < len(row) and row[end][0] == row[at][0]:
            end += 1
        look = SPANS[row[at][0]]
        letter = (UNICODE if unicode else ASCII).free if row[at][0] == "." else look.letter
        text += painted(letter * (end - at), look, color)
        at = end
    return text


def fills(row: Sequence[tuple[str, float]], unicode: bool) -> str:
    """How full they are; blank under what has no small objects."""
    signs = BLOCKS if unicode else DIGITS
    most = len(signs) - 1
    return "".join(
        signs[most if fill >= 1 else int(fill * most)] if look in "abcdef" else " " for look, fill in row
    )


def explained(heap: HeapView, unicode: bool, color: bool) -> list[str]:
    """The letters of this heap, and the signs under them."""
    looks = {run.look for run in heap.runs}
    lines = [
        f"{letters([(key, 0)], unicode, color)}  {look.words}" for key, look in SPANS.items() if key in looks
    ]
    low, high = (BLOCKS[0], BLOCKS[-1]) if unicode else (DIGITS[0], DIGITS[-1])
    return [*lines, f"under them, how many of the objects are allocated: {low} few, {high} all"]
