"""Structs of a heap in arenas: their atomics, their arrays, the blocks that they are cut from."""

from __future__ import annotations

import re

from archcalc.calculator.figures import Figures
from archcalc.checks import SPARSE, Problem, Problems, check, figure
from archcalc.reading.words import counted

_ATOMIC64 = re.compile(r"^atomic\.(Int64|Uint64|Float64)$")
_FROM_FIXALLOC = (
    "mspan", "mcache", "arenaHint", "specialfinalizer", "specialprofile", "specialReachable",
    "specialPinCounter",
    "specialWeakHandle", "specialCleanup", "specialBubble", "spanSPMC",
)  # fmt: skip


@check("records.atomics-aligned", "64-bit atomics lie at multiples of 8", era=SPARSE)
def atomics_aligned(figures: Figures) -> Problems:
    """A 64-bit atomic operation needs an address that is a multiple of 8, also on 32-bit ports. The types of
    internal/runtime/atomic bring that alignment with them: a struct that holds one is aligned to 8.
    """
    for name, struct in figures.structs.items():
        for field in struct.fields:
            if _ATOMIC64.match(field.type) and (field.offset % 8 or struct.align < 8):
                yield Problem(f"{name}.{field.name} is at offset {field.offset}", f"{name}.{field.name}")


@check("records.arena-has-its-pages", "An arena's record has a span for each of its pages", era=SPARSE)
def arena_has_its_pages(figures: Figures) -> Problems:
    """spanOf looks a page's span up in heapArena.spans; marks, specials and use have a bit a page."""
    pages, word = figure(figures, "pagesPerArena"), figure(figures, "PtrSize")
    fields = {field.name: field.size for field in figures.structs["heapArena"].fields}
    for name, wanted in (("spans", pages * word), ("pageInUse", pages // 8), ("pageMarks", pages // 8)):
        if fields[name] != wanted:
            yield Problem(
                f"heapArena.{name} has {counted(fields[name], 'byte')}, not {wanted}", f"heapArena.{name}"
            )


@check("records.fixalloc-fits", "Records that fixalloc makes fit its chunks", era=SPARSE)
def fixalloc_fits(figures: Figures) -> Problems:
    """fixalloc cuts chunks of _FixAllocChunk bytes into records and dies with "runtime: fixalloc size too
    large" where not one fits.
    """
    chunk = figure(figures, "_FixAllocChunk")
    for name in _FROM_FIXALLOC:
        if name in figures.structs and figures.structs[name].size > chunk:
            yield Problem(f"{name} has {counted(figures.structs[name].size, 'byte')}, a chunk {chunk}", name)


@check("records.gc-bits-block", "A block of mark bits is as large as it says", era=SPARSE)
def gc_bits_block(figures: Figures) -> Problems:
    """newArenaMayUnlock takes gcBitsChunkBytes at a time for a gcBitsArena: header and bits together."""
    chunk, found = figure(figures, "gcBitsChunkBytes"), figures.structs["gcBitsArena"].size
    if chunk != found:
        yield Problem(
            f"gcBitsArena has {counted(found, 'byte')}, a block {chunk}", "gcBitsArena", data={"found": found}
        )
