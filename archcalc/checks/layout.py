"""The arena, the tables that describe it, and where mallocinit asks for them."""

from __future__ import annotations

from archcalc.calculator.figures import Figures
from archcalc.checks import Problem, Problems, check, fact, number, of_machine
from archcalc.reading.words import counted
from archcalc.results.findings import Severity
from archcalc.results.tables import human


def described(figures: Figures) -> int:
    """Bytes of heap that bitmap and spans table must describe: the arena, on 32-bit all that a word can
    address.
    """
    layout = figures.layout
    return layout.arena_size if layout.contiguous else number(figures, "_MaxArena32") + 1


@check("layout.bitmap-covers-arena", "The bitmap has bits for every word of the arena")
def bitmap_covers_arena(figures: Figures) -> Problems:
    """One byte of bitmap describes heapBitmapScale bytes of heap. The bitmap lies straight below the
    arena, growing downwards: were it too small, the bits of the last objects would fall into the spans
    table. On 32-bit it describes all 4 GB, since the arena may grow anywhere.
    """
    layout, scale = figures.layout, number(figures, "heapBitmapScale")
    whole = described(figures)
    for what, size, heap in (
        ("bitmap_size", layout.bitmap_size, whole),
        ("ladder_bitmap_size", layout.rungs[0].bitmap_size, number(figures, "_MaxArena32") + 1),
    ):
        if size * scale < heap:
            yield Problem(
                f"{what} is {size}: bits for {counted(size * scale, 'byte')} of heap, of {heap}",
                what,
                data={"bitmap_size": size, "heap": heap},
            )


@check("layout.spans-cover-arena", "The spans table has an entry for every page of the arena")
def spans_cover_arena(figures: Figures) -> Problems:
    """mheap.spans maps each page of the arena to its span. A table that is too short would be indexed
    beyond its end by the last pages, which is the bitmap. On 32-bit it describes all 4 GB.
    """
    layout, page, pointer = figures.layout, number(figures, "_PageSize"), number(figures, "sys.PtrSize")
    for what, size, heap in (
        ("spans_size", layout.spans_size, described(figures)),
        ("ladder_spans_size", layout.rungs[0].spans_size, number(figures, "_MaxArena32") + 1),
    ):
        if size // pointer * page < heap:
            yield Problem(
                f"{what} is {size}: entries for {counted(size // pointer * page, 'byte')} of heap, of {heap}",
                what,
                data={"spans_size": size, "heap": heap},
            )


@check("layout.reservation-holds-parts", "A reservation holds spans, bitmap, arena and a page to align them")
def reservation_holds_parts(figures: Figures) -> Problems:
    """The system may answer with an address that is aligned to its own pages only. mallocinit rounds it
    up to _PageSize and needs all three parts after it, so every reservation has a page to spare.
    """
    layout, page = figures.layout, number(figures, "_PageSize")
    tries = [
        (
            "reservation_size",
            layout.reservation_size,
            layout.spans_size + layout.bitmap_size + layout.arena_size,
        )
    ]
    tries += [
        (f"ladder{at}", rung.reservation_size, rung.spans_size + rung.bitmap_size + rung.arena_size)
        for at, rung in enumerate(layout.rungs)
    ]
    for what, size, parts in tries:
        if size < parts + page - 1:
            yield Problem(
                f"{what} is {size}, and the parts with room to align them need {parts + page - 1}",
                what,
                data={"reservation_size": size, "parts": parts},
            )


@check("layout.parts-aligned", "Arena, bitmap and spans table are whole pages")
def parts_aligned(figures: Figures) -> Problems:
    """Spans table, bitmap and arena follow each other without a gap. mallocinit dies with "misrounded
    allocation in mallocinit" where the arena would not begin on a page, so what comes before it must
    be whole pages.
    """
    layout, page = figures.layout, number(figures, "_PageSize")
    for what, size in (
        ("spans_size", layout.spans_size),
        ("bitmap_size", layout.bitmap_size),
        ("arena_size", layout.arena_size),
        ("ladder_spans_size", layout.rungs[0].spans_size),
        ("ladder_bitmap_size", layout.rungs[0].bitmap_size),
    ):
        if size % page:
            yield Problem(
                f"{what} is {size}, not a multiple of {page}", what, data={what: size, "_PageSize": page}
            )


@check("layout.parts-physical", "Bitmap and spans table end on physical pages, whatever the kernel's")
def parts_physical(figures: Figures) -> Problems:
    """mapBits and mapSpans map the tables in whole physical pages, the bitmap downwards from the arena.
    With a page size that does not divide the tables' sizes, mapping the last piece would reach into
    the neighbouring table.
    """
    layout = figures.layout
    for size in of_machine(figures, "phys_page_sizes"):
        for what, part in (("bitmap_size", layout.bitmap_size), ("spans_size", layout.spans_size)):
            if part % size:
                yield Problem(
                    f"{what} is {part}, not a multiple of a physical page of {size}",
                    what,
                    data={what: part, "phys_page_size": size},
                )


@check("layout.arena-within-max-mem", "The arena is what _MaxMem says")
def arena_within_max_mem(figures: Figures) -> Problems:
    """_MaxMem is the last byte that the arena may ever have. The single reservation of 64-bit ports has
    just that much; a larger one would be heap that the rest of the runtime takes for foreign memory.
    """
    most = number(figures, "_MaxMem") + 1
    if figures.layout.arena_size > most:
        yield Problem(
            f"arena_size is {figures.layout.arena_size}, and _MaxMem allows {most}",
            "arena_size",
            data={"arena_size": figures.layout.arena_size, "most": most},
        )


@check("layout.reservation-addressable", "A reservation is smaller than what a process can address")
def reservation_addressable(figures: Figures) -> Problems:
    """A process has the addresses from address_low to address_high (facts of the machine). A reservation
    that is larger fits nowhere, whatever the hint. The 64-bit ports have the ladder to fall
    back on, so it is their last rung that must fit; on 32-bit each smaller rung is for address spaces
    in which something is taken already.
    """
    low, high = fact(figures, "address_low"), fact(figures, "address_high")
    last = figures.layout.ladder[-1]
    if last > high - low:
        yield Problem(
            f"even the last rung of the ladder needs {counted(last, 'byte')}, and a process has {high - low}",
            f"ladder{len(figures.layout.ladder) - 1}",
            data={"reservation_size": last, "addresses": high - low},
        )


@check("layout.first-hint-fits", "A process can have the reservation at the first hint", Severity.WARNING)
def first_hint_fits(figures: Figures) -> Problems:
    """The first hint is where everybody expects the heap. Where the reservation does not fit the user
    address space there, the port depends on the system moving it elsewhere or on the ladder. So it is on
    android/arm64, whose 39-bit addresses end inside the reservation, although the comment in malloc.go says
    that it fits.
    """
    for hint in figures.layout.hints[:1]:
        if hint.fits != "wholly":
            end = hint.address + figures.layout.reservation_size
            yield Problem(
                f"the reservation at {hint.address:#x} would end at {end:#x}, and a process has addresses"
                f" {fact(figures, 'address_low'):#x} to {fact(figures, 'address_high'):#x}",
                "hint0",
                data={"hint": hint.address, "end": end, "address_high": fact(figures, "address_high")},
            )


@check("layout.hints-in-reach", "All hints are inside the user address space", Severity.INFO)
def hints_in_reach(figures: Figures) -> Problems:
    """mallocinit tries 128 hints, 1 TB apart. Hints beyond the user address space are refused at once, so
    they cost a system call each and help nobody; that is so on every port with less than 47 bits, and
    it is harmless. Where a reservation only ends beyond it, Linux lets the runtime have the hint, since
    sysReserve tries no more than the first 64 KB there (mem_linux.go); the arena then has less than it
    counts on, as on android/arm64 and mips64.
    """
    hints, high = figures.layout.hints, fact(figures, "address_high")
    out, part = (sum(hint.fits == fits for hint in hints) for fits in ("no", "partly"))
    if (out or part) and len(hints) > 1:
        found = [
            f"{out} of {counted(len(hints), 'hint')} are out of reach of a process with addresses "
            f"up to {high:#x}"
        ]
        if part:
            found.append(f"the reservation at {part} of them would end beyond that")
        yield Problem(
            "; ".join(found),
            "hints",
            data={"out_of_reach": out, "partly": part, "hints": len(hints)},
        )


@check("layout.hints-distinct", "Hints are page-aligned, ascending and distinct")
def hints_distinct(figures: Figures) -> Problems:
    """Each try must ask for another place, on a page of its own. Arithmetic that wraps at the word size
    would give hints twice (which is why malloc.go masks with uintptrMask).
    """
    page = number(figures, "_PageSize")
    before = -1
    for at, hint in enumerate(figures.layout.hints):
        if hint.address <= before or hint.address % page:
            yield Problem(
                f"hint {at} is {hint.address:#x}, after {max(before, 0):#x}",
                f"hint{at}",
                data={"hint": hint.address, "_PageSize": page},
            )
        before = hint.address


@check("layout.ladder-descends", "Each rung of the ladder asks for less, the last for no arena")
def ladder_descends(figures: Figures) -> Problems:
    """Each rung is tried because the one before was refused; one that asks for as much or more is refused
    as well. The last asks for the tables alone, so that memory can still be found piece by piece.
    """
    rungs = figures.layout.rungs
    for at in range(1, len(rungs)):
        if rungs[at].reservation_size >= rungs[at - 1].reservation_size:
            yield Problem(
                f"rung {at} asks for {rungs[at].reservation_size}, after {rungs[at - 1].reservation_size}",
                f"ladder{at}",
                data={"reservation_size": rungs[at].reservation_size},
            )
    if rungs[-1].arena_size:
        yield Problem(
            f"the last rung still needs an arena of {counted(rungs[-1].arena_size, 'byte')}",
            f"ladder{len(rungs) - 1}",
            data={"arena_size": rungs[-1].arena_size},
        )


@check("layout.tables-unused", "Most of bitmap and spans table can be used", Severity.INFO)
def tables_unused(figures: Figures) -> Problems:
    """32-bit ports have tables for 4 GB of addresses, but a process may not be able to have them all: mips
    has the low 2 GB, so half of its bitmap is address space reserved for nothing. On ports short of addresses
    that is what a porter would like to get back. An eighth and less is not worth a word.
    """
    layout = figures.layout
    size, usable = layout.bitmap_size, layout.bitmap_usable
    if (size - usable) * 8 > size:
        unused = size - usable + layout.spans_size - layout.spans_usable
        yield Problem(
            f"{100 * usable / size:.1f}% of bitmap and spans table describe addresses that a process can"
            f" have; {human(unused) or unused} cannot be used",
            "bitmap_size",
            data={"bitmap_size": size, "bitmap_usable": usable, "unused": unused},
        )


@check(
    "layout.bitmap-chunk", "A physical page of bitmap describes no more than the heap grows by", Severity.INFO
)
def bitmap_chunk(figures: Figures) -> Problems:
    """mapBits maps the bitmap in whole physical pages. The heap grows by _HeapAllocChunk; where one page
    of bitmap describes more than that, mapping runs ahead of the heap, and a small program pays for
    bits that it never needs. That is so with 64 KB pages on 64-bit, and harmless.
    """
    scale, chunk = number(figures, "heapBitmapScale"), number(figures, "_HeapAllocChunk")
    size = fact(figures, "phys_page_size")
    if size * scale > chunk:
        yield Problem(
            f"a physical page of {counted(size, 'byte')} of bitmap describes "
            f"{counted(size * scale, 'byte')} of heap, which grows by {chunk}",
            "phys_page_size",
            data={"phys_page_size": size, "described": size * scale, "_HeapAllocChunk": chunk},
        )
