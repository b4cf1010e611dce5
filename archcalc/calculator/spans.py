"""How a span of small objects is laid out: its objects, and what heap bits, marks and headers take.

Where Go's source says it in functions and not in constants (heapBitsInSpan, mbitmap.go; initSpan, mheap.go;
mallocgc, malloc.go), it is said here, of the constants and experiments that a release has.
"""

from __future__ import annotations

from dataclasses import dataclass

from archcalc.calculator.figures import Figures


@dataclass(frozen=True, slots=True)
class Span:
    """A span for one kind of object. Sizes are bytes.

    `header` is in front of each object, `heap_bits` and `inline_marks` at the end of the span; `tail` is what
    no object covers besides.
    """

    size_class: int
    element: int
    pages: int
    objects: int
    header: int
    heap_bits: int
    inline_marks: int
    tail: int


def small_limit(figures: Figures) -> int:
    """The largest object that has a size class: where there are headers, one must fit beside it."""
    return int(figures.constants["maxSmallSize"]) - header_size(figures)


def header_size(figures: Figures) -> int:
    """The word that larger objects with pointers have before them; 0 in releases without."""
    return int(figures.constants.get("mallocHeaderSize", 0))


def of_object(figures: Figures, size: int, pointers: bool) -> Span | None:
    """The span that an object of `size` bytes lies in; None where it is a large one, or none."""
    if not 0 < size <= small_limit(figures):
        return None
    headers = header_size(figures)
    header = headers if pointers and headers and not _bits_in_span(figures, size) else 0
    classes = figures.size_classes
    size_class = classes.size_to_class(size + header)
    element, nbytes = classes.class_to_size[size_class], classes.span_bytes(size_class)
    bits_in_span = bool(headers) and _bits_in_span(figures, element)
    heap_bits = nbytes // figures.engine.words[0] // 8 if pointers and bits_in_span else 0
    inline_marks = _inline_marks(figures, element) if bits_in_span else 0
    objects = (nbytes - heap_bits - inline_marks) // element
    tail = nbytes - heap_bits - inline_marks - objects * element
    pages = classes.class_to_allocnpages[size_class]
    return Span(size_class, element, pages, objects, header, heap_bits, inline_marks, tail)


def _bits_in_span(figures: Figures, size: int) -> bool:
    return size <= int(figures.constants["minSizeForMallocHeader"])


def _inline_marks(figures: Figures, element: int) -> int:
    areas = figures.areas
    return (
        int(areas["inline_marks_size"]) if element >= int(areas.get("inline_marks_from", element + 1)) else 0
    )


def steps(figures: Figures, pointers: bool) -> list[tuple[int, Span]]:
    """The spans of all small objects: for each the largest size, in bytes, that lies in it."""
    limit, header = small_limit(figures), header_size(figures)
    ends = {int(figures.constants.get("minSizeForMallocHeader", limit)), limit}
    for size in figures.size_classes.class_to_size:
        ends |= {size, size - header}
    found: list[tuple[int, Span]] = []
    for size in sorted(end for end in ends if 0 < end <= limit):
        span = of_object(figures, size, pointers)
        assert span is not None
        if found and found[-1][1] == span:
            found.pop()
        found.append((size, span))
    return found
