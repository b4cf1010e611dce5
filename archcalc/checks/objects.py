"""Size classes, heap bits, headers and inline marks of spans, and the sizes of stacks."""

from __future__ import annotations

from archcalc.calculator.figures import Figures
from archcalc.checks import SPARSE, Problem, Problems, check, figure, has, is_power_of_two
from archcalc.checks.pages import page_size
from archcalc.reading.words import counted


@check("objects.classes-ascend", "Classes ascend, and every size finds the first that holds it", era=SPARSE)
def classes_ascend(figures: Figures) -> Problems:
    """mallocgc looks a class up by size and takes it unseen: a class too small would let objects overlap."""
    classes = figures.size_classes
    sizes = classes.class_to_size
    for at in range(1, len(sizes)):
        if sizes[at] <= sizes[at - 1]:
            yield Problem(
                f"class {at} has {counted(sizes[at], 'byte')}, after {sizes[at - 1]}", f"class {at}"
            )
    div, small = (
        figure(figures, "SmallSizeDiv", "smallSizeDiv"),
        figure(figures, "SmallSizeMax", "smallSizeMax"),
    )
    large = figure(figures, "LargeSizeDiv", "largeSizeDiv")
    for table, start, step in (("size_to_class8", 0, div), ("size_to_class128", small, large)):
        for at, found in enumerate(getattr(classes, table)):
            size = start + at * step
            if sizes[found] < size or (found and sizes[found - 1] >= size):
                yield Problem(
                    f"{counted(size, 'byte')} are looked up in a class of {sizes[found]}", f"{table}[{at}]"
                )


@check("objects.tiny-class", "The tiny block is a size class without pointers' alignment lost", era=SPARSE)
def tiny_class(figures: Figures) -> Problems:
    """Tiny objects share blocks of TinySize bytes, which are allocated as objects of TinySizeClass."""
    size, at = figure(figures, "TinySize", "_TinySize"), figure(figures, "TinySizeClass", "_TinySizeClass")
    found = figures.size_classes.class_to_size[at]
    if size != found:
        yield Problem(
            f"a tiny block has {counted(size, 'byte')}, its class {found}", "TinySize", data={"found": found}
        )


@check("objects.header-is-a-class", "The largest object without a header is a size class", era=SPARSE)
def header_is_a_class(figures: Figures) -> Problems:
    """mallocinit dies with "min size of malloc header is not a size class boundary": an object's size and
    its class must say the same about a header.
    """
    if not has_headers(figures):
        return
    size = figure(figures, "MinSizeForMallocHeader", "minSizeForMallocHeader")
    if size not in figures.size_classes.class_to_size:
        yield Problem(
            f"{counted(size, 'byte')} are not a size class", "minSizeForMallocHeader", data={"size": size}
        )


@check("objects.headerless-one-page", "Classes of objects without headers have spans of one page", era=SPARSE)
def headerless_one_page(figures: Figures) -> Problems:
    """Heap bits are at the end of a span of one page, where an object's address rounded up to a page finds
    them. mallocinit dies with "expected all size classes up to min size for malloc header to fit in
    one-page spans".
    """
    if not has_headers(figures):
        return
    most = figure(figures, "MinSizeForMallocHeader", "minSizeForMallocHeader")
    classes = figures.size_classes
    for at, (size, pages) in enumerate(zip(classes.class_to_size, classes.class_to_allocnpages, strict=True)):
        if size <= most and pages > 1:
            yield Problem(
                f"class {at} of {counted(size, 'byte')} has spans of {counted(pages, 'page')}", f"class {at}"
            )


@check(
    "objects.heap-bits-fit-word", "Heap bits of the largest object without a header fit a word", era=SPARSE
)
def heap_bits_fit_word(figures: Figures) -> Problems:
    """The heap bits of such an object are read and written as one word. mallocinit dies with "max
    pointer/scan bitmap size for headerless objects is too large".
    """
    if not has_headers(figures):
        return
    size, word = (
        figure(figures, "MinSizeForMallocHeader", "minSizeForMallocHeader"),
        figure(figures, "PtrSize"),
    )
    if size // word > 8 * word:
        yield Problem(
            f"an object of {counted(size, 'byte')} has {counted(size // word, 'bit')}, a word {8 * word}",
            "minSizeForMallocHeader",
            data={"bits": size // word},
        )


@check("objects.inline-marks", "Marks at the end of a span are as many as it can hold objects", era=SPARSE)
def inline_marks(figures: Figures) -> Problems:
    """With GOEXPERIMENT=greenteagc, small spans carry their marks in their last bytes, a bit an object. The
    smallest objects there are of 16 bytes.
    """
    if not has(figures, "layout.inline_marks_size") or "spanInlineMarkBits" not in figures.structs:
        return
    record = figures.structs["spanInlineMarkBits"]
    marks = next(field.size for field in record.fields if field.name == "marks")
    objects = figure(figures, "layout.objects16_plain")
    if objects > 8 * marks:
        yield Problem(
            f"{counted(objects, 'object')} of 16 bytes, and {8 * marks} marks",
            "spanInlineMarkBits.marks",
            data={"objects": objects, "marks": 8 * marks},
        )


@check("objects.smallest-stack", "The smallest stack is a power of two that holds what it must", era=SPARSE)
def smallest_stack(figures: Figures) -> Problems:
    """stackalloc finds an order by halving and dies with "stack size not a power of 2" for anything else."""
    fixed = figure(figures, "fixedStack", "_FixedStack")
    least = figure(figures, "stackMin", "_StackMin") + figure(figures, "stackSystem", "_StackSystem")
    if not is_power_of_two(fixed) or not least <= fixed < 2 * least:
        yield Problem(
            f"fixedStack is {fixed}, and must hold {least}", "fixedStack", data={"fixedStack": fixed}
        )


@check(
    "objects.stack-cache",
    "A span of the stack pool is whole pages and whole stacks of each order",
    era=SPARSE,
)
def stack_cache(figures: Figures) -> Problems:
    """stackpoolalloc cuts spans of _StackCacheSize into stacks of an order; what does not divide is lost, and
    an order that does not fit has no stack at all.
    """
    cache = figure(figures, "_StackCacheSize")
    if cache % page_size(figures):
        yield Problem(f"_StackCacheSize is {cache}, not a whole number of pages", "_StackCacheSize")
    for at, one in enumerate(figures.engine.family_values("layout.stack_order")):
        size = 0 if isinstance(one.value, str) else int(one.value)
        if not size or cache % size:
            yield Problem(
                f"a span of {counted(cache, 'byte')} is not a whole number of stacks of {size}",
                f"stack_order{at}",
            )


def has_headers(figures: Figures) -> bool:
    """Whether larger objects with pointers have a header, as from Go 1.22 on."""
    return any(has(figures, name) for name in ("gc.MinSizeForMallocHeader", "runtime.minSizeForMallocHeader"))
