"""What is proved: every property under an id that never changes, with what `explain` says about it."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest
from archcalc.results.findings import Rule, Severity

FAMILY = "prove"

FIXED = "prove-fixed-is-reserved"
WRAP = "prove-no-silent-wrap"
SPAN = "prove-span-in-arena"
BITMAP = "prove-bitmap-mapped"
TABLE = "prove-spans-mapped"
ACCEPTED = "prove-accepted-in-map"
REFUSED = "prove-refused-changes-nothing"
ENDS = "prove-known-end"
HINTS = "prove-hints-in-user-space"
LADDER = "prove-ladder-fits"
TWICE = "prove-nothing-twice"
COUNTERS = "prove-counters-kept"
REACH = "prove-asks-within-space"
PAGES = "prove-maps-whole-pages"
ANSWERED = "prove-maps-what-was-answered"
NOTICED = "prove-refusal-noticed"
PROGRAM = "prove-program-untouched"
SUMMARIES = "prove-summaries-mapped"
INDEX = "prove-index-mapped"
CHUNKS = "prove-chunks-there"
RECORDED = "prove-arenas-recorded"


def _rule(id: str, title: str, text: str) -> Rule:
    return Rule(id, FAMILY, Severity.ERROR, title, text)


RULES: tuple[Rule, ...] = (
    _rule(
        FIXED,
        "nothing is mapped at a fixed address that was not reserved",
        "Where sysMap insists on its address (MAP_FIXED), the kernel silently replaces whatever is there: "
        "every byte of such a mapping must lie in what the program itself has reserved and still holds.",
    ),
    _rule(
        WRAP,
        "no arithmetic wraps unnoticed",
        "An address or a size that overflows a machine word must never be stored, passed to the system or "
        "returned to a caller; a test may compare it.",
    ),
    _rule(
        SPAN,
        "every span lies in the arena",
        "Each run of pages that the heap was ever given lies between arena_start and arena_used, even after "
        "the arena has moved; otherwise heapBitsForSpan throws `base out of range`.",
    ),
    _rule(
        BITMAP,
        "the bitmap of every span is mapped",
        "The bytes of the heap bitmap that describe a span's words are mapped before the span is used, and "
        "they lie in what was reserved for the bitmap.",
    ),
    _rule(
        TABLE,
        "the table of spans covers every span",
        "The entries of h.spans for all pages of a span are mapped before they are written, and they lie in "
        "what was reserved for the table.",
    ),
    _rule(
        ACCEPTED,
        "accepted memory is aligned and inside the map",
        "A run of pages begins at a multiple of _PageSize and ends inside the address space; the bitmap and "
        "the table of spans have room for it.",
    ),
    _rule(
        REFUSED,
        "a refused request changes nothing",
        "Growth that gives no memory leaves the arena's bounds, what is mapped, what is reserved and the "
        "counters as they were.",
    ),
    _rule(
        ENDS,
        "every path ends in success, nil or known last words",
        "The runtime may die of a lack of memory and say so; an index out of range, a misrounded address or "
        "a crash is a bug, whatever the system answers.",
    ),
    _rule(
        HINTS,
        "no hint leaves the user's addresses",
        "Every reservation that mallocinit asks for at an address lies inside the addresses of a process.",
    ),
    _rule(
        LADDER,
        "the ladder's rungs fit the address space",
        "Each of the smaller reservations that the 32-bit start tries fits the address space of a process.",
    ),
    _rule(
        REACH,
        "no reservation ends beyond the address space",
        "A reservation at an address ends before addresses wrap to 0: memory that wraps cannot "
        "exist, and the "
        "system would give another address.",
    ),
    _rule(
        PAGES,
        "mappings begin at whole pages of the kernel",
        "sysMap gets addresses that are multiples of the physical page: the kernel rounds or refuses any "
        "other.",
    ),
    _rule(
        ANSWERED,
        "memory is mapped only where a reservation was granted",
        "Every byte of a sysMap lies in what some sysReserve has granted, whether it really reserved it or "
        "only checked it: a refusal gives no address.",
    ),
    _rule(
        COUNTERS,
        "growth keeps the counters right",
        "The pages that the heap has grown by are free: pages_in_use and heap_inuse stay, and heap_idle "
        "rises by what was asked for.",
    ),
    _rule(
        TWICE,
        "no memory is given twice",
        "What the heap gets next, and what is mapped for its tables, overlaps no span and no table that is "
        "already there.",
    ),
    _rule(
        NOTICED,
        "a refused reservation is noticed",
        "No address is computed from a reservation that the system has refused: memory mapped there would go "
        "to 0 plus an offset.",
    ),
    _rule(
        PROGRAM,
        "nothing of the program or of others is replaced",
        "A mapping at a fixed address overlaps neither the program's image nor anything that others have "
        "mapped: it would silently be replaced by zeros.",
    ),
    _rule(
        SUMMARIES,
        "the summaries of the whole heap are mapped",
        "The pages that hold the summaries of new heap memory, on each level, are mapped before they are "
        "used, and lie in what was reserved for the level.",
    ),
    _rule(
        INDEX,
        "the scavenge index of the whole heap is mapped",
        "The entries of the scavenge index for new heap memory are mapped before they are used, and lie in "
        "what was reserved for the index.",
    ),
    _rule(
        CHUNKS,
        "every chunk of the heap has its bits",
        "Each chunk that the heap has grown to has its table of page bits.",
    ),
    _rule(
        RECORDED,
        "every arena of the heap has a record",
        "Each arena that new heap memory lies in has a record (heapArena) in the arena map, and its number "
        "lies inside that map.",
    ),
)  # fmt: skip

# What `archcalc boot` checks of one boot, here of all: of a heap in one piece, and of one in arenas.
BOOT: tuple[str, ...] = (
    "boot-page-rounding", "boot-region-order", "boot-bitmap-covers-arena", "boot-spans-cover-arena",
    "boot-reservation-holds-parts", "boot-used-within-reserved", "boot-hint-answered",
    "boot-within-address-bits", "boot-class-table", "boot-first-mcache",
)  # fmt: skip

# What is asked of every call of a system on today's machine.
OF_CALLS = frozenset({FIXED, WRAP, REACH, PAGES, TWICE, NOTICED, PROGRAM, ENDS})

# What only a heap in arenas has.
OF_ARENAS = (NOTICED, PROGRAM, SUMMARIES, INDEX, CHUNKS, RECORDED)

IDS: tuple[str, ...] = tuple(rule.id for rule in RULES)


def chosen(words: Sequence[str] | None, known: Sequence[str]) -> frozenset[str]:
    """The ids that words name, each an id or a glob; all where there is none. Raises UsageFault."""
    found: set[str] = set()
    for word in words or ("*",):
        matching = {id for id in known if word == id or fnmatchcase(id, word)}
        if not matching:
            raise UsageFault(
                Fault(
                    f"--property: no proof is called {word!r}",
                    "an id of the proofs or a glob",
                    closest(word, known),
                )
            )
        found |= matching
    return frozenset(found)
