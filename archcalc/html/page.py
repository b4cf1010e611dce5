"""A picture on a page of its own, with its tables."""

from __future__ import annotations

from archcalc.html.fragments import parts
from archcalc.html.templates import fill, markup
from archcalc.results.result import Pictured
from archcalc.results.tables import Drawing


def page(result: Pictured) -> str:
    """The result's SVG and the tables of its view, without the drawing in characters."""
    title = next((d.title for d in result.view() if isinstance(d, Drawing) and d.title), "archcalc")
    shown = list(parts(result, drawn=False))
    return fill("picture.html", title=title, picture=markup(result.svg()), parts=shown)
