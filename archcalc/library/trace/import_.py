"""The outcome of importing another kind of log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from archcalc.reading.words import counted
from archcalc.results.result import FAILED, OK, Result
from archcalc.results.tables import Block, Bytes, Column, Prose, Table
from archcalc.traces.importing import Imported


class Import(Result):
    """The outcome of an import, and what it had to assume."""

    def __init__(self, imported: Imported, target: Path) -> None:
        self.imported = imported
        self.target = target

    @property
    def exit_code(self) -> int:
        return OK if self.imported.death is None else FAILED

    def document(self) -> Mapping[str, object]:
        return {**asdict(self.imported), "output": str(self.target)}

    def records(self) -> Iterable[Mapping[str, object]]:
        yield self.document()

    def view(self) -> Iterable[Block]:
        i = self.imported
        columns = (
            Column("recording", wrap=True),
            Column("platform"),
            Column("allocations", int),
            Column("frees", int),
            Column("collections", int),
            Column("bytes", Bytes),
            Column("events", int),
        )
        row = (str(self.target), i.platform, i.allocations, i.frees, i.collections, i.bytes, i.events)
        yield Table(columns, [row])
        if i.death is not None:
            lines = [*i.death["printed"], f"fatal error: {i.death['throw']}"]
            yield Prose("\n".join(("the simulated runtime died of it:", *lines)), verbatim=True)
        if i.other_lines:
            yield Prose(f"{counted(i.other_lines, 'line')} of the log are the program's own output.")
        yield Prose("\n".join(("what the log does not tell:", *(f"- {u}" for u in i.unknown))), verbatim=True)
