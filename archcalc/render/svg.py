"""SVG, for results that are pictures."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.pictures.svg import headed
from archcalc.render import Page
from archcalc.results import what_ifs
from archcalc.results.result import Pictured, Result


def render(result: Result, page: Page) -> Iterator[str]:
    """The result's picture, one document."""
    assert isinstance(result, Pictured)
    picture, words = result.svg(), what_ifs.told(result)
    yield headed(picture, words) if words else picture
