"""A result's view as HTML: tables, paragraphs and drawings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from archcalc.html.templates import fill, markup
from archcalc.pictures import svg
from archcalc.pictures.palette import Look
from archcalc.results import what_ifs
from archcalc.results.result import Result
from archcalc.results.tables import Block, Drawing, Prose, Section, Table, reasons, show, stands_right

WIDTH = 100  # characters of a drawing


def view(result: Result, *, drawn: bool = True) -> str:
    """All of the view; without what is drawn in characters where a picture shows it."""
    return fill("view.html", parts=list(parts(result, drawn=drawn)))


def parts(result: Result, *, drawn: bool = True) -> Iterator[Mapping[str, Any]]:
    """The view's headings and blocks as the templates take them."""
    for item in what_ifs.view(result):
        if isinstance(item, Section):
            yield {"kind": "section", "title": item.title}
        for one in item.blocks if isinstance(item, Section) else (item,):
            if drawn or not isinstance(one, Drawing):
                yield block(one)


def block(one: Block) -> Mapping[str, Any]:
    """One block."""
    if isinstance(one, Drawing):
        return {"kind": "pre", "title": one.title, "text": "\n".join(one.draw(WIDTH, True, False))}
    if isinstance(one, Prose):
        return {"kind": "pre" if one.verbatim else "p", "title": one.title, "text": one.text}
    return table(one)


def table(one: Table) -> Mapping[str, Any]:
    """A table with its notes; numbers stand to the right."""
    rows = [
        [
            {"text": show(value, column.kind), "right": stands_right(value, column)}
            for value, column in zip(row, one.columns, strict=True)
        ]
        for row in one.rows
    ]
    head = [column.title for column in one.columns]
    notes = [*(f"n/a: {reason}" for reason in reasons(one.rows)), *one.notes]
    return {"kind": "table", "title": one.title, "head": head, "rows": rows, "notes": notes}


def swatches(looks: Iterable[tuple[str, Look]]) -> list[Mapping[str, Any]]:
    """A legend for the template: of each kind its pattern and its words."""
    return [{"picture": markup(svg.swatch(kind)), "words": look.words} for kind, look in looks]
