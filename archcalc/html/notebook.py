"""Results in notebooks: the view, and in front of it the picture where there is one."""

from __future__ import annotations

from archcalc.html.fragments import view
from archcalc.results.result import Pictured, Result


def shown(result: Result) -> str:
    """A result as a notebook's cell shows it."""
    return (result.svg() if isinstance(result, Pictured) else "") + view(result)
