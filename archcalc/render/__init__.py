"""Results to text: one small module for each format, each with `render(result, page)`.

A renderer yields pieces of text and knows nothing of files, terminals or the command line;
what it may assume of the place that the text goes to is in its `Page`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

from archcalc.results.result import Result

DEFAULT_WIDTH = 100


class Page(NamedTuple):
    """The place that text goes to: its width in characters, whether it shows colours, and more than ASCII."""

    width: int = DEFAULT_WIDTH
    color: bool = False
    unicode: bool = True


def render(result: Result, format: str, page: Page) -> Iterator[str]:
    """The result as text, in pieces; `format` is one of `result.formats`."""
    if format not in result.formats:
        raise ValueError(f"{type(result).__name__} has no format {format!r}")
    pieces: Iterator[str] = import_module(f"archcalc.render.{format}").render(result, page)
    return pieces
