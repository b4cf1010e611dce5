"""Figures of several platforms side by side, so that what is equal is said once.

Platforms whose values are equal share a column, and figures in which the same platforms go together share
a table. So 38 platforms fit a page: most figures take two or three values. A figure that is alone in how it
parts the platforms, or parts them into many, has a row for each of its values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from archcalc.questions.few_words import compact
from archcalc.results.tables import Block, Bytes, Column, Table, Value, human

ABREAST = 4
"""Groups of platforms that stand side by side at most."""
HEADING = 20
"""Characters in a line of a column's heading, but for longer names."""
LONG = 40
"""A list of platforms that is longer than this, and the longest, is told as the others."""

Row = tuple[str, Sequence[Value]]
"""A figure's name and its value on each platform."""

_NAME, _PLATFORMS = "figure", "platforms"


class Grouping(NamedTuple):
    """Which platforms go together: the number of each platform's group."""

    group: tuple[int, ...]

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return max(self.group) + 1

    def first(self, number: int) -> int:
        """The first platform of a group, whose values are those of all."""
        return self.group.index(number)

    def members(self, number: int, names: Sequence[str]) -> list[str]:
        """The names of a group's platforms."""
        return [name for name, group in zip(names, self.group, strict=True) if group == number]


def parting(columns: Sequence[object]) -> Grouping:
    """How values, or columns of values, part the platforms that they stand for."""
    numbers: dict[object, int] = {}
    return Grouping(tuple(numbers.setdefault(_comparable(column), len(numbers)) for column in columns))


def _comparable(value: object) -> object:
    """A value by which equal ones of one type are found; True is not 1."""
    if isinstance(value, tuple):
        return tuple(map(_comparable, value))
    return type(value), value


def together(names: Sequence[str], rows: Sequence[Row], reads: bool = False) -> Iterator[Block]:
    """The tables of some figures. With `reads`, sizes are shown as people say them, exactly."""
    parted: dict[Grouping, list[Row]] = {}
    for row in rows:
        parted.setdefault(parting(row[1]), []).append(row)
    alone: list[Row] = []
    for found, figures in parted.items():
        if found.groups > ABREAST or len(figures) == 1 < found.groups:
            alone += figures
        else:
            yield _abreast(names, found, figures, reads)
    if alone:
        yield _value_by_value(names, alone, reads)


def _abreast(names: Sequence[str], found: Grouping, rows: Sequence[Row], reads: bool) -> Table:
    groups = range(found.groups)
    titles = [heading(who) for who in _told(found, names)]
    columns = (Column(_NAME), *map(Column, titles))
    shown = [
        (name, *(_read(values[found.first(number)], reads) for number in groups)) for name, values in rows
    ]
    return Table(columns, shown, turnable=True)


def _value_by_value(names: Sequence[str], rows: Sequence[Row], reads: bool) -> Table:
    shown: list[Sequence[Value]] = []
    for name, values in rows:
        found = parting(values)
        who = _told(found, names)
        # The others come last, for they are not those that were just named.
        order = sorted(range(found.groups), key=lambda number: who[number][0].startswith("the other "))
        for at, number in enumerate(order):
            shown.append(
                ("" if at else name, _read(values[found.first(number)], reads), ", ".join(who[number]))
            )
    return Table((Column(_NAME), Column("value"), Column(_PLATFORMS, wrap=True)), shown)


def _told(found: Grouping, names: Sequence[str]) -> list[list[str]]:
    """Each group's platforms in few words; of several groups the largest as the others, where it is long."""
    groups = [found.members(number, names) for number in range(found.groups)]
    if len(groups) == 1:
        return [[f"all {len(names)}"]]
    told = [compact(members, names) for members in groups]
    largest = max(range(len(groups)), key=lambda number: len(groups[number]))
    if len(", ".join(told[largest])) > LONG:
        told[largest] = [f"the other {len(groups[largest])}"]
    return told


def by_platform(names: Sequence[str], rows: Sequence[Row]) -> Table:
    """A few figures as columns; platforms with equal values share a row."""
    found = parting(list(zip(*(values for _, values in rows), strict=True)))
    columns = (*(Column(name) for name, _ in rows), Column(_PLATFORMS, wrap=True))
    shown = [
        (
            *(values[found.first(number)] for _, values in rows),
            ", ".join(compact(found.members(number, names), names)),
        )
        for number in range(found.groups)
    ]
    return Table(columns, shown, keys=0)


def _read(value: Value, reads: bool) -> Value:
    return human(value) or value if reads and isinstance(value, Bytes) else value


def heading(names: Sequence[str]) -> str:
    """Names as a heading of several short lines."""
    lines = [""]
    for at, name in enumerate(names):
        word = name + "," * (at < len(names) - 1)
        if lines[-1] and len(lines[-1]) + 1 + len(word) > HEADING:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return "\n".join(lines)
