"""What differs between two platforms, or between two releases of Go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from archcalc.calculator import figures as calculator
from archcalc.calculator.figures import Figures
from archcalc.calculator.inventory import Inventory, Key, Selection, sections
from archcalc.calculator.inventory import labels as titles
from archcalc.library.facts import typed
from archcalc.library.report import qualified, size_classes
from archcalc.library.targets import selected
from archcalc.profiles.profile import Profile
from archcalc.profiles.profile_tools import show
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results.result import Result
from archcalc.results.tables import Block, Column, Hex, NotApplicable, Prose, Table, Value

KEYS = ("section", "name", "a", "b", "delta", "a_formula", "b_formula")


NO_CLASS = NotApplicable("that side has no such class")


NOT_SAID = NotApplicable("that side does not give it")


Row = tuple[str, str, Value, Value, Value, str, str]


class Diff(Result):
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
                rows.append(
                    (key[0], qualified(key), a, b, delta(a, b) if counts else None, *self.formulas(key))
                )
        for name, (a, b) in self.only.extra.items():
            if a != b:
                rows.append(("", name, a, b, delta(a, b), "", ""))
        if self.only.wants_section("size_classes"):
            rows += self.class_rows()
        if not self.only:
            rows += self.fact_rows()
        return rows

    def formulas(self, key: Key) -> tuple[str, str]:
        """The formulas behind a figure of both."""
        return formula(self.first, key), formula(self.second, key)

    def class_rows(self) -> Iterator[Row]:
        """Size classes that only one of the two has, or that have other pages, by their size."""
        tables = [{row[1]: row[2] for row in size_classes(figures)} for figures in (self.first, self.second)]
        for size in sorted({*tables[0], *tables[1]}):
            a, b = (table.get(size, NO_CLASS) for table in tables)
            if a != b:
                yield "size_classes", f"pages of {counted(size, 'byte')}", a, b, delta(a, b), "", ""

    def fact_rows(self) -> Iterator[Row]:
        """Facts of the profiles; everything else follows from them."""
        left, right = (
            # The headers' constants are among the runtime's already.
            {fact.key: typed(fact) for fact in show(figures.profile) if not fact.key.startswith("constants.")}
            for figures in (self.first, self.second)
        )
        for key in {**left, **right}:
            a, b = left.get(key, NOT_SAID), right.get(key, NOT_SAID)
            if a != b:
                yield "facts", key, a, b, None, "", ""

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
        columns = (
            Column("section"),
            Column("name"),
            Column("a"),
            Column("b"),
            Column("delta", int),
            Column("a_formula"),
            Column("b_formula"),
        )
        return Table(columns, self.rows())

    def view(self) -> Sequence[Block]:
        rows = self.rows()
        if not rows:
            return (Prose(f"{self.labels[0]} and {self.labels[1]} have the same figures and facts."),)
        known = sections((self.first, self.second))
        titles = {**known, "facts": "Facts of the profiles", "": "Other figures"}
        columns = (Column("name"), *(Column(label, wrap=True) for label in self.labels), Column("delta", int))
        blocks: list[Block] = [
            Table(columns, part, title)
            for section, title in titles.items()
            if (part := [row[1:5] for row in rows if row[0] == section])
        ]
        changed = [(row[1], *row[5:]) for row in rows if row[5] != row[6] and row[5] and row[6]]
        if changed:
            columns = (Column("name"), *(Column(label, wrap=True) for label in self.labels))
            blocks.append(Table(columns, changed, "Formulas that changed"))
        return blocks


def formula(figures: Figures, key: Key) -> str:
    """The formula behind a figure, where it has one of its own."""
    section, name = key
    found = figures.engine.formula(f"{'runtime' if section == 'constants' else section}.{name}")
    return found.text if found is not None else ""


def labels(first: Figures, second: Figures) -> tuple[str, str]:
    """The headings of the two columns, which mention a what-if."""
    platforms = titles((first, second))
    names = [
        platform + "".join(f" {name}={value}" for name, value in figures.sets.items())
        for figures, platform in zip((first, second), platforms, strict=True)
    ]
    return names[0], names[1]


def delta(a: Value, b: Value) -> Value:
    """The difference, where both are numbers and not names."""
    if isinstance(a, Hex | bool | str) or isinstance(b, Hex | bool | str):
        return None
    return int(b) - int(a) if isinstance(a, int) and isinstance(b, int) else None


def one(pattern: str, files: Sequence[Path] | None, go: str) -> Profile:
    """The one platform that a word names."""
    found = selected([pattern], files, go=go)
    if len(found) != 1:
        raise UsageFault(Fault(f"{pattern} names {counted(len(found), 'platform')}", "one"))
    return found[0]


def diff(
    a: str,
    b: str,
    files: Sequence[Path] | None,
    releases: Sequence[str],
    given: Mapping[str, int | str],
    only: Sequence[str] = (),
) -> Diff:
    """What differs between two platforms, or between two releases; without `b`, what `given` changes of `a`.

    Raises UsageFault where words name another number of platforms or releases.
    """
    if len(releases) > 2:
        raise UsageFault(Fault(f"--go names {counted(len(releases), 'release')}", "one or two"))
    old, new = releases[0], releases[-1]
    first = one(a, files, old)
    left = calculator.compute(first, given, old)
    if b or old != new:
        right = calculator.compute(one(b or a, files, new), given, new)
    elif given:
        left, right = calculator.compute(first, go=old), calculator.compute(first, given, old)
    else:
        expected = "a second platform, --set, or --go twice"
        raise UsageFault(Fault("one platform and nothing to compare it with", expected))
    return Diff(left, right, Selection(only, (left, right)), given)
