"""A result's view as HTML: tables, paragraphs and drawings."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from archcalc.results.result import Result
from archcalc.results.tables import Block, Drawing, Prose, Section, Table, reasons, show, stands_right

WIDTH = 100  # characters of a drawing


def view(result: Result) -> str:
    """All of the view."""
    return "\n".join(_parts(result))


def _parts(result: Result) -> Iterator[str]:
    for item in result.view():
        if isinstance(item, Section):
            yield f"<h2>{escape(item.title)}</h2>"
        for one in item.blocks if isinstance(item, Section) else (item,):
            yield block(one)


def block(one: Block) -> str:
    """One block."""
    title = f"<h3>{escape(one.title)}</h3>" if one.title else ""
    if isinstance(one, Drawing):
        return f"{title}<pre>{escape(chr(10).join(one.draw(WIDTH, True, False)))}</pre>"
    if isinstance(one, Prose):
        name = "pre" if one.verbatim else "p"
        return f"{title}<{name}>{escape(one.text)}</{name}>"
    return title + table(one)


def table(one: Table) -> str:
    """A table with its notes; numbers stand to the right."""
    head = "".join(f'<th scope="col">{escape(column.title)}</th>' for column in one.columns)
    rows = []
    for row in one.rows:
        cells = []
        for value, column in zip(row, one.columns, strict=True):
            kind = ' style="text-align:right"' if stands_right(value, column) else ""
            cells.append(f"<td{kind}>{escape(show(value, column.kind))}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    notes = [*(f"n/a: {reason}" for reason in reasons(one.rows)), *one.notes]
    inner = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table>{inner}</table></div>' + "".join(
        f"<p>{escape(note)}</p>" for note in notes
    )
