"""Constants of package runtime that are written down apart and must agree."""

from __future__ import annotations

from archcalc.calculator.figures import Figures
from archcalc.checks import Problem, Problems, check, differs, fact, is_power_of_two, number
from archcalc.reading.words import counted


@check("constants.page-size", "The page size is a power of two and its three constants agree")
def page_size(figures: Figures) -> Problems:
    """Pages are found by shifting and masking addresses, so _PageSize must be 1<<_PageShift and _PageMask
    one less; malloc.go's lower-case names must be the same.
    """
    size = number(figures, "_PageSize")
    if not is_power_of_two(size):
        yield Problem(f"_PageSize is {size}, not a power of two", "_PageSize", data={"_PageSize": size})
    yield from differs(figures, "_PageSize", 1 << number(figures, "_PageShift"), "1 << _PageShift")
    yield from differs(figures, "_PageMask", size - 1, "_PageSize - 1")
    for name in ("PageSize", "PageMask", "PageShift"):
        small = name[0].lower() + name[1:]
        yield from differs(figures, small, number(figures, "_" + name), f"the same as _{name}")


@check("constants.page-holds-physical", "A page holds at least the smallest physical page")
def page_holds_physical(figures: Figures) -> Problems:
    """The heap hands out memory in pages of _PageSize and gives it back in physical pages. A heap page
    smaller than minPhysPageSize could never be given back alone on any system.
    """
    size, least = number(figures, "_PageSize"), number(figures, "minPhysPageSize")
    if size < least or size % least:
        yield Problem(
            f"_PageSize is {size}, which is not a multiple of minPhysPageSize, {least}",
            "_PageSize",
            data={"_PageSize": size, "minPhysPageSize": least},
        )


@check("constants.word-size", "Everything that says how long a word is says the same")
def word_size(figures: Figures) -> Problems:
    """_64bit, uintptrMask and sys.PtrSize are worked out in three places from the size of a uintptr.
    RegSize may be larger than PtrSize (amd64p32) and never smaller.
    """
    pointer = number(figures, "sys.PtrSize")
    yield from differs(figures, "_64bit", int(pointer == 8), f"pointers have {counted(pointer, 'byte')}")
    yield from differs(
        figures, "uintptrMask", (1 << 8 * pointer) - 1, f"pointers have {counted(pointer, 'byte')}"
    )
    register = number(figures, "sys.RegSize")
    if register < pointer:
        yield Problem(
            f"a register has {counted(register, 'byte')} and a pointer {pointer}",
            "sys.RegSize",
            data={"RegSize": register, "PtrSize": pointer},
        )


@check("constants.total-bits", "_MHeapMap_TotalBits, _MHeapMap_Bits and _MaxMem agree and fit a word")
def total_bits(figures: Figures) -> Problems:
    """_MHeapMap_TotalBits says how many bits of address the arena spans. _MHeapMap_Bits counts pages of
    it, _MaxMem is its last byte, and neither may need more than a word has: 32-bit ports have 32
    (mips: 31).
    """
    total, word = number(figures, "_MHeapMap_TotalBits"), 8 * number(figures, "sys.PtrSize")
    if not 0 < total <= word:
        yield Problem(
            f"_MHeapMap_TotalBits is {total}, and a word has {counted(word, 'bit')}",
            "_MHeapMap_TotalBits",
            data={"_MHeapMap_TotalBits": total, "word_bits": word},
        )
        return
    shift = number(figures, "_PageShift")
    yield from differs(figures, "_MHeapMap_Bits", total - shift, f"TotalBits {total} less _PageShift {shift}")
    yield from differs(figures, "_MaxMem", (1 << total) - 1, f"the last byte of {counted(total, 'bit')}")


@check("constants.address-bits", "The arena that TotalBits promises can be addressed at all")
def address_bits(figures: Figures) -> Problems:
    """A process has user_address_bits of addresses (a fact of the machine). An arena of more bits that is to
    be reserved in one piece can never succeed, and the port always ends up on the fallback ladder or dies.
    32-bit ports reserve piece by piece, and may have fewer addresses than their arena has room for.
    """
    total, user = number(figures, "_MHeapMap_TotalBits"), fact(figures, "user_address_bits")
    if total > user and figures.layout.contiguous:
        yield Problem(
            f"the arena spans {counted(total, 'bit')} of address, and a process has {user}",
            "_MHeapMap_TotalBits",
            data={"_MHeapMap_TotalBits": total, "user_address_bits": user},
        )


@check("constants.heap-bitmap-scale", "One bitmap byte describes four words")
def heap_bitmap_scale(figures: Figures) -> Problems:
    """The heap bitmap has a pointer bit and a scan bit for every word: four words a byte, so
    heapBitmapScale bytes of heap a byte of bitmap. A span begins on a byte of its own only if a page
    is a whole number of such steps.
    """
    pointer, page = number(figures, "sys.PtrSize"), number(figures, "_PageSize")
    scale = number(figures, "heapBitmapScale")
    yield from differs(figures, "heapBitmapScale", 4 * pointer, f"four words of {counted(pointer, 'byte')}")
    if scale <= 0 or page % scale:
        yield Problem(
            f"a page of {counted(page, 'byte')} is not a whole number of bitmap bytes, "
            f"{counted(scale, 'byte')} of heap each",
            "heapBitmapScale",
            data={"_PageSize": page, "heapBitmapScale": scale},
        )


@check("constants.bitmap-masks", "The masks of a bitmap byte cover its eight bits once")
def bitmap_masks(figures: Figures) -> Problems:
    """bitPointerAll and bitScanAll are the pointer and the scan bits of all four words in a bitmap byte.
    Together they must be the whole byte, and they must not share a bit.
    """
    pointers, scans = number(figures, "bitPointerAll"), number(figures, "bitScanAll")
    if pointers & scans or pointers | scans != 0xFF:
        yield Problem(
            f"bitPointerAll {pointers:#x} and bitScanAll {scans:#x} do not split a byte between them",
            "bitScanAll",
            data={"bitPointerAll": pointers, "bitScanAll": scans},
        )


@check("constants.tiny-class", "The tiny allocator's class has the tiny allocator's size")
def tiny_class(figures: Figures) -> Problems:
    """Tiny objects without pointers share a block of _TinySize bytes, which comes from class
    _TinySizeClass. mallocinit dies with "bad TinySizeClass" where that class has another size; the
    block must be a power of two, because offsets in it are aligned by masking.
    """
    size, index = number(figures, "_TinySize"), number(figures, "_TinySizeClass")
    sizes = figures.size_classes.class_to_size
    if not 0 < index < len(sizes):
        yield Problem(f"there is no class {index}", "_TinySizeClass", data={"_TinySizeClass": index})
    elif sizes[index] != size:
        yield Problem(
            f"class {index} has {counted(sizes[index], 'byte')} and _TinySize is {size}",
            "_TinySizeClass",
            data={"_TinySize": size, "class_size": sizes[index]},
        )
    if not is_power_of_two(size):
        yield Problem(f"_TinySize is {size}, not a power of two", "_TinySize", data={"_TinySize": size})


@check("constants.max-small-size", "The largest class is _MaxSmallSize and the count is right")
def max_small_size(figures: Figures) -> Problems:
    """mallocgc takes sizes up to _MaxSmallSize from classes, so the last class must have just that size,
    and arrays of _NumSizeClasses must have a place for each class.
    """
    classes = figures.size_classes
    yield from differs(figures, "_NumSizeClasses", len(classes), "that many classes are computed")
    yield from differs(figures, "_MaxSmallSize", classes.class_to_size[-1], "the largest class")


@check("constants.objects-per-span", "maxObjsPerSpan holds for every class")
def objects_per_span(figures: Figures) -> Problems:
    """Arrays in the sweeper and in mark bits are sized by maxObjsPerSpan, the objects of 8 bytes in one
    page. No class may put more into a span.
    """
    most = number(figures, "maxObjsPerSpan")
    classes = figures.size_classes
    for index in range(1, len(classes)):
        if classes.objects(index) > most:
            yield Problem(
                f"class {index} has {counted(classes.objects(index), 'object')} a span, and "
                f"maxObjsPerSpan is {most}",
                f"class {index}",
                data={"objects": classes.objects(index), "maxObjsPerSpan": most},
            )


@check("constants.heap-list", "The longest free list is for spans of 1 MB")
def heap_list(figures: Figures) -> Problems:
    """mheap keeps a free list for each length below _MaxMHeapList pages. It is meant to be a megabyte of
    pages whatever their size, which is also what the heap grows by (_HeapAllocChunk).
    """
    pages, size = number(figures, "_MaxMHeapList"), number(figures, "_PageSize")
    chunk = number(figures, "_HeapAllocChunk")
    if pages * size != chunk:
        yield Problem(
            f"_MaxMHeapList is {counted(pages, 'page')}, {counted(pages * size, 'byte')}; the heap grows by "
            f"{chunk}",
            "_MaxMHeapList",
            data={"_MaxMHeapList": pages, "_PageSize": size, "_HeapAllocChunk": chunk},
        )


@check("constants.defer-sizes", "A _defer and its arguments fill whole allocations")
def defer_sizes(figures: Figures) -> Problems:
    """A _defer's arguments follow it in memory. minDeferAlloc is the header rounded up to 16 bytes,
    minDeferArgs what that leaves for arguments; testdefersizes dies with "bad defer size class" where
    pools of equal classes would hold allocations of different sizes.
    """
    header = figures.structs["_defer"].size
    yield from differs(figures, "deferHeaderSize", header, "the size of a _defer")
    header = number(figures, "deferHeaderSize")
    least = (header + 15) & ~15
    yield from differs(figures, "minDeferAlloc", least, f"{header} rounded up to 16")
    yield from differs(figures, "minDeferArgs", least - header, f"what is left of {least} beside {header}")


@check("constants.channel-header", "A channel's elements can follow its header")
def channel_header(figures: Figures) -> Problems:
    """makechan puts the buffer straight after an hchan in one allocation; hchanSize must hold the struct
    and be a multiple of maxAlign, the largest alignment that an element can have.
    """
    size, align = number(figures, "hchanSize"), number(figures, "maxAlign")
    struct = figures.structs["hchan"].size
    if size < struct or size % align or size - struct >= align:
        yield Problem(
            f"hchanSize is {size}: an hchan has {counted(struct, 'byte')}, and maxAlign is {align}",
            "hchanSize",
            data={"hchanSize": size, "maxAlign": align, "size": struct},
        )


@check("constants.min-legal-pointer", "The first page is never a heap page")
def min_legal_pointer(figures: Figures) -> Problems:
    """A pointer below minLegalPointer is taken for garbage, and frames larger than _StackBig check the
    stack pointer with care for wrapping below zero: neither may be more than the page at zero that is
    never mapped.
    """
    least = number(figures, "minPhysPageSize")
    for name in ("minLegalPointer", "_StackBig"):
        if number(figures, name) > least:
            yield Problem(
                f"{name} is {number(figures, name)}, more than the {counted(least, 'byte')} at 0 "
                f"that are never mapped",
                name,
                data={name: number(figures, name), "minPhysPageSize": least},
            )
