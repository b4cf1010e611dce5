"""Facts of a profile that load, but that a runtime or a kernel could not live with."""

from __future__ import annotations

from archcalc.calculator.figures import Figures
from archcalc.checks import Problem, Problems, check, fact, number, of_machine
from archcalc.reading.words import counted
from archcalc.results.findings import Severity


@check("profile.phys-page-too-small", "Physical pages are at least minPhysPageSize")
def phys_page_too_small(figures: Figures) -> Problems:
    """mallocinit dies with "bad system page size" where the system's pages are smaller than
    minPhysPageSize, so every page size that the port's kernels can have must reach it.
    """
    least = number(figures, "minPhysPageSize")
    for size in of_machine(figures, "phys_page_sizes"):
        if size < least:
            yield Problem(
                f"kernels may have physical pages of {counted(size, 'byte')}; mallocinit needs at "
                f"least {least}",
                "phys_page_sizes",
                data={"phys_page_size": size, "minPhysPageSize": least},
            )


@check(
    "profile.default-phys-page", "DefaultPhysPageSize is safe for every kernel of the port", Severity.WARNING
)
def default_phys_page(figures: Figures) -> Problems:
    """Where the system does not tell its page size, the runtime takes sys.DefaultPhysPageSize. Rounding
    to a larger page than the kernel's is safe, to a smaller one is not, so it had better be a multiple
    of all that kernels of the port can have. It is a warning because most systems do tell (linux in
    the auxiliary vector): mips64 has 16384, though its kernels may have pages of 65536.
    """
    default = number(figures, "sys.DefaultPhysPageSize")
    for size in of_machine(figures, "phys_page_sizes"):
        if default % size:
            yield Problem(
                f"DefaultPhysPageSize is {default} and not a multiple of {size}, which a kernel may have",
                "DefaultPhysPageSize",
                data={"DefaultPhysPageSize": default, "phys_page_size": size},
            )


@check("profile.segments-below-phys-page", "Segments are aligned for every physical page size")
def segments_below_phys_page(figures: Figures) -> Problems:
    """The linker aligns the program's segments to segment_alignment. A kernel with larger pages cannot
    give two segments in one page different protections, and refuses the program before its first
    instruction.
    """
    aligned = fact(figures, "segment_alignment")
    for size in of_machine(figures, "phys_page_sizes"):
        if size > aligned:
            yield Problem(
                f"segments are aligned to {counted(aligned, 'byte')}; a kernel with pages of {size} "
                f"cannot load them",
                "segment_alignment",
                data={"segment_alignment": aligned, "phys_page_size": size},
            )


@check("profile.image-in-arena", "The program itself is clear of the first reservation")
def image_in_arena(figures: Figures) -> Problems:
    """The first reservation must not ask for addresses where the program's own image is, or it is always
    refused there. The 32-bit hint follows from the end of the data segment; a 64-bit hint is fixed,
    and a port whose programs are loaded high can collide with it.
    """
    start, end = fact(figures, "image_start"), fact(figures, "data_end")
    size = figures.layout.reservation_size
    for hint in figures.layout.hints[:1]:
        if hint.address < end and start < hint.address + size:
            yield Problem(
                f"the program lies at {start:#x}-{end:#x}; the first reservation needs"
                f" {hint.address:#x}-{hint.address + size:#x}",
                "hint0",
                data={"hint": hint.address, "image_start": start, "data_end": end},
            )


@check("profile.hint-taken", "Nothing that the profile knows of lies at the first hint", Severity.WARNING)
def hint_taken(figures: Figures) -> Problems:
    """A range that is taken before the runtime starts, at the first hint, moves the arena to a later
    hint, or on 32-bit to wherever the system likes. That works, but addresses in logs will not be
    those that people expect.
    """
    size = figures.layout.reservation_size
    for hint in figures.layout.hints[:1]:
        for taken in of_machine(figures, "taken") or ():
            if taken["from"] < hint.address + size and hint.address < taken["to"]:
                yield Problem(
                    f"{taken['from']:#x}-{taken['to']:#x} is taken; the first reservation needs"
                    f" {hint.address:#x}-{hint.address + size:#x}",
                    "taken",
                    data={"hint": hint.address, "reservation_size": size},
                )


@check("profile.int64-alignment", "64-bit integers are aligned as the registers are")
def int64_alignment(figures: Figures) -> Problems:
    """Atomic operations on 64-bit integers need 8-byte alignment. Where registers have 8 bytes the
    compiler gives it to every int64; sys.Int64Align must say the same, or structs and the runtime
    disagree about where fields are.
    """
    align, register = number(figures, "sys.Int64Align"), number(figures, "sys.RegSize")
    if align != register:
        yield Problem(
            f"Int64Align is {align} where a register has {counted(register, 'byte')}",
            "Int64Align",
            data={"Int64Align": align, "RegSize": register},
        )
