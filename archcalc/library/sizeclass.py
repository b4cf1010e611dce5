"""Sizes with their classes: what rounding wastes, how many objects a span has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from archcalc.calculator import spans
from archcalc.calculator.figures import Figures
from archcalc.calculator.spans import Span
from archcalc.library.report import CLASS_COLUMNS, size_classes
from archcalc.questions.fates import Fate, best_near, fate, wasteful
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results.result import Result
from archcalc.results.tables import Block, Bytes, Column, NotApplicable, Pages, Prose, Table, Value

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
    """Sizes with their classes and wastes."""

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


def sizeclass(
    figures: Figures, sizes: Sequence[int] = (), waste: float | None = None, near: Sequence[int] = ()
) -> Result:
    """Classes and wastes of sizes in bytes; or sizes that waste more than a share, or the best near some.

    Without any of the three, the whole table. Raises UsageFault for more than one of them.
    """
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
