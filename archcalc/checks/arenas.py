"""The map of arenas, the addresses that it tells of, and where the heap asks to lie."""

from __future__ import annotations

from itertools import pairwise

from archcalc.calculator.figures import Figures
from archcalc.checks import SPARSE, Problem, Problems, check, fact, figure, has
from archcalc.reading.words import counted
from archcalc.results.findings import Severity

_FEW = 256
"""One unusable draw in so many is not a finding."""


def number_of(figures: Figures, address: int) -> int:
    """An address as the indexes count it: from the base offset, in a word that wraps."""
    mask = (1 << 8 * figure(figures, "PtrSize")) - 1
    return (address - figure(figures, "arenaBaseOffset")) & mask


def hints(figures: Figures) -> list[tuple[str, int]]:
    """Every hint by name, those for user arenas last; none where they are drawn at random."""
    found = []
    for family in ("hint", "user_arena_hint"):
        if f"layout.{family}" in figures.generation.families:
            values = figures.engine.family_values(f"layout.{family}")
            found += [
                (f"{family}{at}", int(one.value))
                for at, one in enumerate(values)
                if not isinstance(one.value, str)
            ]
    return found


@check("arenas.map-is-the-space", "The levels of the arena map and an arena make up an address", era=SPARSE)
def map_is_the_space(figures: Figures) -> Problems:
    """arenaIndex splits an address into a number in the first level, one in the second and a place in the
    arena. Their bits must be those of heapAddrBits, or an arena would have no record, or two.
    """
    parts = [figure(figures, name) for name in ("arenaL1Bits", "arenaL2Bits", "logHeapArenaBytes")]
    bits = figure(figures, "heapAddrBits")
    if sum(parts) != bits:
        yield Problem(
            f"{parts[0]} + {parts[1]} + {counted(parts[2], 'bit')} of levels and arena are not the "
            f"{bits} of an address",
            "arenaL2Bits",
            data={"found": sum(parts), "heapAddrBits": bits},
        )


@check("arenas.map-covers-addresses", "The arena map reaches every address of heapAddrBits", era=SPARSE)
def map_covers_addresses(figures: Figures) -> Problems:
    """mheap.arenas has a pointer for each arena that can be. sysAlloc dies with "memory reservation exceeds
    address space limit" for what lies beyond heapAddrBits, and relies on the map to reach that far.
    """
    reach, wanted = figure(figures, "layout.arena_map_reach"), 1 << figure(figures, "heapAddrBits")
    if reach < wanted:
        yield Problem(
            f"the map covers {reach:#x} of {wanted:#x} bytes",
            "arena_map_reach",
            data={"arena_map_reach": reach, "wanted": wanted},
        )


@check("arenas.base-offset", "The base offset is a whole number of arenas", era=SPARSE)
def base_offset(figures: Figures) -> Problems:
    """arenaIndex and chunkIndex subtract arenaBaseOffset before they divide. An offset that is not a multiple
    of an arena would put the border between two arenas into the middle of both.
    """
    offset, arena = figure(figures, "arenaBaseOffset"), figure(figures, "heapArenaBytes")
    if offset % arena:
        yield Problem(
            f"arenaBaseOffset is {offset:#x}, not a multiple of {arena:#x}",
            "arenaBaseOffset",
            data={"arenaBaseOffset": offset, "heapArenaBytes": arena},
        )


@check(
    "arenas.user-addresses",
    "Every address that a process can have is in the arena map",
    Severity.WARNING,
    SPARSE,
)
def user_addresses(figures: Figures) -> Problems:
    """The system may answer with any address of the process. sysAlloc dies with "base outside usable
    address space" where the answer is not in the map, which has happened on ios/arm64 and aix/ppc64.
    """
    low, high = fact(figures, "address_low"), fact(figures, "address_high")
    limit = 1 << figure(figures, "heapAddrBits")
    for what, address in (("address_low", low), ("address_high", high - 1)):
        if number_of(figures, address) >= limit:
            yield Problem(
                f"a process can have {address:#x}, which the map does not tell of",
                what,
                data={"address": address, "heapAddrBits": figure(figures, "heapAddrBits")},
            )


@check("arenas.hints-in-map", "An arena at any hint lies in the arena map", Severity.WARNING, SPARSE)
def hints_in_map(figures: Figures) -> Problems:
    """sysAlloc passes over a hint whose arena would reach beyond the map: such a hint is dead, and user
    arenas or the heap have one place less to go to. Up to Go 1.23 all hints of wasm are.
    """
    limit, arena = 1 << figure(figures, "heapAddrBits"), figure(figures, "heapArenaBytes")
    dead = [(name, at) for name, at in hints(figures) if number_of(figures, at) + arena > limit]
    if dead:
        name, address = dead[0]
        more = f" and {len(dead) - 1} more" if len(dead) > 1 else ""
        yield Problem(
            f"{name}, {address:#x},{more} is beyond the map", name, data={"hint": address, "dead": len(dead)}
        )


@check(
    "arenas.first-hint-fits",
    "The heap's first hint is an address that a process can have",
    Severity.WARNING,
    SPARSE,
)
def first_hint_fits(figures: Figures) -> Problems:
    """Where the first arena cannot lie at the first hint, every start goes on to other hints or to wherever
    the system likes: allowed, and slower, and heap addresses no longer look like Go's.
    """
    high, arena = fact(figures, "address_high"), figure(figures, "heapArenaBytes")
    for name, address in hints(figures)[:1]:
        if not fact(figures, "address_low") <= address <= high - arena:
            yield Problem(
                f"{name} is {address:#x}; a process has addresses to {high:#x}",
                name,
                data={"hint": address, "address_high": high},
            )


@check(
    "arenas.hints-in-reach", "The other hints are addresses that a process can have", Severity.INFO, SPARSE
)
def hints_in_reach(figures: Figures) -> Problems:
    """Hints are 128 places a terabyte apart; a process with fewer addresses than 2^47 reaches some of them
    only. The kernel gives something else, and the runtime goes on to the next.
    """
    high, arena = fact(figures, "address_high"), figure(figures, "heapArenaBytes")
    beyond = [name for name, address in hints(figures)[1:] if address + arena > high]
    if beyond:
        yield Problem(
            f"{beyond[0]} and {len(beyond) - 1} more lie beyond {high:#x}",
            beyond[0],
            data={"beyond": len(beyond), "address_high": high},
        )


@check("arenas.hints-apart", "Hints of the heap lie at least an arena apart", era=SPARSE)
def hints_apart(figures: Figures) -> Problems:
    """The heap grows upwards from a hint. Two hints in the same arena would be one, tried twice. The race
    detector's are exempt: it leaves so little room that they are twice the same.
    """
    if has(figures, "runtime.raceenabled") and figures.engine.value("runtime.raceenabled").value:
        return
    arena = figure(figures, "heapArenaBytes")
    for family in ("hint", "user_arena_hint"):
        own = sorted((address, name) for name, address in hints(figures) if name.startswith(family))
        for (below, _), (address, name) in pairwise(own):
            if address - below < arena:
                above = counted(address - below, "byte")
                yield Problem(f"{name} is {address:#x}, {above} above another", name)


@check(
    "arenas.random-base-in-reach",
    "A base drawn at random is an address that a process can have",
    Severity.WARNING,
    SPARSE,
)
def random_base_in_reach(figures: Figures) -> Problems:
    """From Go 1.26 on the first hint is drawn at random from all addresses below random_base_limit. A process
    with fewer addresses gets most draws refused and its heap wherever the system likes, so the base is as
    random as the system makes it.
    """
    if not has(figures, "layout.random_base_limit"):
        return
    limit, high = figure(figures, "layout.random_base_limit"), fact(figures, "address_high")
    if limit - high > limit // _FEW:
        yield Problem(
            f"draws go up to {limit:#x}, a process has addresses to {high:#x}",
            "random_base_limit",
            data={"random_base_limit": limit, "address_high": high},
        )


@check("arenas.random-base-in-map", "A base drawn at random lies in the arena map", Severity.WARNING, SPARSE)
def random_base_in_map(figures: Figures) -> Problems:
    """The draw is of addresses below random_base_limit and does not know arenaBaseOffset, from which the map
    counts. sysAlloc passes over a hint that is outside the map. Where all draws are, no hint is ever used,
    and the heap begins wherever the system likes: so on aix from Go 1.26 on.
    """
    if not has(figures, "layout.random_base_limit"):
        return
    space, arena = 1 << figure(figures, "heapAddrBits"), figure(figures, "heapArenaBytes")
    limit = figure(figures, "layout.random_base_limit")
    outside = [at for at in (0, limit - arena) if number_of(figures, at) + arena > space]
    if outside:
        yield Problem(
            f"a base of {outside[0]:#x} can be drawn, and the map begins at"
            f" {figure(figures, 'arenaBaseOffset'):#x}",
            "random_base_limit",
            data={"drawn": outside[0], "arenaBaseOffset": figure(figures, "arenaBaseOffset")},
        )


@check(
    "arenas.metadata-fits",
    "What a 32-bit port reserves at the start leaves room for a heap",
    Severity.WARNING,
    SPARSE,
)
def metadata_fits(figures: Figures) -> Problems:
    """32-bit ports reserve the records of all arenas that there can be, before the heap. More than a
    quarter of a process's addresses for them would leave too little of the rest in one piece.
    """
    if not has(figures, "layout.metadata_reservation"):
        return
    size = figure(figures, "layout.metadata_reservation")
    room = fact(figures, "address_high") - fact(figures, "address_low")
    if size > room // 4:
        yield Problem(
            f"{counted(size, 'byte')} of a process's {room} are reserved for records of arenas",
            "metadata_reservation",
            data={"metadata_reservation": size, "room": room},
        )


@check("arenas.ladder-descends", "Each rung of the ladder asks for less, and for whole arenas", era=SPARSE)
def ladder_descends(figures: Figures) -> Problems:
    """mallocinit tries 512, 256 and 128 MB in turn on 32-bit ports: a rung that is not smaller than the one
    before would be refused as well, and one that is not a whole number of arenas has a tail without a record.
    """
    if not has(figures, "layout.ladder0"):
        return
    rungs = [figure(figures, f"layout.ladder{at}") for at in range(3)]
    arena = figure(figures, "heapArenaBytes")
    for at, rung in enumerate(rungs):
        if rung % arena or (at and rung >= rungs[at - 1]):
            yield Problem(
                f"ladder{at} is {rung}", f"ladder{at}", data={"rung": rung, "heapArenaBytes": arena}
            )


@check("arenas.parts-divide", "An arena is a whole number of what the collector takes at a time", era=SPARSE)
def parts_divide(figures: Figures) -> Problems:
    """mallocinit dies with "bad pagesPerSpanRoot" or "bad pagesPerReclaimerChunk" where a root of marking or
    a chunk that is reclaimed would reach from one arena into the next.
    """
    pages = figure(figures, "pagesPerArena")
    for name in ("pagesPerSpanRoot", "pagesPerReclaimerChunk"):
        part = figure(figures, name)
        if pages % part:
            yield Problem(
                f"pagesPerArena is {pages}, not a multiple of {name}, {part}", name, data={name: part}
            )


@check("arenas.user-chunks", "Chunks of user arenas are whole pages and divide an arena", era=SPARSE)
def user_chunks(figures: Figures) -> Problems:
    """newUserArenaChunk cuts arenas into chunks of userArenaChunkBytes and protects them one by one; the
    runtime's init dies where they are not whole pages, are larger than an arena, or are not physical pages.
    """
    if not has(figures, "runtime.userArenaChunkBytes"):
        return
    chunk, arena = figure(figures, "userArenaChunkBytes"), figure(figures, "heapArenaBytes")
    for what, size in (
        ("a page", figure(figures, "pageSize", "PageSize", "_PageSize")),
        *(("a physical page", size) for size in figures.profile.machine["phys_page_sizes"]),
    ):
        if chunk % size or arena % chunk:
            yield Problem(
                f"userArenaChunkBytes is {chunk}, which {what} of {size} and an arena of {arena} do not fit",
                f"userArenaChunkBytes {size}",
                data={"userArenaChunkBytes": chunk},
            )
