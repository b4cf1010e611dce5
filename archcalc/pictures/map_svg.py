"""An address map as SVG: bars to scale, and between a bar and its enlargement the lens."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from html import escape

from archcalc.pictures import svg
from archcalc.pictures.atlas import Asked, Atlas
from archcalc.pictures.map_text import short, ticks
from archcalc.pictures.palette import LOOKS, looks_of
from archcalc.pictures.zoom import Level, levels
from archcalc.reading.words import counted

WIDTH = 610  # of one map, in px
NARROW = 330  # of one on a phone
MARGIN = 12
KEY = 690  # of the legend, at least
BAR = 26
CELLS = 150  # what is narrower than a 150th is enlarged
LINE = 14


def draw(
    atlases: Sequence[Atlas], *, columns: int = 2, bare: bool = False, keyed: bool = True, room: int = WIDTH
) -> str:
    """The maps side by side, `columns` in a row, each `room` px wide, over one legend if they are `keyed`."""
    columns = max(1, min(columns, len(atlases)))
    body: list[str] = []
    top = 0.0
    for at in range(0, len(atlases), columns):
        tallest = 0.0
        for number, atlas in enumerate(atlases[at : at + columns]):
            picture = Picture(atlas, number * room, top, room)
            body += picture.draw()
            tallest = max(tallest, picture.y - top)
        top += tallest + LINE
    width = room * columns
    if keyed:
        kinds = kinds_of(atlases)
        width = max(width, KEY)
        body += legend(kinds, atlases, top, columns)
        top += LINE * (-(-len(kinds) // columns) + len(_marks(atlases)) + 2)
    title = "Address space of " + ", ".join(dict.fromkeys(atlas.platform for atlas in atlases))
    looks = looks_of(r.kind for a in atlases for r in a.regions)
    return svg.document(width, top, title, looks, body, bare=bare)


class Picture:
    """One map; `y` grows as it is drawn."""

    def __init__(self, atlas: Atlas, left: float, top: float, width: int = WIDTH) -> None:
        self.atlas = atlas
        self.left = left + MARGIN
        self.room = width - 2 * MARGIN
        self.cells = CELLS * width // WIDTH
        self.y = top + MARGIN

    def draw(self) -> Iterator[str]:
        """The heading, the whole, and each enlargement under its lens."""
        atlas = self.atlas
        heading = f"{atlas.platform}, {atlas.moment}: {atlas.outcome}"
        for line in textwrap.wrap(heading, int(self.room / svg.CHAR)):
            self.y += LINE
            yield svg.text(self.left, self.y, line, class_="b")
        self.y += 6
        bars: dict[int, float] = {}
        every = levels(atlas, self.cells)
        parents = {group.number: level for level in every for group in level.groups}
        for level in every:
            parent = parents.get(level.number)
            self.y += LINE
            name = f"zoom {level.number}: " if level.number else "user addresses: "
            yield svg.text(
                self.left, self.y, f"{name}{level.low:#x}–{level.high:#x}, {short(level.size)}", class_="dim"
            )
            self.y += 5
            if level.number == 0 and len(atlas.asked) > 1:
                yield from self._hints(level)
            if parent is not None and parent.number == level.number - 1:
                yield self._lens(parent, level, bars[parent.number] + BAR)
            bars[level.number] = self.y
            yield from self._bar(level)

    def _x(self, level: Level, address: int) -> float:
        return self.left + (address - level.low) / level.size * self.room

    def _lens(self, parent: Level, level: Level, y: float) -> str:
        a, b = self._x(parent, level.inside[0]), self._x(parent, level.inside[1])
        points = (a, y), (b, y), (self.left + self.room, self.y), (self.left, self.y)
        shape = " ".join(f"{svg.number(px)},{svg.number(py)}" for px, py in points)
        return svg.tag("polygon", class_="lens", points=shape)

    def _hints(self, level: Level) -> Iterator[str]:
        y = self.y + 4
        here = [one for one in self.atlas.asked if level.low <= one.address < level.high]
        untried = [svg.number(self._x(level, one.address)) for one in here if one.state == "untried"]
        if untried:
            yield svg.tag("path", class_="un", d="".join(f"M{x} {svg.number(y)}h0" for x in untried))
        for one in here:
            if one.state != "untried":
                yield _hint(one, self._x(level, one.address), y)
        self.y += 10

    def _bar(self, level: Level) -> Iterator[str]:
        for region in level.regions:
            x, end = self._x(level, region.start), self._x(level, region.end)
            width = max(end - x, 1.5) if region.kind != "free" else end - x
            exact = f"{short(region.size)}, {counted(region.size, 'byte')}"
            words = f"{region.start:#x}–{region.end:#x}: {region.what}, {exact}"
            yield svg.rect(x, self.y, width, BAR, words, **svg.fill(region.kind))
            label = f"{region.what}, {short(region.size)}"
            if region.kind != "free" and len(label) * svg.CHAR + 8 < width:
                yield svg.text((x + end) / 2, self.y + BAR - 9, label, class_="on", text_anchor="middle")
        yield svg.rect(self.left, self.y, self.room, BAR, class_="edge")
        self.y += BAR
        yield from self._ticks(level)

    def _ticks(self, level: Level) -> Iterator[str]:
        """Labels under the bar, on as few lines as they fit."""
        rows: list[float] = []  # how far to the left each line is taken
        # From right to left, so that no tick runs through a label.
        for cell, words in sorted(ticks(self.atlas, level, self.cells).items(), reverse=True):
            x = self.left + (cell + 0.5) * self.room / self.cells
            label = ", ".join(dict.fromkeys(words))
            width = len(label) * svg.CHAR
            right = x + 6 + width > self.left + self.room
            start = max(x - width - 5, self.left) if right else x
            end = x if right else x + width + 4
            row = next((number for number, taken in enumerate(rows) if end + 8 < taken), len(rows))
            rows[row : row + 1] = [start]
            base = self.y + LINE * (row + 1)
            d = f"M{svg.number(x)} {svg.number(self.y)}V{svg.number(base - 3)}"
            yield svg.tag("path", class_="tick", d=d)
            yield svg.text(start if right else x + 4, base, label)
        self.y += LINE * len(rows) + 4


def _hint(one: Asked, x: float, y: float) -> str:
    """A hint's sign: a disc for granted, a cross for refused, a diamond for moved."""
    told = f"{one.address:#x}, {short(one.size)} asked for: {one.state}"
    words = svg.tag("title", escape(told + (f"; {one.obstacle}" if one.obstacle else "")))
    if one.state == "refused":
        d = f"M{svg.number(x - 3)} {svg.number(y - 3)}l6 6m0-6l-6 6"
        return svg.tag("path", words, class_="no", d=d)
    if one.state == "moved":
        return svg.tag("path", words, class_="hint", d=f"M{svg.number(x)} {svg.number(y - 4)}l4 4-4 4-4-4z")
    return svg.tag("circle", words, class_="hint", cx=x, cy=y, r=3)


def kinds_of(atlases: Sequence[Atlas]) -> list[str]:
    """What regions of these maps are, in the legend's order."""
    return [kind for kind in LOOKS if any(r.kind == kind for a in atlases for r in a.regions)]


HINTS = "over the bar, hints: disc granted, cross refused, diamond moved, dot not tried"


def notes(atlases: Sequence[Atlas]) -> list[str]:
    """What the legend says besides: of hints, where there are any, and of named addresses."""
    hints = [HINTS] if any(len(atlas.asked) > 1 for atlas in atlases) else []
    return [*hints, *(f"{address:#x}  {what}" for address, what in sorted(_marks(atlases).items()))]


def _marks(atlases: Sequence[Atlas]) -> dict[int, str]:
    return {mark.address: mark.what for atlas in atlases for mark in atlas.marks}


def legend(kinds: Sequence[str], atlases: Sequence[Atlas], top: float, columns: int) -> Iterator[str]:
    """Patterns and named addresses with their words."""
    y = top
    for at, kind in enumerate(kinds):
        x = MARGIN + (at % columns) * WIDTH
        y = top + (at // columns) * LINE
        yield svg.rect(x, y, 16, 10, **svg.fill(kind))
        yield svg.rect(x, y, 16, 10, class_="edge")
        yield svg.text(x + 22, y + 9, LOOKS[kind].words)
    for note in notes(atlases):
        y += LINE
        yield svg.text(MARGIN, y + 9, note, class_="dim")
