"""How the heap's layout changed from release to release, as bars to one scale.

`releases` are the figures of one port in the order of its releases. Pictures that are `bare` lean on the
style and the patterns (`LOOKS`) of the page around them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from archcalc.calculator import spans
from archcalc.calculator.figures import Figures
from archcalc.pictures import svg
from archcalc.pictures.palette import Look
from archcalc.reading.words import counted
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


LOOKS = {f"h{at}": Look("", color, 0, "", pattern) for at, (color, pattern) in enumerate(_COLORS)}


def draw(title: str, bars: Sequence[Bar], total: Callable[[Bar], str], *, bare: bool = False) -> str:
    """Stacked bars to one scale, a release a line, with a legend; `total` is written after each."""
    names = list(dict.fromkeys(name for bar in bars for name in bar.parts))
    kinds = dict(zip(names, LOOKS, strict=False))
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
    return svg.document(WIDTH, y + 16, title, LOOKS, body, bare=bare)


def _all(bar: Bar) -> str:
    size = sum(bar.parts.values())
    return human(size) or f"{counted(size, 'byte')}"


def reservations(releases: Sequence[Figures], *, bare: bool = False) -> str:
    """What a start reserves where the heap is one piece."""
    bars = [
        Bar(
            one.generation.label,
            {
                "table of spans": one.layout.spans_size,
                "heap bitmap": one.layout.bitmap_size,
                "arena": one.layout.arena_size,
            },
        )
        for one in releases
    ]
    return draw(f"Addresses that a start reserves on {releases[0].platform}", bars, _all, bare=bare)


# What the pieces of start_reserved are called in the legend.
_PIECES = {
    "summary_reserved": "page summaries",
    "scavenge_index_reserved": "scavenge index",
    "heapArenaBytes": "the first arena",
    "arena_map_l2_size": "arena map",
    "chunk_map_l2_size": "chunk map",
    "metadata_reservation": "records of all arenas",
    "ladder0": "room for the first arenas",
}


def starts(releases: Sequence[Figures], *, bare: bool = False) -> str:
    """The large parts of the address space that a start takes."""
    bars = []
    for one in releases:
        mentions = {mention.name for mention in one.explain("layout.start_reserved", reaches=False).mentions}
        sizes = {words: int(one.value(name)) for name, words in _PIECES.items() if name in mentions}
        bars.append(Bar(one.generation.label, {words: size for words, size in sizes.items() if size}))
    return draw(f"Addresses that a start takes on {releases[0].platform}", bars, _all, bare=bare)


def records(releases: Sequence[Figures], *, bare: bool = False) -> str:
    """What the record of an arena is made of."""
    bars = []
    for one in releases:
        struct = one.structs["heapArena"]
        sizes = {field.name: field.size for field in struct.fields}
        bitmap = sizes.get("bitmap", 0) + sizes.get("noMorePtrs", 0)
        parts = {"a pointer to the span of each page": sizes["spans"], "heap bits of the arena": bitmap}
        rest = struct.size - sum(parts.values())
        bars.append(Bar(one.generation.label, {**parts, "marks and the rest": rest}))
    arena = human(int(releases[-1].value("heapArenaBytes")))
    return draw(f"The record of an arena of {arena} on {releases[0].platform}", bars, _all, bare=bare)


def pages(releases: Sequence[Figures], size: int, *, bare: bool = False) -> str:
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
        return f"{counted(bar.parts['objects'] // size, 'object')}"

    title = f"A page of objects of {counted(size, 'byte')} with pointers on {releases[0].platform}"
    return draw(title, bars, objects, bare=bare)


def bases(releases: Sequence[Figures], *, bare: bool = False) -> str:
    """Where the heap asks to begin: one address, or a range in which it is drawn at random."""
    ranges = [(one.generation.label, *_base(one)) for one in releases]
    bits = max(int(one.profile.machine["user_address_bits"]) for one in releases)
    end = max(1 << bits, *(most for _, _, most in ranges))
    scale = (WIDTH - LEFT - RIGHT) / end
    title = f"Where the heap of {releases[0].platform} asks to begin, within {human(end)} of addresses"
    body = [svg.text(8, 18, title, class_="b")]
    y = TOP
    for label, least, most in ranges:
        body.append(svg.text(8, y + 13, label))
        words = f"{least:#x}" if least == most else f"{least:#x} to {most:#x}"
        x, width = LEFT + least * scale, max((most - least) * scale, 3.0)
        body.append(svg.rect(x, y, width, BAR, words, **svg.fill("h0")))
        body.append(svg.rect(LEFT, y, end * scale, BAR, class_="edge"))
        body.append(
            svg.text(
                LEFT + end * scale + 6, y + 13, f"{least:#x}" if least == most else "at random", class_="dim"
            )
        )
        y += STEP
    return svg.document(WIDTH, y + 6, title, LOOKS, body, bare=bare)


def has_base(figures: Figures) -> bool:
    """Whether the heap asks for a certain address first; one at the end of the data segment does not."""
    return any(figures.knows(f"layout.{name}") for name in _BASES)


_BASES = ("random_base_limit", "ladder_hint", "hint0")


def _base(figures: Figures) -> tuple[int, int]:
    """The least and the greatest first address that is asked for."""
    name = next(name for name in _BASES if figures.knows(f"layout.{name}"))
    most = int(figures.value(name))
    return (int(figures.value("random_base_step")), most) if name == "random_base_limit" else (most, most)


def way(figures: Figures, *, bare: bool = False) -> str:
    """From an address to its span: the bits that each step takes, and what is there."""
    bits = figures.constants
    l1, l2 = int(bits["arenaL1Bits"]), int(bits["arenaL2Bits"])
    arena, page = int(bits["logHeapArenaBytes"]), figures.size_classes.page_size.bit_length() - 1
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
    total = sum(step[1] for step in steps)
    scale = (WIDTH - 2 * LEFT) / total
    title = (
        f"From an address to its span on {figures.platform}, {figures.generation.label}: "
        f"{counted(total, 'bit')}"
    )
    body = [svg.text(8, 18, title, class_="b")]
    x, y = LEFT, TOP + BAR + 22
    for kind, (name, width, words) in zip(LOOKS, steps, strict=False):
        if not width:
            continue
        body.append(svg.rect(x, TOP, width * scale, BAR, name, **svg.fill(kind)))
        body.append(svg.text(x + 2, TOP + BAR + 12, f"{counted(width, 'bit')}", class_="dim"))
        body.append(svg.rect(LEFT, y + 4, 14, 10, **svg.fill(kind)))
        body.append(svg.text(LEFT + 20, y + 13, f"{name}, {counted(width, 'bit')}: {words}"))
        x += width * scale
        y += 18
    body.append(svg.rect(LEFT, TOP, x - LEFT, BAR, class_="edge"))
    return svg.document(WIDTH, y + 14, title, LOOKS, body, bare=bare)
