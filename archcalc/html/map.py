"""Maps of address spaces on a page of their own, with their tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.html.fragments import parts, swatches
from archcalc.html.templates import fill, markup
from archcalc.pictures import map_svg, svg
from archcalc.pictures.atlas import Atlas
from archcalc.pictures.palette import LOOKS, looks_of
from archcalc.results.result import Result


def page(result: Result, atlases: Sequence[Atlas]) -> str:
    """Each map as wide as a window has room, or narrow on a phone; one legend; the tables of the view."""
    kinds = map_svg.kinds_of(atlases)
    names = ", ".join(dict.fromkeys(atlas.platform for atlas in atlases))
    return fill(
        "map.html",
        title=f"Address space of {names}",
        style=markup(svg.style()),
        patterns=markup(svg.patterns(looks_of(kinds))),
        maps=[{"wide": drawn(atlas), "narrow": drawn(atlas, narrow=True)} for atlas in atlases],
        legend=swatches((kind, LOOKS[kind]) for kind in kinds),
        notes=map_svg.notes(atlases),
        parts=list(parts(result, drawn=False)),
    )


def drawn(atlas: Atlas, *, narrow: bool = False) -> Any:
    """One map without its legend, for a page that has style, patterns and legend."""
    room = map_svg.NARROW if narrow else map_svg.WIDTH
    return markup(map_svg.draw([atlas], bare=True, keyed=False, room=room).strip())
