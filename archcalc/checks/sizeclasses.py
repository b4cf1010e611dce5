"""The table of size classes: its order, its waste, its lookups, its division magic."""

from __future__ import annotations

from functools import cache

from allocator.common.sizeclasses import SizeClasses
from archcalc.calculator.figures import Figures
from archcalc.checks import Problem, Problems, check, number
from archcalc.reading.words import counted

# What mksizeclasses.go promises: of the tail of a span, and of a rounded size with its share of the tail.
TAIL_SHARE = 8
WORST_SHARE_PERMILLE = 266
SMALL_SIZES = 128


@check("sizeclasses.ascending", "Classes are ascending and class 0 is empty")
def ascending(figures: Figures) -> Problems:
    """Lookups take the first class that is large enough, which needs classes in order. Class 0 stands for
    objects that have no class, and has neither size nor pages.
    """
    classes = figures.size_classes
    if classes.class_to_size[0] or classes.class_to_allocnpages[0]:
        yield Problem(f"class 0 has {counted(classes.class_to_size[0], 'byte')}", "class 0")
    for index in range(1, len(classes)):
        if classes.class_to_size[index] <= classes.class_to_size[index - 1]:
            yield Problem(
                f"class {index} has {counted(classes.class_to_size[index], 'byte')},"
                f" after {classes.class_to_size[index - 1]}",
                f"class {index}",
                data={"size": classes.class_to_size[index]},
            )


@check("sizeclasses.alignment", "Sizes are aligned as their users rely on")
def alignment(figures: Figures) -> Problems:
    """Every size is a multiple of 8, from 16 bytes on of 16 wherever SSE code relies on it, and from
    smallSizeMax on of largeSizeDiv, or size_to_class128 could not find it.
    """
    small_max, step = number(figures, "smallSizeMax"), number(figures, "largeSizeDiv")
    for index, size in enumerate(figures.size_classes.class_to_size):
        wanted = step if size > small_max else 16 if size >= 16 else 8
        if size % wanted:
            yield Problem(
                f"class {index} has {counted(size, 'byte')}, not a multiple of {wanted}",
                f"class {index}",
                data={"size": size},
            )


@check("sizeclasses.tail-waste", "No span wastes more than an eighth at its end")
def tail_waste(figures: Figures) -> Problems:
    """mksizeclasses takes more pages for a class until what is left behind the last object is at most an
    eighth of the span.
    """
    classes = figures.size_classes
    for index in range(1, len(classes)):
        tail, span = classes.tail_waste(index), classes.span_bytes(index)
        if tail * TAIL_SHARE > span:
            yield Problem(
                f"class {index} ({counted(classes.class_to_size[index], 'byte')}) leaves {tail} of "
                f"{counted(span, 'byte')} unused",
                f"class {index}",
                data={"tail_waste": tail, "span": span},
            )


@check("sizeclasses.rounding-waste", "No size above 128 bytes wastes more than 26.6%")
def rounding_waste(figures: Figures) -> Problems:
    """mksizeclasses.go bounds what rounding up and the tail of the span waste together: 26.6% of the
    memory for the worst size above 128 bytes. Smaller sizes have few classes and may waste nearly
    half, 17 bytes in 32.
    """
    classes = figures.size_classes
    for index in range(2, len(classes)):
        smallest = classes.class_to_size[index - 1] + 1
        if smallest <= SMALL_SIZES:
            continue
        span = classes.span_bytes(index)
        waste = span - classes.objects(index) * smallest
        if waste * 1000 > WORST_SHARE_PERMILLE * span:
            yield Problem(
                f"{counted(smallest, 'byte')} in class {index} "
                f"({counted(classes.class_to_size[index], 'byte')}) waste"
                f" {waste} of {counted(span, 'byte')}, {100 * waste / span:.1f}%",
                f"class {index}",
                data={"waste": waste, "span": span},
            )


@check("sizeclasses.lookup", "Both lookup tables find the smallest class for every size")
def lookup(figures: Figures) -> Problems:
    """mallocgc looks sizes up to smallSizeMax-8 up in size_to_class8 and larger ones in size_to_class128.
    For each size from 1 to _MaxSmallSize the table must give the first class that is large enough.
    """
    wrong = misplaced(figures.size_classes)
    if wrong:
        size, found, right = wrong
        yield Problem(
            f"{counted(size, 'byte')} are looked up as class {found}, and class {right} is the "
            f"first that holds them",
            f"size {size}",
            data={"size": size, "found": found, "right": right},
        )


@cache
def misplaced(classes: SizeClasses) -> tuple[int, int, int] | None:
    """The first size that is looked up wrongly, the class found and the right one; ports share one table."""
    right = 0
    for size in range(1, classes.max_small_size + 1):
        while right < len(classes) - 1 and classes.class_to_size[right] < size:
            right += 1
        if (found := classes.size_to_class(size)) != right:
            return size, found, right
    return None


@check("sizeclasses.division-magic", "The multiplication that divides by a class's size is exact in its span")
def division_magic(figures: Figures) -> Problems:
    """heapBitsForObject finds an object's index by ((offset >> shift) * mul) >> shift2, in 32 bits. It is
    checked here at both sides of every multiple of the size up to the end of the span, between which
    the product cannot be wrong without being wrong there; the multiplier must fit 16 bits and the
    product 32.
    """
    for index, at in divided_wrongly(figures.size_classes):
        size = figures.size_classes.class_to_size[index]
        mul = figures.size_classes.class_to_divmagic[index].mul
        yield Problem(
            f"class {index} ({counted(size, 'byte')}): offset {at} is divided wrongly, multiplier {mul}",
            f"class {index}",
            data={"size": size, "offset": at, "mul": mul},
        )


@cache
def divided_wrongly(classes: SizeClasses) -> tuple[tuple[int, int], ...]:
    """Classes whose magic fails, each with the first offset at which it does; ports share one table."""
    found = []
    for index in range(1, len(classes)):
        magic, size, span = (
            classes.class_to_divmagic[index],
            classes.class_to_size[index],
            classes.span_bytes(index),
        )
        offsets = {at for n in range(0, span, size) for at in (n, n + size - 1) if at < span} | {span - 1}
        wrong = [
            at
            for at in offsets
            if ((at >> magic.shift) * magic.mul & 0xFFFF_FFFF) >> magic.shift2 != at // size
        ]
        if wrong or magic.mul >= 1 << 16:
            found.append((index, min(wrong, default=0)))
    return tuple(found)


@check("sizeclasses.base-mask", "Power-of-two classes have a mask, the others none")
def base_mask(figures: Figures) -> Problems:
    """For sizes that are powers of two, an object's start is found by masking its offset. The mask must
    clear just the bits inside an object, and be 0 for all other sizes, which are divided.
    """
    classes = figures.size_classes
    for index in range(1, len(classes)):
        size, mask = classes.class_to_size[index], classes.class_to_divmagic[index].base_mask
        power = size & (size - 1) == 0
        if mask != ((1 << 16) - size if power else 0):
            yield Problem(
                f"class {index} ({counted(size, 'byte')}) has the mask {mask:#x}",
                f"class {index}",
                data={"base_mask": mask},
            )


@check("sizeclasses.count", "Class numbers fit a byte and spans a byte of pages")
def count(figures: Figures) -> Problems:
    """size_to_class8 and size_to_class128 hold class numbers in a byte, class_to_allocnpages pages in a
    byte, and class_to_size sizes in two.
    """
    classes = figures.size_classes
    for what, value, limit in (
        ("classes", len(classes), 1 << 8),
        ("pages of a span", max(classes.class_to_allocnpages), 1 << 8),
        ("bytes of a class", max(classes.class_to_size), 1 << 16),
    ):
        if value > limit - (what != "classes"):
            yield Problem(f"{value} {what} do not fit the table", what, data={"value": value, "limit": limit})
