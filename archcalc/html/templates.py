"""The templates of pages, filled by Jinja2: every value is escaped that is not marked as markup.

Markup are our own SVG (archcalc.pictures.svg escapes what it writes), styles and scripts. Jinja2 is imported
here alone, and once a page is wanted.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import archcalc


def asset(name: str) -> str:
    """The text of a file beside this one."""
    return (files("archcalc.html") / name).read_text(encoding="utf-8")


@cache
def _environment() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(lambda name: asset(f"templates/{name}")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"version": archcalc.__version__, "asset": lambda name: markup(asset(name))}
    return environment


def markup(text: str) -> Any:
    """Text of our own that goes into a page unchanged."""
    from markupsafe import Markup

    return Markup(text)


def fill(name: str, **values: object) -> str:
    """A template of the folder `templates`, with these values."""
    return str(_environment().get_template(name).render(values))
