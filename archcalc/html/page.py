"""A picture on a page of its own, with its tables."""

from __future__ import annotations

from html import escape
from importlib.resources import files

import archcalc
from archcalc.html.fragments import block
from archcalc.results.result import Pictured
from archcalc.results.tables import Drawing, Section


def asset(name: str) -> str:
    """The text of a file beside this one."""
    return (files("archcalc.html") / name).read_text(encoding="utf-8")


def page(result: Pictured, extra: str = "") -> str:
    """The result's SVG, `extra`, and the tables of its view, without the drawing in characters."""
    title = next((d.title for d in result.view() if isinstance(d, Drawing) and d.title), "archcalc")
    return frame(title, f'<div class="scroll picture">{result.svg()}</div>{extra}{tables(result)}')


def tables(result: Pictured) -> str:
    """What of the result's view is no drawing."""
    parts = []
    for item in result.view():
        if isinstance(item, Section):
            parts.append(f"<h2>{escape(item.title)}</h2>")
        for one in item.blocks if isinstance(item, Section) else (item,):
            if not isinstance(one, Drawing):
                parts.append(block(one))
    return "".join(parts)


def frame(title: str, body: str, script: str = "") -> str:
    """A page around a body."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<meta name="generator" content="archcalc {archcalc.__version__}">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{asset('page.css')}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main>"
        + (f"<script>{script}</script>" if script else "")
        + "</body></html>\n"
    )
