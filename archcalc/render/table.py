"""Text for people: aligned columns that fit the page, prose wrapped to it.

A table that is too wide is turned (rows for columns) if it says that it may be and that fits, else
its wrapping columns are narrowed. Where its last column is prose and the others leave it no room,
the prose is below each row. What is still too wide is split into blocks of columns that each
repeat the key columns. Laid out here rather than by a library because of that fitting.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from archcalc.render import Page
from archcalc.render.style import styled
from archcalc.results import what_ifs
from archcalc.results.result import Result
from archcalc.results.tables import (
    Block,
    Drawing,
    Prose,
    Section,
    Table,
    reasons,
    show,
    stands_right,
)

GAP = "  "
NARROWEST = 16
PROSE = 18  # what prose is narrowed to beside other columns, if there is a place below them
BELOW = "    "  # before prose that is below its row
MAX_WIDTH = 1 << 30


def render(result: Result, page: Page) -> Iterator[str]:
    """The result's view as text; one blank line between blocks, none at the end."""
    gap = ""
    for item in what_ifs.view(result):
        if isinstance(item, Section):
            yield gap + styled(item.title, "bold", page.color) + "\n"
            gap = ""
        for block in item.blocks if isinstance(item, Section) else (item,):
            lines = list(block_lines(block, page))
            if lines:
                yield gap + "\n".join(lines) + "\n"
                gap = "\n"
        gap = "\n"


def block_lines(block: Block, page: Page) -> Iterable[str]:
    """One block as lines without line ends."""
    if isinstance(block, Drawing):
        return drawing_lines(block, page)
    return prose_lines(block, page) if isinstance(block, Prose) else table_lines(block, page)


def drawing_lines(drawing: Drawing, page: Page) -> Iterator[str]:
    """A picture as wide as the page."""
    if drawing.title:
        yield styled(drawing.title, "bold", page.color)
    yield from drawing.draw(page.width, page.unicode, page.color)


def prose_lines(prose: Prose, page: Page) -> Iterator[str]:
    """Text, wrapped paragraph by paragraph unless it is verbatim."""
    margin = " " * prose.indent
    if prose.title:
        yield styled(prose.title, "bold", page.color)
    for line in prose.text.rstrip("\n").split("\n"):
        if prose.verbatim or not line.strip():
            yield (margin + line).rstrip() if prose.indent else line
        else:
            hang = margin + " " * (len(line) - len(line.lstrip()))
            yield from textwrap.wrap(
                line.strip(),
                max(page.width, NARROWEST),
                initial_indent=hang,
                subsequent_indent=hang,
                break_long_words=False,
                break_on_hyphens=False,
            )


def table_lines(table: Table, page: Page) -> Iterator[str]:
    """A table's title, its blocks and its notes; a table without rows says so."""
    if table.title:
        yield styled(table.title, "bold", page.color)
    if not table.rows:
        yield "(none)"
    else:
        for at, part in enumerate(fitted(table, page.width)):
            if at:
                yield ""
            yield from part.lines(page)
    for reason in reasons(table.rows):
        yield from textwrap.wrap(f"n/a: {reason}", page.width, subsequent_indent="     ")
    for note in table.notes:
        yield from textwrap.wrap(note, page.width)


class Grid:
    """A table's cells as text with the width that each column needs."""

    def __init__(self, table: Table) -> None:
        self.columns = table.columns
        self.keys = table.keys
        self.cells = [
            [show(value, column.kind) for value, column in zip(row, table.columns, strict=True)]
            for row in table.rows
        ]
        self.right = [
            all(stands_right(row[at], column) for row in table.rows)
            for at, column in enumerate(table.columns)
        ]
        self.widths = [
            max(widest(column.title), *(widest(row[at]) for row in self.cells))
            for at, column in enumerate(table.columns)
        ]

    @property
    def width(self) -> int:
        return sum(self.widths) + len(GAP) * (len(self.widths) - 1)

    @property
    def without_prose(self) -> int:
        """The width without the last column, if that is prose and others come before it."""
        if len(self.widths) < 2 or not self.columns[-1].wrap:
            return MAX_WIDTH
        return self.width - self.widths[-1] - len(GAP)

    def narrowed(self, width: int) -> Grid:
        """The wrapping columns share what the others leave, none below NARROWEST."""
        wrapping = [at for at, column in enumerate(self.columns) if column.wrap]
        spare = width - self.width
        for at in sorted(wrapping, key=lambda at: -self.widths[at]):
            if spare >= 0:
                break
            kept = max(min(self.widths[at], NARROWEST), self.widths[at] + spare)
            spare += self.widths[at] - kept
            self.widths[at] = kept
        return self

    def blocks(self, width: int) -> Iterator[list[int]]:
        """Indices of columns, block by block: the keys and as many others as fit, at least one."""
        keys = list(range(self.keys))
        room = width - sum(self.widths[at] + len(GAP) for at in keys)
        block: list[int] = []
        used = 0
        for at in range(self.keys, len(self.widths)):
            need = self.widths[at] + (len(GAP) if block else 0)
            if block and used + need > room:
                yield keys + block
                block, used, need = [], 0, self.widths[at]
            block.append(at)
            used += need
        yield keys + block


class TablePart:
    """Some columns of a grid, laid out; with `prose`, a width, the last column is below each row."""

    def __init__(self, grid: Grid, columns: Sequence[int], prose: int = 0) -> None:
        self.grid = grid
        self.columns = columns
        self.prose = prose

    def lines(self, page: Page) -> Iterator[str]:
        grid, columns = self.grid, self.columns
        titles = [grid.columns[at].title.split("\n") for at in columns]
        for line in range(max(map(len, titles))):
            heading = self._line([title[line] if line < len(title) else "" for title in titles])
            yield styled(heading, "faint", page.color)
        yield styled(GAP.join("-" * grid.widths[at] for at in columns), "faint", page.color)
        wrapping = any(
            len(row[at]) > grid.widths[at] or "\n" in row[at] for row in grid.cells for at in columns
        )
        for row in grid.cells:
            texts = [row[at] for at in columns]
            if not wrapping:
                yield self._line(texts)
            else:
                folded = [fold(text, grid.widths[at]) for text, at in zip(texts, columns, strict=True)]
                for line in range(max(map(len, folded))):
                    yield self._line([cell[line] if line < len(cell) else "" for cell in folded])
            if self.prose and row[-1]:
                yield from (BELOW + line for line in fold(row[-1], self.prose - len(BELOW)))

    def _line(self, texts: Sequence[str]) -> str:
        grid = self.grid
        return GAP.join(
            text.rjust(grid.widths[at]) if grid.right[at] else text.ljust(grid.widths[at])
            for text, at in zip(texts, self.columns, strict=True)
        ).rstrip()


def fitted(table: Table, width: int) -> list[TablePart]:
    """The table in parts that fit the width, as well as they can."""
    grid = Grid(table)
    if grid.width > width and table.turnable and len(table.rows) < len(table.columns):
        turned = Grid(table.turned())
        if turned.width <= width:
            grid = turned
    prose = grid.widths[-1]
    grid.narrowed(width)
    # Below the rows, prose has the whole width; beside them it needs some.
    squeezed = grid.widths[-1] < min(prose, PROSE) and grid.without_prose <= width
    if grid.width <= width and not squeezed:
        return [TablePart(grid, range(len(grid.widths)))]
    if grid.without_prose <= width:
        return [TablePart(grid, range(len(grid.widths) - 1), width)]
    return [TablePart(grid, columns) for columns in grid.blocks(width)]


def fold(text: str, width: int) -> list[str]:
    """A cell's lines."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines += textwrap.wrap(line, width, break_on_hyphens=False) or [""]
    return lines


def widest(cell: str) -> int:
    """The width of a cell that may have several lines."""
    return max(map(len, cell.split("\n"))) if "\n" in cell else len(cell)
