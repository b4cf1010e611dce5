"""The runtime's own names for what a sparse machine tells of itself, and what each means."""

from __future__ import annotations

from allocator.common.vocabulary import ADDRESS, BYTES, COUNT, FLAG, BootRule, NamedFigure

# In the order in which they are shown. A boot shows the landmarks.
HEAP = (
    NamedFigure("heap_start", ADDRESS, "where the heap begins", landmark=True),
    NamedFigure("heap_end", ADDRESS, "end of what the heap has grown to", landmark=True),
    NamedFigure("arena_start", ADDRESS, "start of the current arena", landmark=True),
    NamedFigure("arena_end", ADDRESS, "end of the current arena", landmark=True),
    NamedFigure("arenas", COUNT, "arenas that the heap has", landmark=True),
    NamedFigure("hints", COUNT, "hints that are left for further arenas"),
    NamedFigure("summaries", ADDRESS, "start of the root level of summaries", landmark=True),
    NamedFigure("scavenge_index", ADDRESS, "start of the scavenge index", landmark=True),
    NamedFigure("index_unreserved", FLAG, "whether the index's reservation failed, which nobody notices"),
    NamedFigure("reserved", BYTES, "address space that is reserved for tables", landmark=True),
    NamedFigure("pages_in_use", COUNT, "runtime pages in spans that are in use"),
    NamedFigure("sweepgen", COUNT, "mheap_.sweepgen"),
)
# What a heap can be grown up to.
GROWS = ("heap_end", "arenas", "pages_in_use")
# The two landmarks between which the heap has been used.
EXTENT = ("heap_start", "heap_end")
# What a table of boots shows.
BOOT_COLUMNS = (
    ("heap begins", "heap_start"),
    ("arena ends", "arena_end"),
    ("summaries", "summaries"),
    ("scavenge index", "scavenge_index"),
)
# What must hold of a machine that has just been started.
BOOT = (
    BootRule(
        "boot-summaries-reserved",
        "every level of summaries has its addresses",
        "The page allocator maps what it needs of them as the heap grows, without asking again.",
    ),
    BootRule(
        "boot-index-reserved",
        "the scavenge index has its addresses",
        "Nobody looks whether its reservation succeeded. Where it did not, its entries are mapped from "
        "address 0 on, over whatever lies there.",
    ),
    BootRule(
        "boot-nothing-overwritten",
        "no fixed mapping replaced what is the program's own",
        "MAP_FIXED silently replaces whatever was mapped there.",
    ),
    BootRule(
        "boot-arenas-known",
        "each arena that the heap has grown into has a record",
        "Pointers are looked up by the arena's number; an arena without a record is not part of the heap.",
    ),
    BootRule(
        "boot-heap-addressable",
        "the heap lies within heapAddrBits",
        "Arena numbers and summaries reach no further.",
    ),
)
