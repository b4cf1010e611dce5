"""The first records of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from archcalc.results.result import Result
from archcalc.results.tables import Block, Column, Prose, Table
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
