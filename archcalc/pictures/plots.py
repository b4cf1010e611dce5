"""Curves over events, drawn by matplotlib (the extra `html`)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from archcalc.host.extras import needed
from archcalc.pictures.film import Film
from archcalc.pictures.palette import SPANS

SUFFIXES = (".svg", ".png", ".pdf")
MB = 1 << 20


def figure(film: Film) -> Any:
    """Live bytes, waste and spans of a film, one under the other; lines differ in dashes as in colour."""
    needed("matplotlib", "plotting")
    from matplotlib.figure import Figure

    x = [s.event for s in film.samples]
    picture = Figure(figsize=(9, 7.2), layout="constrained")
    memory, waste, spans = picture.subplots(3, 1, sharex=True)
    for axes, name, style, color, values in (
        (memory, "in objects", "-", "b", [s.live for s in film.samples]),
        (memory, "in spans with objects", "--", "e", [s.in_use for s in film.samples]),
        (memory, "free", "-.", "c", [s.idle for s in film.samples]),
        (memory, "given back", ":", "S", [s.released for s in film.samples]),
        (waste, "free objects in spans", "-", "f", [s.unfilled for s in film.samples]),
        (waste, "tails of spans", "--", "a", [s.tails for s in film.samples]),
    ):
        axes.plot(x, [value / MB for value in values], style, color=SPANS[color].color, label=name)
    spans.plot(x, [s.spans for s in film.samples], "-", color=SPANS["b"].color, label="spans in use")
    for axes, title, unit in (
        (memory, "Memory", "MB"), (waste, "Waste in spans", "MB"), (spans, "Spans", "count"),
    ):  # fmt: skip
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_ylabel(unit)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="best")
    spans.set_xlabel("event")
    picture.suptitle(film.subject, fontsize=12)
    return picture


def to_svg(film: Film) -> str:
    """The curves as an SVG element, the same for the same film."""
    matplotlib = needed("matplotlib", "plotting")
    with matplotlib.rc_context({"svg.hashsalt": "archcalc", "svg.fonttype": "none"}):
        text = io.StringIO()
        figure(film).savefig(text, format="svg", metadata={"Date": None, "Creator": "archcalc"})
    return text.getvalue().partition("<svg ")[2].join(("<svg ", ""))


def to_bytes(film: Film, path: Path) -> bytes:
    """The curves in the format that a file's name asks for."""
    matplotlib = needed("matplotlib", "plotting")
    data = io.BytesIO()
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
    with matplotlib.rc_context({"svg.hashsalt": "archcalc"}):
        figure(film).savefig(data, format=path.suffix.removeprefix("."), metadata=metadata)
    return data.getvalue()
