"""The runtime's own names for what a machine tells of itself, and what each means."""

from __future__ import annotations

from allocator.common.vocabulary import ADDRESS, BYTES, COUNT, FLAG, BootRule, NamedFigure

# In the order in which they are shown. A boot shows the landmarks.
HEAP = (
    NamedFigure("spans_start", ADDRESS, "start of the table of spans", landmark=True),
    NamedFigure("bitmap", ADDRESS, "end of the heap bitmap, which grows downward from there", landmark=True),
    NamedFigure("bitmap_start", ADDRESS, "start of what is mapped of it"),
    NamedFigure("bitmap_mapped", BYTES, "bytes of it that are mapped"),
    NamedFigure("arena_start", ADDRESS, "start of the arena; 0 on 32-bit", landmark=True),
    NamedFigure("arena_used", ADDRESS, "end of what was ever used", landmark=True),
    NamedFigure("arena_end", ADDRESS, "end of the reservation", landmark=True),
    NamedFigure("reserved", FLAG, "whether the system really reserved it", landmark=True),
    NamedFigure("spans_mapped", COUNT, "entries of the table of spans that are mapped"),
    NamedFigure("spans_capacity", COUNT, "entries that it was reserved for"),
    NamedFigure("pages_in_use", COUNT, "runtime pages in spans that are in use"),
    NamedFigure("sweepgen", COUNT, "mheap_.sweepgen"),
)
# What a heap can be grown up to; arena_size are the bytes that were ever used.
GROWS = ("arena_used", "arena_end", "arena_size", "bitmap_mapped", "pages_in_use")
# The two landmarks between which the heap has been used.
EXTENT = ("arena_start", "arena_used")
# What must hold of a machine that mallocinit has just made; `boot_checks` looks at each.
BOOT = (
    BootRule(
        "boot-page-rounding",
        "regions are page-aligned",
        "Spans, bitmap and arena begin at multiples of _PageSize, although sysReserve promises only the "
        "OS's alignment; mallocinit asks for a page more and rounds up.",
    ),
    BootRule(
        "boot-region-order",
        "spans, bitmap, arena lie in that order",
        "The table of spans comes first, then the heap bitmap, which is addressed backward from the "
        "arena's beginning, then the arena.",
    ),
    BootRule(
        "boot-bitmap-covers-arena",
        "the bitmap describes the whole arena",
        "Two bits a word, counted from arena_start; on 32-bit arena_start is 0 and the bitmap describes "
        "all 4 GB.",
    ),
    BootRule(
        "boot-spans-cover-arena",
        "the table of spans reaches over the arena",
        "One pointer a page, counted from arena_start.",
    ),
    BootRule(
        "boot-reservation-holds-parts",
        "the reservation holds its parts",
        "Spans, bitmap, arena and one page for rounding fit what was asked for.",
    ),
    BootRule(
        "boot-used-within-reserved",
        "arena_used lies in the reservation",
        "What the heap will use first was really answered for.",
    ),
    BootRule(
        "boot-hint-answered",
        "the hint was honoured, or its refusal noticed",
        "A reservation that is only checked must be where it was asked for.",
    ),
    BootRule(
        "boot-within-address-bits",
        "the arena fits _MHeapMap_TotalBits",
        "The single reservation must not reach further than page numbers were given bits.",
    ),
    BootRule(
        "boot-class-table",
        "memstats has the class table",
        "mallocinit copies class_to_size into memstats.by_size.",
    ),
    BootRule(
        "boot-first-mcache",
        "the first mcache is made",
        "mallocinit ends with one mcache, from cachealloc.",
    ),
)
# What a table of boots shows.
BOOT_COLUMNS = (("spans", "spans_start"), ("arena begins", "arena_used"), ("arena ends", "arena_end"))


def malloc_flags(noscan: bool, needzero: bool, own: str = "") -> str:
    """How mallocgc was asked, as recordings write it: `n` no pointers, `z` must be zero, `.` neither.

    `own` is what mallocgc found itself: `t`, `c`, `h`.
    """
    return noscan * "n" + needzero * "z" + own or "."
