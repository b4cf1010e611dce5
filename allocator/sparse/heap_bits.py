"""Where an object's pointers are recorded: in its span, in a header, or beside a large one (mbitmap.go).

A span of objects up to 512 bytes (128 on 32-bit) keeps a bit a word at its end; larger small
objects begin with a word that holds their type; a large object's span has its type. What each
object was given is kept here as that: the bits as an integer, or the type.
"""

from __future__ import annotations

from typing import NamedTuple

from allocator.common.gcprog import run_gc_prog
from allocator.common.types import KIND_GC_PROG, BadType, Type
from allocator.sparse.config import Config

MIN_INLINE_SIZE = 16

ObjectType = int | Type
"""What the heap knows of an object's pointers: bits, one a word, or the type that says it."""


class SpanLayout(NamedTuple):
    """How a span of a class is cut up. `elemsize` is 0 for large objects; `reserve` are the bytes
    at its end that no object has, whatever the rounding, and `extent` those up to its limit."""

    elemsize: int
    npages: int
    nelems: int
    bits_in_span: bool
    inline_marks: bool
    reserve: int
    extent: int


def bits_in_span(config: Config, size: int) -> bool:
    """Whether objects of so many bytes have their pointer bits in the span (heapBitsInSpan)."""
    return size <= config.min_size_for_malloc_header


def layouts(config: Config) -> list[SpanLayout]:
    """The layout of every span class, two a size class: with pointers, then without (initSpan)."""
    classes = config.size_classes
    result = []
    for spanclass in range(2 * len(classes)):
        sizeclass, noscan = spanclass >> 1, bool(spanclass & 1)
        size = classes.class_to_size[sizeclass]
        if not sizeclass:
            result.append(SpanLayout(0, 0, 1, False, False, 0, 0))
            continue
        nbytes = classes.span_bytes(sizeclass)
        small = bits_in_span(config, size)
        in_span = small and not noscan and config.headers
        inline = config.inline_mark_bits and small and size >= MIN_INLINE_SIZE
        reserve = config.sizeof["spanInlineMarkBits"] if inline else 0
        if in_span:
            reserve += nbytes // config.ptr_size // 8
        npages = classes.class_to_allocnpages[sizeclass]
        nelems = (nbytes - reserve) // size
        extent = size * (nelems if config.limit_by_nelems else nbytes // size)
        result.append(SpanLayout(size, npages, nelems, in_span, inline, reserve, extent))
    return result


class Plan(NamedTuple):
    """How objects of one type and size are allocated: by which span class, what is written down for
    each (None: nothing), how many bytes a collector scans, and where the object begins in its slot."""

    spanclass: int
    what: ObjectType | None
    scan: int
    header: int


def plan(config: Config, typ: Type, size: int) -> Plan:
    """How an object of `size` bytes with pointers is laid out. Raises BadType for an impossible type.

    A size of several typ.size is an array; what is left over after the last has no pointers.
    """
    ptr = config.ptr_size
    if not 0 < typ.size <= size:
        raise BadType(f"{size} bytes do not hold {typ.name or 'a type'} of {typ.size} bytes")
    if not 0 < typ.ptrdata <= typ.size or typ.size % ptr or typ.ptrdata % ptr:
        raise BadType(f"{typ.name or 'a type'} of {typ.size} bytes cannot have pointers in {typ.ptrdata}")
    classes = config.size_classes
    if not config.headers:
        scan = max(size - typ.size, 0) + typ.ptrdata
        if size > config.max_small_size:
            return Plan(0, typ, scan, 0)
        return Plan(classes.size_to_class(size) << 1, repeated(typ, size // typ.size, ptr), scan, 0)
    if not bits_in_span(config, size):
        if size > config.max_small_size - config.malloc_header_size:
            return Plan(0, typ, 0, 0)
        sizeclass = classes.size_to_class(size + config.malloc_header_size)
        return Plan(sizeclass << 1, typ, classes.class_to_size[sizeclass], config.malloc_header_size)
    sizeclass = classes.size_to_class(size)
    if ptr == 8 and sizeclass == 1 and config.one_word_is_pointer:
        # Objects of one word can only be pointers: their bits were set when the span was made.
        return Plan(2, None, 8, 0)
    count = size // typ.size
    # Slices of pointers were counted as their first one.
    scan = typ.ptrdata if typ.size == ptr and not config.counts_slices_of_pointers else 0
    scan = scan or (count - 1) * typ.size + typ.ptrdata
    return Plan(sizeclass << 1, repeated(typ, count, ptr), scan, 0)


def unrolled_pages(config: Config, typ: Type) -> int:
    """Pages of the span that a large object's GC program is unrolled into, behind a type that is made up
    for it; 0 where it is not (heapSetType)."""
    if not config.unrolls_gc_programs or not typ.kind & KIND_GC_PROG:
        return 0
    ptr = config.ptr_size
    size = 4 * ptr + 16 + (typ.ptrdata // ptr // 8 + ptr - 1 & -ptr)  # sizeof(_type), and a bit a word
    return size + config.page_size - 1 >> config.page_shift


def repeated(typ: Type, count: int, ptr_size: int) -> int:
    """The pointer bits of so many values side by side, a bit a word (writeHeapBitsSmall)."""
    if count <= 0:
        return 0
    bits, words, done = mask_of(typ, ptr_size), typ.size // ptr_size, 1
    while 2 * done <= count:  # twice as many at each step: one by one is quadratic
        bits |= bits << done * words
        done *= 2
    return bits | (bits & (1 << (count - done) * words) - 1) << done * words


def mask_of(typ: Type, ptr_size: int) -> int:
    """The pointers of one value of the type, a bit a word (getGCMask). GC programs are run."""
    words = typ.ptrdata // ptr_size
    if typ.kind & KIND_GC_PROG:
        return run_gc_prog(typ.gcdata, typ.size // ptr_size)[0]
    return int.from_bytes(typ.gcdata, "little") & ((1 << words) - 1)
