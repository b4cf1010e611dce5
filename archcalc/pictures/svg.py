"""A few shapes of SVG as text, and the patterns and colours that our pictures share.

Pictures carry their own style, light and dark, so that a file shows alike in a browser, on a
code host and inside the HTML page, which says with data-theme what its reader chose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from archcalc.pictures.palette import Look

HEADING = 24  # height of a line above a picture, in px
CHAR = 6.6  # width of a character of the 11 px monospace font, in px

_STYLE = """
.pic{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
.pic .bg{fill:#fff}.pic text{fill:#1a1a1a}.pic .dim{fill:#595959}.pic .b{font-weight:bold}
.pic .on{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
.pic .edge{fill:none;stroke:#595959}.pic .tick{stroke:#1a1a1a}.pic .lens{fill:#8881;stroke:#8888}
.pic .free{fill:#8882}.pic .hint{fill:#1a1a1a}.pic .no{stroke:#d55e00;stroke-width:2;fill:none}
.pic text{pointer-events:none}.pic .un{fill:none;stroke:#767676;stroke-width:2.5;stroke-linecap:round}
"""
_DARK = """
.pic .bg{fill:#16181c}.pic text{fill:#e8e8e8}.pic .dim{fill:#a8a8a8}.pic .on{fill:#111;stroke:#fff}
.pic .edge{stroke:#a8a8a8}.pic .tick{stroke:#e8e8e8}.pic .hint{fill:#e8e8e8}
"""

_LINES = {
    "rise": '<path d="M0 6 6 0" stroke="#0006"/>',
    "fall": '<path d="M0 0 6 6" stroke="#0006"/>',
    "flat": '<path d="M0 3H6" stroke="#0006"/>',
    "cross": '<path d="M0 0 6 6M0 6 6 0" stroke="#0008"/>',
    "dots": '<circle cx="2" cy="2" r="1" fill="#0007"/>',
}


def number(value: float) -> str:
    """A coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def tag(name: str, content: str | None = None, /, **attributes: object) -> str:
    """An element; class_ is class, and underscores are hyphens."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{number(v) if isinstance(v, float) else escape(str(v))}"'
        for key, v in attributes.items()
    )
    return f"<{name}{said}/>" if content is None else f"<{name}{said}>{content}</{name}>"


def rect(x: float, y: float, width: float, height: float, title: str = "", **attributes: object) -> str:
    """A rectangle, with words for a pointer that rests on it."""
    content = tag("title", escape(title)) if title else None
    place = {"x": float(x), "y": float(y), "width": float(width), "height": float(height)}
    return tag("rect", content, **place, **attributes)


def group(parts: Sequence[str], title: str) -> str:
    """Elements that are one for a pointer, which is told `title`; without words, just the elements."""
    inner = "".join(parts)
    return tag("g", tag("title", escape(title)) + inner) if title else inner


def text(x: float, y: float, words: str, **attributes: object) -> str:
    """A line of text."""
    return tag("text", escape(words), x=float(x), y=float(y), **attributes)


def fill(kind: str) -> dict[str, str]:
    """The attribute that paints with a kind's pattern."""
    return {"class_": "free"} if kind in ("free", ".") else {"fill": f"url(#k-{ident(kind)})"}


def ident(kind: str) -> str:
    """A kind as part of an id."""
    return {"_": "released"}.get(kind, kind)


def patterns(looks: Mapping[str, Look]) -> str:
    """The definitions that `fill` refers to."""
    parts = []
    for kind, look in looks.items():
        if kind in ("free", "."):
            continue
        body = f'<rect width="6" height="6" fill="{look.color}"/>{_LINES.get(look.pattern, "")}'
        units = {"width": 6, "height": 6, "patternUnits": "userSpaceOnUse"}
        parts.append(tag("pattern", body, id=f"k-{ident(kind)}", **units))
    return tag("defs", "".join(parts))


def swatch(kind: str) -> str:
    """A small picture of a kind's pattern, for legends in HTML; the page around it has the patterns."""
    sides = {"width": 18, "height": 12}
    inner = tag("rect", **sides, **fill(kind)) + tag("rect", **sides, class_="edge")
    return f'<svg class="pic swatch" width="18" height="12" aria-hidden="true">{inner}</svg>'


def style() -> str:
    """The style of pictures: light, dark where the system or the page says so."""
    dark = _DARK.strip().replace("\n", "")
    chosen = dark.replace(".pic ", "[data-theme=dark] .pic ")
    # In a file of its own a picture is the root, on a page it is inside of it.
    system = re.sub(r"\.pic ([^{]+)", r":root:not([data-theme=light]) .pic \1,:root.pic \1", dark)
    return _STYLE.strip().replace("\n", "") + f"@media (prefers-color-scheme:dark){{{system}}}{chosen}"


def headed(picture: str, words: str) -> str:
    """A document with a line of words above it."""
    size = re.search(r'viewBox="0 0 (\S+) (\S+)"', picture)
    assert size is not None
    width, height = float(size[1]), float(size[2]) + HEADING
    head = tag("rect", class_="bg", width="100%", height="100%") + text(10, HEADING - 7, words, class_="b")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="pic" viewBox="0 0 {number(width)} {number(height)}" '
        f'width="{number(width)}" height="{number(height)}">{head}'
        f"{picture.strip().replace('<svg ', f'<svg y={chr(34)}{HEADING}{chr(34)} ', 1)}</svg>\n"
    )


def document(
    width: float,
    height: float,
    title: str,
    looks: Mapping[str, Look],
    body: Iterable[str],
    *,
    bare: bool = False,
) -> str:
    """The picture. `bare` leaves out style and patterns, which the page around it has."""
    shared = "" if bare else f"<style>{style()}</style>{patterns(looks)}"
    inner = "".join(
        (tag("title", escape(title)), shared, tag("rect", class_="bg", width="100%", height="100%"), *body)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="pic" role="img" viewBox="0 0 {number(width)} '
        f'{number(height)}" width="{number(width)}" height="{number(height)}">{inner}</svg>\n'
    )
