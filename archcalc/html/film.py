"""A heap on a page: its frames to step through, and its curves."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from archcalc.html.fragments import parts
from archcalc.html.templates import fill, markup
from archcalc.pictures import heap_svg, plots
from archcalc.pictures.film import Film
from archcalc.results.result import Pictured


def page(result: Pictured, film: Film) -> str:
    """The page of one heap."""
    shown = list(parts(result, drawn=False))
    return fill("heap.html", title=film.subject, film=section(film), parts=shown)


def section(film: Film, *, bare: bool = False) -> Mapping[str, object]:
    """What the template `film.html` shows; instead of curves, where there are none, the reason."""
    curves, why = "", "There are no curves over events: the heap was looked at once."
    if importlib.util.find_spec("matplotlib") is None:
        why = "The curves over events need matplotlib: pip install 'archcalc[html]'."
    elif len(film.samples) > 1:
        curves = plots.to_svg(film)
    # On a page the reader turns the frames, not the clock.
    picture = heap_svg.draw(film.frames, film.subject, bare=bare, turned=True)
    return {
        "picture": markup(picture),
        "events": [heap.event for heap in film.frames],
        "curves": markup(curves),
        "why_none": why,
    }
