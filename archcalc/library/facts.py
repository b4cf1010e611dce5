"""What profiles say, fact by fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from archcalc.profiles import profile_tools
from archcalc.profiles.profile import Profile
from archcalc.profiles.profile_tools import FactRow
from archcalc.results.result import Result
from archcalc.results.tables import Column, Hex, Section, Table, Value

COLUMNS = (
    Column("fact", key="name"),
    Column("value"),
    Column("from"),
    Column("what it is", key="help", wrap=True),
)


class FactList(Result):
    """What profiles say, fact by fact."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self.rows = [(profile, profile_tools.show(profile)) for profile in profiles]

    def document(self) -> Mapping[str, object]:
        return {
            "profiles": [
                {
                    "name": profile.name,
                    "platform": profile.platform,
                    "file": profile.file,
                    "facts": [fact(row) for row in rows],
                }
                for profile, rows in self.rows
            ]
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        for profile, rows in self.rows:
            for row in rows:
                yield {"profile": profile.name, **fact(row)}

    def sheet(self) -> Table:
        rows = [(profile.name, *cells(row)) for profile, rows in self.rows for row in rows]
        return Table((Column("profile"), *COLUMNS), rows)

    def view(self) -> Iterable[Section]:
        for profile, rows in self.rows:
            yield Section(profile.name, (Table(COLUMNS, [cells(row) for row in rows]),))


def cells(row: FactRow) -> tuple[Value, Value, Value, Value]:
    """A fact as a row of a table."""
    return row.key, typed(row), f"{row.file}:{row.line}", row.help


def typed(row: FactRow) -> Value:
    """Addresses as Hex; lists as they are written in a profile."""
    value = row.value
    if isinstance(value, list):
        return ", ".join(
            f"{item['from']:#x}-{item['to']:#x}" if isinstance(item, Mapping) else str(item) for item in value
        )
    return Hex(value) if row.is_address else value


def fact(row: FactRow) -> dict[str, object]:
    """A fact as an object, its value as the profile has it."""
    return {"name": row.key, "value": row.value, "file": row.file, "line": row.line, "help": row.help}
