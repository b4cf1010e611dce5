"""What `--set` has set, shown with every result in every format.

Renderers call this instead of the result itself, so that no command can forget it: JSON and YAML have
a key `set`, lines and rows of data a further field, people a line at the top.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from archcalc.results.result import Result
from archcalc.results.tables import Block, Column, Prose, Section, Table

KEY = "set"


def told(result: Result) -> str:
    """One line for people; nothing without a what-if."""
    given = settings(result)
    return f"What if {given}" if given else ""


def settings(result: Result) -> str:
    """All of them as --set takes them, one after the other."""
    return ", ".join(f"{name}={_written(value)}" for name, value in result.what_ifs.items())


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def records(result: Result) -> Iterable[Mapping[str, object]]:
    """The result's records, each with what was set."""
    if not result.what_ifs:
        return result.records()
    return ({**record, KEY: dict(result.what_ifs)} for record in result.records())


def sheet(result: Result) -> Table:
    """The result's sheet, with a column of what was set."""
    found = result.sheet()
    if not result.what_ifs:
        return found
    given = settings(result)
    return Table((*found.columns, Column(KEY)), [(*row, given) for row in found.rows])


def view(result: Result) -> Iterator[Section | Block]:
    """The result's view, under a line that says what was set."""
    words = told(result)
    return iter(chain([Prose(words)] if words else [], result.view()))
