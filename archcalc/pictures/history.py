"""How the heap's layout changed from release to release, as bars: what a start takes, records, spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from archcalc.calculator import spans
from archcalc.calculator.figures import Figures
from archcalc.pictures import svg
from archcalc.pictures.palette import Look
from archcalc.results.tables import human

WIDTH, LEFT, RIGHT, BAR, STEP, TOP = 760.0, 92.0, 170.0, 18.0, 26.0, 34.0


class Bar(NamedTuple):
    """One release: its label, and sizes in bytes by what they are for, in the order of drawing."""

    label: str
    parts: Mapping[str, int]


# The colours of Okabe and Ito again, each with a pattern, in the order in which parts first come.
_COLORS = (
    ("#0072b2", ""), ("#e69f00", "rise"), ("#009e73", "dots"),
    ("#cc79a7", "fall"), ("#56b4e9", "flat"), ("#f0e442", "cross"),
)  # fmt: skip


def draw(title: str, bars: Sequence[Bar], total: Callable[[Bar], str]) -> str:
    """Stacked bars to one scale, a release a line, with a legend; `total` is written behind each."""
    names = list(dict.fromkeys(name for bar in bars for name in bar.parts))
    looks = {
        f"h{at}": Look("", color, 0, name, pattern)
        for at, (name, (color, pattern)) in enumerate(zip(names, _COLORS, strict=False))
    }
    kinds = dict(zip(names, looks, strict=True))
    scale = (WIDTH - LEFT - RIGHT) / max(sum(bar.parts.values()) for bar in bars)
    body = [svg.text(8, 18, title, class_="b")]
    y = TOP
    for bar in bars:
        body.append(svg.text(8, y + 13, bar.label))
        x = LEFT
        for name, size in bar.parts.items():
            width = size * scale
            body.append(svg.rect(x, y, width, BAR, f"{name}: {human(size) or size}", **svg.fill(kinds[name])))
            x += width
        body.append(svg.rect(LEFT, y, x - LEFT, BAR, class_="edge"))
        body.append(svg.text(x + 6, y + 13, total(bar), class_="dim"))
        y += STEP
    for name in names:
        body.append(svg.rect(LEFT, y + 6, 14, 10, **svg.fill(kinds[name])))
        body.append(svg.text(LEFT + 20, y + 15, name))
        y += 16
    return svg.document(WIDTH, y + 16, title, looks, body)


def _all(bar: Bar) -> str:
    size = sum(bar.parts.values())
    return human(size) or f"{size} bytes"


def starts(releases: Sequence[Figures]) -> str:
    """What a start takes of the address space, in large."""
    parts = {
        "page summaries": "summary_reserved",
        "scavenge index": "scavenge_index_reserved",
        "the first arena": "heapArenaBytes",
        "arena map": "arena_map_l2_size",
        "chunk map": "chunk_map_l2_size",
    }
    bars = [
        Bar(one.generation.label, {name: int(one.value(figure)) for name, figure in parts.items()})
        for one in releases
    ]
    return draw(f"Addresses that a start takes on {releases[0].platform}", bars, _all)


def records(releases: Sequence[Figures]) -> str:
    """What the record of an arena is made of."""
    bars = []
    for one in releases:
        struct = one.structs["heapArena"]
        sizes = {field.name: field.size for field in struct.fields}
        bitmap = sizes.get("bitmap", 0) + sizes.get("noMorePtrs", 0)
        parts = {"a pointer to the span of each page": sizes["spans"], "heap bits of the arena": bitmap}
        rest = struct.size - sum(parts.values())
        bars.append(Bar(one.generation.label, {**parts, "marks and what else": rest}))
    return draw(f"The record of an arena of 64 MB on {releases[0].platform}", bars, _all)


def pages(releases: Sequence[Figures], size: int) -> str:
    """A page of small objects with pointers: what objects have of it, and what else is in it."""
    bars = []
    for one in releases:
        span = spans.of_object(one, size, pointers=True)
        assert span is not None
        parts = {
            "objects": span.objects * span.element,
            "heap bits": span.heap_bits,
            "marks": span.inline_marks,
        }
        bars.append(Bar(one.generation.label, {name: part for name, part in parts.items() if part}))

    def objects(bar: Bar) -> str:
        return f"{bar.parts['objects'] // size} objects"

    return draw(f"A page of objects of {size} bytes with pointers on {releases[0].platform}", bars, objects)


def way(figures: Figures) -> str:
    """From an address to its span: the bits that each step takes, and what stands there."""
    bits = figures.constants
    l1, l2 = int(bits["arenaL1Bits"]), int(bits["arenaL2Bits"])
    arena, page = int(bits["logHeapArenaBytes"]), 13
    steps = (
        ("first level of the map", l1, f"{1 << l1} pointers, in mheap"),
        ("second level", l2, f"{1 << l2} pointers, {human(int(figures.value('arena_map_l2_size')))}"),
        (
            "page in its arena",
            arena - page,
            f"{1 << (arena - page)} pointers to spans, in the arena's record",
        ),
        ("byte in its page", page, "the object: its number by a multiplication"),
    )
    colors = dict(zip([f"h{at}" for at in range(len(steps))], _COLORS, strict=False))
    looks = {kind: Look("", color, 0, "", pattern) for kind, (color, pattern) in colors.items()}
    total = sum(step[1] for step in steps)
    scale = (WIDTH - 2 * LEFT) / total
    title = f"From an address to its span on {figures.platform}, {figures.generation.label}: {total} bits"
    body = [svg.text(8, 18, title, class_="b")]
    x, y = LEFT, TOP + BAR + 22
    for kind, (name, width, words) in zip(looks, steps, strict=True):
        if not width:
            continue
        body.append(svg.rect(x, TOP, width * scale, BAR, name, **svg.fill(kind)))
        body.append(svg.text(x + 2, TOP + BAR + 12, f"{width} bits", class_="dim"))
        body.append(svg.rect(LEFT, y + 4, 14, 10, **svg.fill(kind)))
        body.append(svg.text(LEFT + 20, y + 13, f"{name}, {width} bits: {words}"))
        x += width * scale
        y += 18
    body.append(svg.rect(LEFT, TOP, x - LEFT, BAR, class_="edge"))
    return svg.document(WIDTH, y + 14, title, looks, body)
