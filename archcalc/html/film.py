"""A heap on a page: its frames to step through, and its curves."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from archcalc.html.fragments import parts, swatches
from archcalc.html.templates import fill, markup
from archcalc.pictures import heap_svg, plots, svg
from archcalc.pictures.film import Film
from archcalc.pictures.palette import SPANS
from archcalc.results.result import Pictured


def page(result: Pictured, film: Film) -> str:
    """The page of one heap."""
    return fill(
        "heap.html",
        title=film.subject,
        style=markup(svg.style()),
        patterns=markup(svg.patterns(SPANS)),
        film=section(film),
        parts=list(parts(result, drawn=False)),
    )


def section(film: Film) -> Mapping[str, object]:
    """What the template `film.html` shows; instead of curves, where there are none, the reason.

    The page around it has the style and the patterns of pictures.
    """
    curves, why = "", "There are no curves over events: the heap was only looked at once."
    if importlib.util.find_spec("matplotlib") is None:
        why = "The curves over events need matplotlib: pip install 'archcalc[html]'."
    elif len(film.samples) > 1:
        curves = plots.to_svg(film, inherit=True)
    grid = heap_svg.PageGrid(film.frames)
    return {
        # On a page the reader turns the frames, not the clock.
        "picture": markup(heap_svg.draw(film.frames, film.subject, bare=True, turned=True)),
        "words": [grid.words(heap) for heap in film.frames],
        "events": [heap.event for heap in film.frames],
        "legend": swatches((svg.ident(look), SPANS[look]) for look in heap_svg.looks_of(film.frames)),
        "curves": markup(curves),
        "why_none": why,
    }
