"""`archcalc trace head`: the first events of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.cli.trace.options import Trace
from archcalc.reading.quantities import parse_count
from archcalc.results.result import Result
from archcalc.results.tables import Block, Column, Prose, Table
from archcalc.traces import stats
from archcalc.traces.reader import Header


class Head(Result):
    """A recording's header and its first records; `records` are (line, text)."""

    def __init__(self, path: Path, header: Header, records: Sequence[tuple[int, str]]) -> None:
        self.path = path
        self.header = header
        self.first = records

    def document(self) -> Mapping[str, object]:
        return {
            "path": str(self.path),
            "header": self.header.extra,
            "records": [
                {"line": line, "record": text.partition(" ")[0], "text": text} for line, text in self.first
            ],
        }

    def view(self) -> Iterable[Block]:
        yield Prose("\n".join(text for _, text in self.first), verbatim=True)

    def sheet(self) -> Table:
        return Table((Column("line", int), Column("text")), self.first)


def command(
    trace: Trace,
    n: Annotated[
        Any, typer.Option("-n", metavar="N", help="How many records; default 10.", parser=parse_count)
    ] = None,
    types: Annotated[
        bool, typer.Option("--types", help="The declarations of types too, which mostly come first.")
    ] = False,
) -> Head:
    """Show the first events."""
    return Head(trace, *stats.head(trace, 10 if n is None else n, types))
