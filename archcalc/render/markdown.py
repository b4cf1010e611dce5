"""Markdown: headings, pipe tables and paragraphs, to paste into an issue or a review."""

from __future__ import annotations

from collections.abc import Iterator

from tabulate import tabulate

from archcalc.render import Page
from archcalc.results import what_ifs
from archcalc.results.result import Result
from archcalc.results.tables import Block, Drawing, Prose, Section, Table, Value, as_kind, reasons, show


def render(result: Result, page: Page) -> Iterator[str]:
    """The result's view."""
    first = True
    for item in what_ifs.view(result):
        blocks: list[str] = []
        if isinstance(item, Section):
            blocks.append(f"## {item.title}\n")
            blocks += (text for block in item.blocks if (text := block_text(block, page)))
        else:
            blocks.append(block_text(item, page))
        for text in blocks:
            yield text if first else "\n" + text
            first = False


def block_text(block: Block, page: Page) -> str:
    """One block, ending in a newline."""
    title = f"### {block.title}\n\n" if block.title else ""
    if isinstance(block, Drawing):
        lines = block.draw(page.width, page.unicode, False)
        return title + "```\n" + "".join(f"{line}\n" for line in lines) + "```\n"
    if isinstance(block, Prose):
        if block.verbatim or block.indent:
            return f"{title}```\n{block.text.rstrip()}\n```\n"
        return f"{title}{block.text.rstrip()}\n"
    return title + table_text(block)


def table_text(table: Table) -> str:
    """A pipe table with its notes."""
    if not table.rows:
        return "(none)\n"
    cells = [
        [escaped(show(value, column.kind)) for value, column in zip(row, table.columns, strict=True)]
        for row in table.rows
    ]
    align = [
        "right" if all(is_number(row[at], table, at) for row in table.rows) else "left"
        for at in range(len(table.columns))
    ]
    headers = [escaped(column.title) for column in table.columns]
    text = tabulate(cells, headers, tablefmt="pipe", colalign=align, disable_numparse=True)
    notes = [*(f"n/a: {reason}" for reason in reasons(table.rows)), *table.notes]
    return text + "\n" + "".join(f"\n{note}\n" for note in notes)


def is_number(value: Value, table: Table, at: int) -> bool:
    """Whether a cell is a number of its column's type."""
    value = as_kind(value, table.columns[at].kind)
    return isinstance(value, int | float) and not isinstance(value, bool)


def escaped(text: str) -> str:
    """A cell's text without what would end the cell or start markup."""
    for special in "\\|*_`<":
        text = text.replace(special, "\\" + special)
    return text.replace("\n", "<br>")
