"""What a request for memory gets: class, span, waste; and backwards, which sizes waste."""

from __future__ import annotations

from dataclasses import dataclass

from archcalc.calculator import spans
from archcalc.calculator.figures import Figures
from archcalc.calculator.spans import Span
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted


@dataclass(frozen=True, slots=True)
class Fate:
    """What a request of `size` bytes gets (mallocgc, malloc.go). Sizes and wastes are bytes.

    `inside` is lost by rounding the object up, `tail` at the end of each span. `rounding` is the former as a
    share of the object's memory, `share` both as a share of a full span. Tiny objects are those that share a
    block, if they have no pointers.
    """

    size: int
    size_class: int
    rounded: int
    span_pages: int
    objects: int
    inside: int
    tail: int
    rounding: float
    share: float
    tiny: bool
    large: bool
    pointers: Span | None = None
    """How an object with pointers of that size lies in its span, in releases where that differs."""

    @property
    def kind(self) -> str:
        """The way that mallocgc takes."""
        return (
            "large" if self.large else "tiny if noscan" if self.tiny else "small" if self.size else "zerobase"
        )


def fate(figures: Figures, size: int) -> Fate:
    """What one size gets. Size 0 takes no memory at all."""
    classes = figures.size_classes
    page = classes.page_size
    if size > spans.small_limit(figures):
        largest = int(figures.constants["uintptrMask"])
        rounded = classes.round_up_size(size, largest)
        if size > largest or rounded < size or rounded % page:
            raise UsageFault(
                Fault(
                    f"{counted(size, 'byte')} wrap at the word size of {figures.platform}", "a smaller size"
                )
            )
        waste = rounded - size
        return Fate(
            size, 0, rounded, rounded // page, 1, waste, 0, waste / rounded, waste / rounded, False, True
        )
    if size == 0:
        return Fate(0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, False, False)
    index = classes.size_to_class(size)
    rounded, objects = classes.class_to_size[index], classes.objects(index)
    span, tail = classes.span_bytes(index), classes.tail_waste(index)
    pointers = None
    if figures.generation.era != "contiguous":
        plain, pointers = (spans.of_object(figures, size, kind) for kind in (False, True))
        assert plain is not None
        objects, tail = plain.objects, plain.tail + plain.inline_marks
    inside = rounded - size
    share = (span - objects * size) / span
    tiny = size < int(figures.constants["_TinySize"])
    pages = classes.class_to_allocnpages[index]
    return Fate(
        size, index, rounded, pages, objects, inside, tail, inside / rounded, share, tiny, False, pointers
    )


def wasteful(figures: Figures, share: float) -> list[Fate]:
    """The small sizes of which rounding up wastes more than a share, the worst first."""
    every = (fate(figures, size) for size in range(1, spans.small_limit(figures) + 1))
    return sorted((one for one in every if one.rounding > share), key=lambda one: -one.rounding)


def best_near(figures: Figures, size: int) -> list[Fate]:
    """The size itself, and those beside it that fill their class: the class below, its own and the one above.

    Beyond the classes these are whole pages.
    """
    classes = figures.size_classes
    own = fate(figures, size)
    sizes = {size, own.rounded}
    if own.large:
        sizes |= {own.rounded - classes.page_size, own.rounded + classes.page_size}
    elif own.size_class:
        sizes |= {classes.class_to_size[own.size_class - 1]}
        sizes |= {classes.class_to_size[min(own.size_class + 1, len(classes) - 1)]}
    return [fate(figures, near) for near in sorted(sizes) if near > 0]
