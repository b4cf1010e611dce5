"""`archcalc sizeclass`: from a size to its class, and backwards from a waste to sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from archcalc.calculator import figures as calculator
from archcalc.calculator import spans
from archcalc.calculator.figures import Figures
from archcalc.calculator.spans import Span
from archcalc.cli.options import Go, Profiles, Sets, complete_platforms
from archcalc.cli.targets import generation, settings
from archcalc.library.report import CLASS_COLUMNS, size_classes
from archcalc.library.targets import selected
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.quantities import parse_share, parse_size
from archcalc.reading.words import counted
from archcalc.results.result import Result
from archcalc.results.tables import Block, Bytes, Column, NotApplicable, Pages, Prose, Table, Value

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SIZE|PLATFORM]...",
        help="Sizes: 100, 4k, 1.5m; without any, the whole table. A platform, too: linux/386.",
        autocompletion=complete_platforms,
        show_default=False,
    ),
]
Platform = Annotated[
    str,
    typer.Option(
        "--platform",
        metavar="PLATFORM",
        help="The platform, if none stands beside the sizes (default: $GOOS/$GOARCH, else the host's).",
        autocompletion=complete_platforms,
        show_default=False,
    ),
]
Waste = Annotated[
    Any,
    typer.Option(
        "--waste",
        metavar="SHARE",
        help="The sizes of which rounding wastes more than this share, 20% or 0.2.",
        parser=parse_share,
    ),
]
Near = Annotated[
    list[Any] | None,
    typer.Option(
        "--near", metavar="SIZE", help="The best sizes near this one (repeatable).", parser=parse_size
    ),
]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a request of `size` bytes (mallocgc, malloc.go). Sizes and wastes are bytes.

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
    """How an object with pointers of that size stands in its span, in releases where that differs."""

    @property
    def kind(self) -> str:
        """The way that mallocgc takes."""
        return (
            "large" if self.large else "tiny if noscan" if self.tiny else "small" if self.size else "zerobase"
        )


def fate(figures: Figures, size: int) -> Fate:
    """What becomes of one size. Size 0 takes no memory at all."""
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


COLUMNS = (
    Column("size", Bytes),
    Column("class", int),
    Column("rounded", Bytes),
    Column("waste inside", Bytes, key="inside_waste"),
    Column("span pages", Pages),
    Column("objects a span", int, key="objects"),
    Column("tail", Bytes, key="tail_waste"),
    Column("by rounding", float, key="rounding_share"),
    Column("in all", float, key="waste_share"),
    Column("tiny", bool),
    Column("large", bool),
)
VIEW_COLUMNS = (
    *COLUMNS[:3],
    Column("inside", Bytes),
    Column("pages", Pages),
    Column("objects", int),
    COLUMNS[6],
    Column("by rounding"),
    Column("in all"),
    Column("kind"),
)
LARGE = NotApplicable("large objects have no class, but a span of their own")


class SizesFound(Result):
    """Sizes with what becomes of them."""

    def __init__(
        self, figures: Figures, fates: Sequence[Fate], title: str, notes: Sequence[str] = ()
    ) -> None:
        self.figures = figures
        self.fates = fates
        self.title = title
        self.notes = notes

    def document(self) -> Mapping[str, object]:
        return {
            "platform": self.figures.profile.platform,
            "name": self.figures.platform,
            "set": dict(self.figures.sets),
            "sizes": list(self.records()),
        }

    def records(self) -> Iterator[Mapping[str, object]]:
        names = [column.name for column in COLUMNS]
        for one in self.fates:
            found = dict(zip(names, cells(one), strict=True)) | {"class": one.size_class}
            yield found | ({"pointers": with_pointers(one.pointers)} if one.pointers else {})

    def sheet(self) -> Table:
        return Table(COLUMNS, [(one.size, one.size_class, *cells(one)[2:]) for one in self.fates])

    def view(self) -> Sequence[Block]:
        rows = [
            (*cells(one)[:7], f"{100 * one.rounding:.1f}%", f"{100 * one.share:.1f}%", one.kind)
            for one in self.fates
        ]
        blocks = [Table(VIEW_COLUMNS, rows, self.title, notes=self.notes)]
        pointed = [(one.size, *with_pointers(one.pointers).values()) for one in self.fates if one.pointers]
        if pointed:
            notes = (f"As Go {self.figures.generation.name} lays out spans of objects with pointers.",)
            blocks.append(Table(POINTER_COLUMNS, pointed, "With pointers", notes=notes))
        return blocks


POINTER_COLUMNS = (
    Column("size", Bytes),
    Column("class", int),
    Column("element", Bytes),
    Column("header", Bytes),
    Column("heap bits", Bytes),
    Column("marks", Bytes),
    Column("objects", int),
    Column("tail", Bytes),
)


def with_pointers(span: Span) -> dict[str, Value]:
    """What an object with pointers really takes, as JSON has it."""
    return {
        "class": span.size_class,
        "element": Bytes(span.element),
        "header": Bytes(span.header),
        "heap_bits": Bytes(span.heap_bits),
        "inline_marks": Bytes(span.inline_marks),
        "objects": span.objects,
        "tail_waste": Bytes(span.tail),
    }


class Classes(Result):
    """The whole table."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures
        self.rows = list(size_classes(figures))

    def document(self) -> Mapping[str, object]:
        keys = [column.name for column in CLASS_COLUMNS]
        return {
            "platform": self.figures.profile.platform,
            "name": self.figures.platform,
            "set": dict(self.figures.sets),
            "size_classes": [dict(zip(keys, row, strict=True)) for row in self.rows],
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        return self.document()["size_classes"]  # type: ignore[return-value]  # made just above

    def sheet(self) -> Table:
        return Table(CLASS_COLUMNS, self.rows)

    def view(self) -> Sequence[Block]:
        classes = self.figures.size_classes
        return (
            Table(CLASS_COLUMNS, self.rows, f"Size classes of {self.figures.platform}"),
            Prose(
                f"{counted(len(classes), 'class')} with class 0, for what is above "
                f"{counted(classes.max_small_size, 'byte')}."
            ),
        )


def cells(one: Fate) -> tuple[Value, ...]:
    """A row of COLUMNS."""
    index: Value = LARGE if one.large else one.size_class
    sizes = (one.size, index, one.rounded, one.inside, one.span_pages, one.objects, one.tail)
    return (*sizes, round(one.rounding, 6), round(one.share, 6), one.tiny, one.large)


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


def command(
    words: Words = None,
    platform: Platform = "",
    waste: Waste = None,
    near: Near = None,
    profiles: Profiles = None,
    sets: Sets = None,
    go: Go = None,
) -> Result:
    """Show the size class of sizes: rounding, waste, objects a span.

    Backwards, --waste lists the sizes of which rounding wastes more than a share, and --near the best
    sizes near one. What is wasted in all is a share of a full span's memory, its tail included.
    For releases from 1.22 on (--go), what a header, heap bits and marks take of objects with pointers, too.
    """
    release = generation(go)
    named = [word for word in words or () if "/" in word]
    sizes = [parse_size(word) for word in words or () if "/" not in word]
    if named and platform:
        raise UsageFault(Fault(f"--platform {platform}, and {named[0]} beside the sizes", "one of them"))
    found = selected(named or ([platform] if platform else None), profiles, go=release)
    if len(found) != 1:
        what = ", ".join(named) or platform or "the default"
        raise UsageFault(Fault(f"{what}: {counted(len(found), 'platform')}", "one"))
    figures = calculator.compute(found[0], settings(sets), release)
    if sum(bool(given) for given in (sizes, waste is not None, near)) > 1:
        raise UsageFault(Fault("sizes, --waste and --near are given together", "one of them"))
    if waste is not None:
        fates = wasteful(figures, waste)
        some, limit = counted(len(fates), "size"), spans.small_limit(figures)
        notes = (f"{some} of 1 to {counted(limit, 'byte')} waste more by rounding.",)
        return SizesFound(figures, fates, f"Sizes that waste more than {100 * waste:g}%", notes)
    if near:
        fates = [one for size in near for one in best_near(figures, size)]
        return SizesFound(figures, fates, "The best sizes near these")
    if sizes:
        return SizesFound(figures, [fate(figures, size) for size in sizes], "")
    return Classes(figures)
