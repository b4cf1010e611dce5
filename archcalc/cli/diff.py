"""`archcalc diff`: what differs between two platforms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from archcalc.calculator import figures as calculator
from archcalc.calculator.figures import Figures
from archcalc.calculator.inventory import SECTIONS, Inventory, Selection
from archcalc.cli.options import Profiles, Sets, complete_platforms
from archcalc.cli.profile.show import typed
from archcalc.cli.report import Only, qualified, size_classes
from archcalc.cli.targets import selected, settings
from archcalc.profiles.profile import Profile
from archcalc.profiles.profile_tools import show
from archcalc.reading.errors import Fault, UsageFault
from archcalc.results.result import Result
from archcalc.results.tables import Block, Column, Hex, NotApplicable, Prose, Table, Value

First = Annotated[
    str,
    typer.Argument(
        metavar="A", help="A platform, or the path of a profile.", autocompletion=complete_platforms
    ),
]
Second = Annotated[
    str,
    typer.Argument(
        metavar="B",
        help="Another; without one, A as it is against A with --set.",
        autocompletion=complete_platforms,
        show_default=False,
    ),
]


KEYS = ("section", "name", "a", "b", "delta")
NO_CLASS = NotApplicable("no such class there")
NOT_SAID = NotApplicable("not said there")

Row = tuple[str, str, Value, Value, Value]


class Difference(Result):
    """Figures and facts in which two platforms differ."""

    def __init__(
        self, first: Figures, second: Figures, only: Selection, sets: Mapping[str, int | str]
    ) -> None:
        self.first = first
        self.second = second
        self.only = only
        self.sets = sets
        self.labels = labels(first, second)

    def rows(self) -> list[Row]:
        """What differs, section by section."""
        inventory = Inventory((self.first, self.second))
        rows: list[Row] = []
        for key in inventory.differing():
            if self.only.wants(key):
                a, b = inventory.values[key]
                counts = inventory.entries[key].unit in ("bytes", "pages", "count", "bits")
                rows.append((key[0], qualified(key), a, b, delta(a, b) if counts else None))
        for name, (a, b) in self.only.extra.items():
            if a != b:
                rows.append(("", name, a, b, delta(a, b)))
        if self.only.wants_section("size_classes"):
            rows += self.class_rows()
        if not self.only:
            rows += self.fact_rows()
        return rows

    def class_rows(self) -> Iterator[Row]:
        """Size classes that only one of the two has, or that have other pages, by their size."""
        tables = [{row[1]: row[2] for row in size_classes(figures)} for figures in (self.first, self.second)]
        for size in sorted({*tables[0], *tables[1]}):
            a, b = (table.get(size, NO_CLASS) for table in tables)
            if a != b:
                yield "size_classes", f"pages of {size} bytes", a, b, delta(a, b)

    def fact_rows(self) -> Iterator[Row]:
        """Facts of the profiles; they are what all the rest follows from."""
        left, right = (
            # The headers' constants are among the runtime's already.
            {fact.key: typed(fact) for fact in show(figures.profile) if not fact.key.startswith("constants.")}
            for figures in (self.first, self.second)
        )
        for key in {**left, **right}:
            a, b = left.get(key, NOT_SAID), right.get(key, NOT_SAID)
            if a != b:
                yield "facts", key, a, b, None

    def document(self) -> Mapping[str, object]:
        return {
            "a": self.labels[0],
            "b": self.labels[1],
            "set": dict(self.sets),
            "same": not self.rows(),
            "differences": [dict(zip(KEYS, row, strict=True)) for row in self.rows()],
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        return [dict(zip(KEYS, row, strict=True)) for row in self.rows()]

    def sheet(self) -> Table:
        columns = (Column("section"), Column("name"), Column("a"), Column("b"), Column("delta", int))
        return Table(columns, self.rows())

    def view(self) -> Sequence[Block]:
        rows = self.rows()
        if not rows:
            return (
                Prose(
                    f"{self.labels[0]} and {self.labels[1]} do not differ in anything that is known of them."
                ),
            )
        titles = {**SECTIONS, "facts": "Facts of the profiles", "": "Other figures"}
        columns = (Column("name"), *(Column(label, wrap=True) for label in self.labels), Column("delta", int))
        return [
            Table(columns, part, title)
            for section, title in titles.items()
            if (part := [row[1:] for row in rows if row[0] == section])
        ]


def labels(first: Figures, second: Figures) -> tuple[str, str]:
    """What the two columns are called; a what-if says so."""
    names = [
        figures.platform + "".join(f" {name}={value}" for name, value in figures.sets.items())
        for figures in (first, second)
    ]
    return names[0], names[1]


def delta(a: Value, b: Value) -> Value:
    """How much more the second has, where both are numbers of things and not names of them."""
    if isinstance(a, Hex | bool | str) or isinstance(b, Hex | bool | str):
        return None
    return int(b) - int(a) if isinstance(a, int) and isinstance(b, int) else None


def one(pattern: str, profiles: Sequence[Any] | None) -> Profile:
    """The one platform that a word names."""
    found = selected([pattern], profiles)
    if len(found) != 1:
        raise UsageFault(Fault(f"{pattern} names {len(found)} platforms", "one"))
    return found[0]


def command(
    a: First, b: Second = "", profiles: Profiles = None, sets: Sets = None, only: Only = None
) -> Difference:
    """Show what differs between two platforms.

    With one platform and --set, what the what-if changes.
    """
    given = settings(sets)
    first = one(a, profiles)
    if b:
        left, right = calculator.compute(first, given), calculator.compute(one(b, profiles), given)
    elif given:
        left, right = calculator.compute(first), calculator.compute(first, given)
    else:
        raise UsageFault(Fault("one platform and nothing to compare it with", "a second platform, or --set"))
    return Difference(left, right, Selection(only or (), (left, right)), given)
