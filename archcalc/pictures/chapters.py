"""From 2017 to today: how the layout of one port's heap changed from release to release, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from archcalc.calculator import spans
from archcalc.calculator.figures import Figures
from archcalc.pictures import history

SMALL = 16  # bytes of the objects whose page is drawn


class Chapter(NamedTuple):
    """One change: its heading, why it was made, and pictures of it, as bare SVG."""

    title: str
    why: str
    pictures: Sequence[str]


def chapters(releases: Sequence[Figures]) -> list[Chapter]:
    """What changed between these releases of one port, oldest first; without a picture there is none."""
    return [Chapter(title, why, pictures) for title, why, pictures in _told(releases) if pictures]


def _told(releases: Sequence[Figures]) -> Iterator[tuple[str, str, list[str]]]:
    pieces = [one for one in releases if one.knows("layout.arena_size")]
    arenas = [one for one in releases if one.knows("layout.start_reserved")]
    yield (
        "One piece, until 1.10",
        "All of the heap's addresses are reserved at once, with the table of spans and the heap bitmap in"
        " front. An address becomes the number of its page by one subtraction. Nothing outside this piece"
        " can ever be part of the heap, and no other user of the address space may be in it.",
        [history.reservations(pieces, bare=True)] if pieces else [],
    )
    yield (
        "Arenas wherever they fall, since 1.11",
        "The heap takes arenas one by one, wherever the system gives them. A map leads from an address to"
        " the record of its arena, and the record to the span of each page.",
        [history.way(arenas[-1], bare=True)] if arenas else [],
    )
    yield (
        "A tree over all addresses, since 1.14",
        "Free pages are bits, and levels of summaries over them say how many are free in a row. All "
        "levels are reserved at once, and only what describes the heap is mapped. Since 1.21 the scavenge"
        " index has a record of 8 bytes for each chunk of 4 MB where it had a bit.",
        [history.starts(arenas, bare=True)] if arenas else [],
    )
    records = [one for one in arenas if "heapArena" in one.structs]
    yield (
        "Heap bits move to the objects, since 1.22",
        "The bits that say which words are pointers stood in the arena's record. Now they are at the "
        "end of the span of small objects; larger objects have a header that points to their type.",
        [history.records(records, bare=True)] if records else [],
    )
    paged = [one for one in arenas if spans.of_object(one, SMALL, pointers=True) is not None]
    yield (
        "What a page of small objects holds",
        "Heap bits at the end of the span since 1.22, and the collector's marks since 1.26, take the "
        "place of objects.",
        [history.pages(paged, SMALL, bare=True)] if paged else [],
    )
    based = [one for one in releases if history.has_base(one)]
    yield (
        "Where the heap begins",
        "The first address that the heap asks for was always the same. Since 1.26 it is drawn at random on "
        "most 64-bit ports, so that nobody can guess where objects lie.",
        [history.bases(based, bare=True)] if based else [],
    )
