"""Sizes, alignments and offsets of the allocator's own types that its code relies on."""

from __future__ import annotations

from archcalc.calculator.figures import Figures
from archcalc.calculator.structs import StructLayout
from archcalc.checks import Problem, Problems, check, number
from archcalc.reading.words import counted

# Fields that are touched by 64-bit atomic operations (mheap.go, mstats.go).
ATOMICS = {
    "mheap": ("pagesInUse", "spanBytesAlloc", "pagesSwept"),
    "mstats": ("alloc", "heap_live"),
}
# Counters that sysAlloc and its like charge with mSysStatInc, which is a 64-bit atomic on 32-bit ports too.
SYS_STATS = ("heap_sys", "stacks_sys", "mspan_sys", "mcache_sys", "buckhash_sys", "gc_sys", "other_sys")
MEMSTATS_CLASSES = 61


def offset(struct: StructLayout, name: str) -> int:
    """A field's offset in bytes."""
    return next(field.offset for field in struct.fields if field.name == name)


def size_of(struct: StructLayout, name: str) -> int:
    """A field's size in bytes."""
    return next(field.size for field in struct.fields if field.name == name)


@check("structs.atomic-alignment", "64-bit counters that are atomic are 8-aligned")
def atomic_alignment(figures: Figures) -> Problems:
    """A 64-bit atomic operation needs an address that is a multiple of 8, also on 32-bit ports, where the
    compiler aligns such a field to 4 only (386, arm and mips would fault or tear). mheap has a word of
    padding for it, and runtime's init dies where memstats.heap_live is off. The structs themselves are
    globals, which the linker aligns.
    """
    for name, fields in {**ATOMICS, "mstats": (*ATOMICS["mstats"], *SYS_STATS)}.items():
        struct = figures.structs[name]
        for field in fields:
            at = offset(struct, field)
            if at % 8:
                yield Problem(
                    f"{name}.{field} is at offset {at}, not a multiple of 8",
                    f"{name}.{field}",
                    data={"offset": at},
                )


@check("structs.alignment", "Each struct is a multiple of its alignment, and so is each place in it")
def alignment(figures: Figures) -> Problems:
    """Elements of an array and blocks of a fixalloc stand side by side: a size that is not a multiple of the
    alignment would misalign every second one. No struct may need more than a register's alignment,
    which is all that persistentalloc gives by default.
    """
    most = 8
    for name, struct in figures.structs.items():
        if struct.size % struct.align or not 0 < struct.align <= most:
            yield Problem(
                f"{name} has {counted(struct.size, 'byte')} with alignment {struct.align}",
                name,
                data={"size": struct.size, "align": struct.align},
            )


@check("structs.overlap", "Fields follow each other without overlap and end inside the struct")
def overlap(figures: Figures) -> Problems:
    """Each field begins where the one before it ends or later, and the last ends within the struct."""
    for name, struct in figures.structs.items():
        end = 0
        for field in struct.fields:
            if field.offset < end:
                yield Problem(
                    f"{name}.{field.name} begins at {field.offset}, and the field before it ends at {end}",
                    f"{name}.{field.name}",
                    data={"offset": field.offset, "end": end},
                )
            end = field.offset + field.size
        if end > struct.size:
            yield Problem(
                f"{name} has {counted(struct.size, 'byte')} and fields up to {end}", name, data={"end": end}
            )


@check("structs.workbuf", "A work buffer has _WorkbufSize bytes")
def workbuf(figures: Figures) -> Problems:
    """gcinit dies with "size of Workbuf is suboptimal" where a workbuf is not just _WorkbufSize bytes,
    which itself is chosen to divide what persistentalloc gets at a time.
    """
    size, wanted = figures.structs["workbuf"].size, number(figures, "_WorkbufSize")
    if size != wanted:
        yield Problem(
            f"workbuf has {counted(size, 'byte')} and _WorkbufSize is {wanted}",
            "workbuf",
            data={"size": size, "_WorkbufSize": wanted},
        )


@check("structs.gc-bits", "An arena of mark bits has just gcBitsChunkBytes")
def gc_bits(figures: Figures) -> Problems:
    """newArenaMayUnlock takes gcBitsChunkBytes from the system and puts a gcBits over it. Its header must
    have gcBitsHeaderBytes, and 8-aligned mark bits must follow it.
    """
    struct, chunk = figures.structs["gcBits"], number(figures, "gcBitsChunkBytes")
    header = number(figures, "gcBitsHeaderBytes")
    if struct.size != chunk:
        yield Problem(
            f"gcBits has {counted(struct.size, 'byte')}, and a chunk {chunk}",
            "gcBits",
            data={"size": struct.size},
        )
    at = offset(struct, "bits")
    if at != header or at % 8:
        yield Problem(
            f"mark bits begin at {at}; the header has {counted(header, 'byte')}, and bits need a "
            f"multiple of 8",
            "gcBits.bits",
            data={"offset": at, "gcBitsHeaderBytes": header},
        )


@check("structs.finalizer-block", "A block of finalizers fits the memory that is taken for it")
def finalizer_block(figures: Figures) -> Problems:
    """queuefinalizer asks persistentalloc for _FinBlockSize bytes and uses them as a finblock."""
    size, block = figures.structs["finblock"].size, number(figures, "_FinBlockSize")
    if size > block:
        yield Problem(
            f"finblock has {counted(size, 'byte')} and _FinBlockSize is {block}",
            "finblock",
            data={"size": size, "block": block},
        )


@check("structs.fixalloc-fits", "What fixalloc hands out is no larger than what it takes at a time")
def fixalloc_fits(figures: Figures) -> Problems:
    """mspan, mcache and the two specials come from fixalloc, which takes _FixAllocChunk bytes at a time
    and keeps its free list inside the blocks: each must hold an mlink and fit a chunk.
    """
    chunk, link = number(figures, "_FixAllocChunk"), figures.structs["mlink"].size
    for name in ("mspan", "mcache", "specialfinalizer", "specialprofile"):
        size = figures.structs[name].size
        if not link <= size <= chunk:
            yield Problem(
                f"{name} has {counted(size, 'byte')}; fixalloc serves {link} to {chunk}",
                name,
                data={"size": size, "chunk": chunk},
            )


@check("structs.special-first", "A special is the first thing in every kind of special")
def special_first(figures: Figures) -> Problems:
    """addspecial and freespecial convert between *special and the whole record: the embedded special must
    be at 0.
    """
    for name in ("specialfinalizer", "specialprofile"):
        at = offset(figures.structs[name], "special")
        if at:
            yield Problem(f"{name}.special is at offset {at}, not 0", f"{name}.special", data={"offset": at})


@check("structs.memstats-prefix", "The part of mstats that programs see is laid out as MemStats is")
def memstats_prefix(figures: Figures) -> Problems:
    """ReadMemStats copies the first bytes of mstats over a MemStats: up to and with 61 entries of
    by_size, an entry being Size uint32, Mallocs and Frees uint64. runtime's init compares the two
    sizes and dies where they differ, so by_size must have at least 61 entries and follow the scalars
    without a hole of its own.
    """
    struct = figures.structs["mstats"]
    align = figures.structs["mstats"].align
    entry = -(-(4 + (-4 % align) + 16) // align) * align
    at, size = offset(struct, "by_size"), size_of(struct, "by_size")
    classes = number(figures, "_NumSizeClasses")
    if size != classes * entry:
        yield Problem(
            f"by_size has {counted(size, 'byte')}, and {counted(classes, 'class')} of "
            f"{counted(entry, 'byte')} need {classes * entry}",
            "mstats.by_size",
            data={"size": size, "entry": entry},
        )
    if classes < MEMSTATS_CLASSES:
        yield Problem(
            f"MemStats shows {counted(MEMSTATS_CLASSES, 'class')}, and there are {classes}",
            "mstats.by_size",
            data={"_NumSizeClasses": classes},
        )
    if at % align:
        yield Problem(
            f"by_size is at offset {at}, not a multiple of {align}", "mstats.by_size", data={"offset": at}
        )


@check("structs.mcache-arrays", "An mcache has a place for every class and every stack order")
def mcache_arrays(figures: Figures) -> Problems:
    """mcache.alloc has a span for each size class and mcache.stackcache a list for each stack order."""
    mcache, pointer = figures.structs["mcache"], number(figures, "sys.PtrSize")
    for field, count, each in (
        ("alloc", number(figures, "_NumSizeClasses"), pointer),
        ("local_nsmallfree", number(figures, "_NumSizeClasses"), pointer),
        ("stackcache", number(figures, "_NumStackOrders"), figures.structs["stackfreelist"].size),
    ):
        size = size_of(mcache, field)
        if size != count * each:
            yield Problem(
                f"mcache.{field} has {counted(size, 'byte')}, and {count} of {each} need {count * each}",
                f"mcache.{field}",
                data={"size": size, "count": count, "each": each},
            )


@check("structs.central-padding", "Two mcentrals never share a cache line")
def central_padding(figures: Figures) -> Problems:
    """Each class has an mcentral with its own lock, padded so that locks of neighbouring classes are on
    different cache lines: an element of mheap.central must have a cache line beside the mcentral.
    """
    size, classes = size_of(figures.structs["mheap"], "central"), number(figures, "_NumSizeClasses")
    least = figures.structs["mcentral"].size + number(figures, "sys.CacheLineSize")
    if classes <= 0 or size % classes or size // classes < least:
        yield Problem(
            f"mheap.central has {counted(size, 'byte')} for {counted(classes, 'class')}; an "
            f"mcentral with its padding has {least}",
            "mheap.central",
            data={"size": size, "_NumSizeClasses": classes, "padded": least},
        )


@check("structs.division-magic", "mspan holds what divMagic holds")
def division_magic(figures: Figures) -> Problems:
    """mspan.init copies a class's divMagic into the span field by field: divMul and baseMask need as many
    bytes there as in the table, the shifts likewise, or the copy would cut the numbers off.
    """
    span, magic = figures.structs["mspan"], figures.structs["divMagic"]
    for there, here in (
        ("divMul", "mul"),
        ("baseMask", "baseMask"),
        ("divShift", "shift"),
        ("divShift2", "shift2"),
    ):
        if size_of(span, there) != size_of(magic, here):
            yield Problem(
                f"mspan.{there} has {counted(size_of(span, there), 'byte')}, divMagic.{here} has "
                f"{size_of(magic, here)}",
                f"mspan.{there}",
                data={"mspan": size_of(span, there), "divMagic": size_of(magic, here)},
            )


@check("structs.alloc-count", "An mspan can count its objects")
def alloc_count(figures: Figures) -> Problems:
    """mspan.allocCount has 16 bits and the class 8: neither may overflow with the table in force."""
    span, classes = figures.structs["mspan"], figures.size_classes
    most = max(classes.objects(index) for index in range(len(classes)))
    for field, value in (("allocCount", most), ("sizeclass", len(classes) - 1)):
        bits = 8 * size_of(span, field)
        if value >= 1 << bits:
            yield Problem(
                f"mspan.{field} has {counted(bits, 'bit')} and may have to hold {value}",
                f"mspan.{field}",
                data={"value": value},
            )
