"""An address map in characters: bars to scale, each enlargement under the bar that it enlarges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archcalc.pictures.atlas import Asked, Atlas
from archcalc.pictures.palette import LOOKS, painted
from archcalc.pictures.zoom import Level, levels

NARROWEST = 44  # columns of a map that is beside another
GAP = "  "
# Of hints that share a column, the one whose state comes first is shown.
STATES = ("had", "moved", "refused", "untried", "beyond")


@dataclass(frozen=True, slots=True)
class Charset:
    """The characters that frames, ticks and hints are drawn with."""

    edge: str
    tick: str
    free: str
    hints: dict[str, str]
    dash: str


UNICODE = Charset(
    "│", "▲", "·", {"had": "●", "moved": "◆", "refused": "✕", "untried": "○", "beyond": " "}, "–"
)
ASCII = Charset("|", "^", ".", {"had": "*", "moved": ">", "refused": "x", "untried": "o", "beyond": " "}, "-")


def draw(atlases: Sequence[Atlas], width: int, unicode: bool, color: bool) -> list[str]:
    """The maps side by side where each has room enough, else one under the other."""
    each = max(1, min(len(atlases), (width + len(GAP)) // (NARROWEST + len(GAP))))
    room = (width - len(GAP) * (each - 1)) // each
    charset = UNICODE if unicode else ASCII
    lines: list[str] = []
    for at in range(0, len(atlases), each):
        if lines:
            lines.append("")
        lines += beside([list(_map(a, room, charset, color)) for a in atlases[at : at + each]], room)
    return [*lines, "", *legend(atlases, width, charset, color)]


def beside(columns: Sequence[Sequence[tuple[str, int]]], room: int) -> list[str]:
    """Columns of (line, visible width), joined line by line."""
    tallest = max(map(len, columns))
    lines = []
    for at in range(tallest):
        text = ""
        for number, column in enumerate(columns):
            line, seen = column[at] if at < len(column) else ("", 0)
            text += line + (" " * (room - seen) + GAP if number < len(columns) - 1 else "")
        lines.append(text.rstrip())
    return lines


def _map(atlas: Atlas, width: int, charset: Charset, color: bool) -> Iterable[tuple[str, int]]:
    """One map as lines with their visible widths."""
    cells = width - 2
    yield from _plain(clipped(f"{atlas.platform}, {atlas.moment}: {atlas.outcome}", width))
    for level in levels(atlas, cells):
        name = f"zoom {level.number}" if level.number else "user addresses"
        title = f"{name}: {level.low:#x}{charset.dash}{level.high:#x}"
        if level.number:
            yield from _plain("")
        yield from _plain(clipped(title, width))
        scale = f"{short(level.size)}, {short(max(level.size // cells, 1))} a column"
        yield from _plain(clipped(scale, width))
        if level.number == 0:
            row = hint_row(atlas.asked, level, cells, charset)
            if row.strip():
                yield from _plain(" " + row)
        yield bar(level, cells, charset, color), width
        for line in labels(ticks(atlas, level, cells), cells, charset):
            yield from _plain(" " + line)


def _plain(text: str) -> Iterable[tuple[str, int]]:
    yield text, len(text)


def clipped(text: str, width: int) -> str:
    """A heading that fits; what is left out are the least telling digits."""
    return text if len(text) <= width else text[: width - 1] + "~"


def short(size: int) -> str:
    """A size with three digits at most, for scales: 562 GB, 1.7 TB, 8 bytes."""
    value, unit = float(size), 0
    units = ("bytes", "KB", "MB", "GB", "TB", "PB", "EB")
    while value >= 1023.5 and unit < len(units) - 1:
        value /= 1024
        unit += 1
    return f"{value:.3g} {units[unit]}" if value < 1000 else f"{value:.0f} {units[unit]}"


def bar(level: Level, cells: int, charset: Charset, color: bool) -> str:
    """The window to scale; a cell shows what takes most of it, anything before what is free."""
    kinds = shown_kinds(level, cells)
    text = ""
    at = 0
    while at < cells:
        end = at
        while end < cells and kinds[end] == kinds[at]:
            end += 1
        look = LOOKS[kinds[at]]
        run = (charset.free if kinds[at] == "free" else look.letter) * (end - at)
        text += painted(run, look, color)
        at = end
    return f"{charset.edge}{text}{charset.edge}"


def shown_kinds(level: Level, cells: int) -> list[str]:
    """For each cell the kind that it shows."""
    most: list[tuple[int, str]] = [(0, "free")] * cells
    for region in level.regions:
        if region.kind == "free":
            continue
        first, last = level.cell(region.start, cells), level.cell(region.end - 1, cells)
        if last - first > 1:
            for cell in range(first + 1, last):
                most[cell] = (level.size, region.kind)
        for cell in {first, last}:
            start = level.low + cell * level.size // cells
            end = level.low + (cell + 1) * level.size // cells
            part = max(min(region.end, end) - max(region.start, start), 1)
            if part > most[cell][0]:
                most[cell] = (part, region.kind)
    return [kind for _, kind in most]


def hint_row(asked: Sequence[Asked], level: Level, cells: int, charset: Charset) -> str:
    """The hints over the bar."""
    row = [" "] * cells
    best = [len(STATES)] * cells
    for one in asked:
        rank = STATES.index(one.state)
        if level.low <= one.address < level.high:
            cell = level.cell(one.address, cells)
            if rank < best[cell]:
                best[cell] = rank
                row[cell] = charset.hints[one.state]
    return "".join(row).rstrip()


def ticks(atlas: Atlas, level: Level, cells: int) -> dict[int, list[str]]:
    """What to write under which cell: enlargements, named addresses, regions too small to see."""
    found: dict[int, list[str]] = {}
    for group in level.groups:
        cell = (level.cell(group.inside[0], cells) + level.cell(group.inside[1] - 1, cells)) // 2
        found.setdefault(cell, []).append(f"zoom {group.number}")
    for mark in atlas.marks:
        if level.low <= mark.address < level.high:
            found.setdefault(level.cell(mark.address, cells), []).append(f"{mark.address:#x}")
    for region in level.regions:
        alone = not any(g.low <= region.start < g.high for g in level.groups)
        if region.kind != "free" and region.size * cells < level.size and alone:
            found.setdefault(level.cell(region.start, cells), []).append(region.what)
    return found


def labels(wanted: dict[int, list[str]], cells: int, charset: Charset) -> list[str]:
    """The ticks on as few lines as they fit, each label beside its tick."""
    rows: list[list[str]] = []
    for cell in sorted(wanted):
        text = ", ".join(dict.fromkeys(wanted[cell]))
        after, before = f"{charset.tick} {text}", f"{text} {charset.tick}"
        if cell + len(after) <= cells:
            start, label = cell, after
        elif len(before) <= cell + 1:
            start, label = cell - len(before) + 1, before
        else:
            start, label = 0, clipped(f"{text} {charset.tick}", cells)
        for row in rows:
            if all(c == " " for c in row[max(start - 1, 0) : start + len(label) + 1]):
                break
        else:
            row = [" "] * cells
            rows.append(row)
        row[start : start + len(label)] = label
    return ["".join(row).rstrip() for row in rows]


def legend(atlases: Sequence[Atlas], width: int, charset: Charset, color: bool) -> list[str]:
    """What the letters and signs of these maps mean."""
    kinds = {region.kind for atlas in atlases for region in atlas.regions}
    lines = [
        f"{painted(charset.free if kind == 'free' else look.letter, look, color)}  {look.words}"
        for kind, look in LOOKS.items()
        if kind in kinds
    ]
    states = {one.state for atlas in atlases for one in atlas.asked if len(atlas.asked) > 1}
    words = {
        "had": "granted", "moved": "answered at another address", "refused": "refused",
        "untried": "not tried",
    }  # fmt: skip
    if states & words.keys():
        told = ", ".join(f"{charset.hints[state]} {words[state]}" for state in words if state in states)
        lines.append(f"hints, over the bar: {told}")
    marks = {mark.address: mark.what for atlas in atlases for mark in atlas.marks}
    lines += [f"{address:#x}  {what}" for address, what in sorted(marks.items())]
    return lines
