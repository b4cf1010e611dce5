"""HTML, for results that are pictures: one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.render import Page
from archcalc.results.result import Pictured, Result


def render(result: Result, page: Page) -> Iterator[str]:
    """The result's page."""
    assert isinstance(result, Pictured)
    yield result.html()
