"""Results in notebooks: the picture where there is one, else the view."""

from __future__ import annotations

from archcalc.html.fragments import view
from archcalc.results.result import Pictured, Result


def shown(result: Result) -> str:
    """A result as a notebook's cell shows it. A picture is drawn once: as SVG, not in characters too."""
    pictured = isinstance(result, Pictured)
    return (result.svg() if isinstance(result, Pictured) else "") + view(result, drawn=not pictured)
