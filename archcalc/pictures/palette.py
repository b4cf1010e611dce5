"""How each kind of thing looks, in text and in colour.

The colours are those of Okabe and Ito, which people with any of the usual kinds of colour
blindness tell apart; every kind has a letter and a pattern besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """A letter for text, an RGB colour, an ANSI background (256 colours), and the words for a legend.

    `pattern` names what SVG draws over the colour: none, lines of a direction, or dots.
    """

    letter: str
    color: str
    ansi: int
    words: str
    pattern: str = ""


REGIONS: Mapping[str, Look] = {
    "free": Look(".", "#ffffff", 0, "free"),
    "foreign": Look("X", "#767676", 242, "taken by others: program image, libraries, given ranges", "cross"),
    "spans": Look("s", "#a6dbc8", 79, "table of spans, reserved", "rise"),
    "spans-mapped": Look("S", "#009e73", 36, "table of spans, mapped"),
    "bitmap": Look("b", "#f5d58f", 222, "heap bitmap, reserved", "dots"),
    "bitmap-mapped": Look("B", "#e69f00", 172, "heap bitmap, mapped"),
    "arena": Look("a", "#b9dcf2", 117, "arena, reserved", "fall"),
    "arena-used": Look("A", "#0072b2", 25, "arena, used"),
    "own": Look("o", "#cc79a7", 175, "the runtime's own memory beside the heap", "flat"),
}

# Of heaps in arenas.
ARENAS: Mapping[str, Look] = {
    "heap-used": Look("A", "#0072b2", 25, "heap, used"),
    "arenas": Look("r", "#d6eaf8", 153, "reserved for further arenas", "fall"),
    "summaries": Look("m", "#e8d5ee", 183, "summaries of the page allocator, reserved", "rise"),
    "summaries-mapped": Look("M", "#7b4397", 97, "summaries of the page allocator, mapped"),
    "scavenge-index": Look("i", "#fbd5c4", 216, "scavenge index, reserved", "dots"),
    "scavenge-index-mapped": Look("I", "#d55e00", 166, "scavenge index, mapped"),
    "chunks-mapped": Look("C", "#009e73", 36, "page bits of chunks", "flat"),
    "arena-map-mapped": Look("P", "#8c510a", 94, "where each arena's record is", "fall"),
    "arena-records": Look("t", "#f0e2b6", 187, "room for records of arenas", "rise"),
    "arena-records-mapped": Look("T", "#e69f00", 172, "records of arenas", "cross"),
    "persistent-mapped": Look("p", "#56b4e9", 75, "records that are never given back", "dots"),
}
LOOKS: Mapping[str, Look] = {**REGIONS, **ARENAS}


def looks_of(kinds: Iterable[str]) -> Mapping[str, Look]:
    """What a picture of such regions needs: looks of one arena always, the others where they occur."""
    present = set(kinds)
    return {kind: look for kind, look in LOOKS.items() if kind in REGIONS or kind in present}


# Objects by size, with the largest size of each band; letters of the heap's strip.
BANDS = ((32, "a"), (128, "b"), (512, "c"), (2048, "d"), (8192, "e"), (1 << 62, "f"))

SPANS: Mapping[str, Look] = {
    "a": Look("a", "#56b4e9", 75, "objects to 32 bytes"),
    "b": Look("b", "#0072b2", 25, "objects to 128 bytes", "rise"),
    "c": Look("c", "#009e73", 36, "objects to 512 bytes"),
    "d": Look("d", "#f0e442", 185, "objects to 2 KB", "fall"),
    "e": Look("e", "#e69f00", 172, "objects to 8 KB", "dots"),
    "f": Look("f", "#d55e00", 166, "objects to 32 KB", "flat"),
    "L": Look("L", "#8c510a", 94, "one large object", "cross"),
    "S": Look("S", "#cc79a7", 175, "stacks", "dots"),
    ".": Look(".", "#ffffff", 0, "free"),
    "_": Look("_", "#d9d9d9", 250, "free, given back to the OS", "dots"),
    "x": Look("x", "#767676", 242, "not the heap's", "cross"),
}


def band(size: int) -> str:
    """The letter for small objects of a size in bytes."""
    return next(letter for most, letter in BANDS if size <= most)


def painted(text: str, look: Look, color: bool) -> str:
    """Text on the look's colour, where colours are wanted."""
    if not color or not look.ansi:
        return text
    dark = look.ansi in (25, 94, 166, 242)
    return f"\x1b[48;5;{look.ansi}m\x1b[38;5;{15 if dark else 16}m{text}\x1b[0m"
