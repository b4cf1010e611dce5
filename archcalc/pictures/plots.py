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
NARROW = (4.8, 8.0)  # inches, which a phone has room for
INK = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color")
PLACEHOLDER = "#010203"  # matplotlib knows no currentColor


def figure(film: Film, size: tuple[float, float] = (9, 7.2), *, titled: bool = True) -> Any:
    """Live bytes, waste and spans of a film, one under the other; lines differ in dashes as in colour.

    The legends are above the curves' frames, where they hide nothing. `size` is in inches.
    """
    needed("matplotlib", "plotting")
    from matplotlib.figure import Figure

    x = [s.event for s in film.samples]
    picture = Figure(figsize=size, layout="constrained")
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
    for axes, title in ((memory, "Memory, MB"), (waste, "Waste in spans, MB"), (spans, "Spans")):
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(
            fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderpad=0.2,
            ncols=4 if size[0] > NARROW[0] else 2,
        )  # fmt: skip
    spans.set_xlabel("event")
    if titled:
        picture.suptitle(film.subject, fontsize=12)
    return picture


def to_svg(film: Film, *, inherit: bool = False) -> str:
    """The curves as an SVG element, the same for the same film.

    With `inherit` there is no background, and text and axes have the colour of the text around the picture.
    """
    matplotlib = needed("matplotlib", "plotting")
    settings = {"svg.hashsalt": "archcalc", "svg.fonttype": "none"}
    if inherit:
        settings |= {f"{name}.facecolor": "none" for name in ("figure", "axes", "savefig")}
        settings |= dict.fromkeys(INK, PLACEHOLDER)
    with matplotlib.rc_context(settings):
        text = io.StringIO()
        drawn = figure(film, NARROW, titled=False) if inherit else figure(film)
        drawn.savefig(text, format="svg", metadata={"Date": None, "Creator": "archcalc"})
    element = text.getvalue().partition("<svg ")[2].join(("<svg ", ""))
    return element.replace(PLACEHOLDER, "currentColor")


def to_bytes(film: Film, path: Path) -> bytes:
    """The curves in the format that a file's name asks for."""
    matplotlib = needed("matplotlib", "plotting")
    data = io.BytesIO()
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
    with matplotlib.rc_context({"svg.hashsalt": "archcalc"}):
        figure(film).savefig(data, format=path.suffix.removeprefix("."), metadata=metadata)
    return data.getvalue()
