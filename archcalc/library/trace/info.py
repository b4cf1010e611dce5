"""What a recording is: its header, and its records by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from archcalc.results.result import Result
from archcalc.results.tables import Block, Column, Table
from archcalc.traces.reader import Header


class Info(Result):
    """A recording's header, and its records by kind."""

    def __init__(self, path: Path, form: str, header: Header, records: Counter[str]) -> None:
        self.path = path
        self.form = form
        self.header = header
        self.kinds = records

    def document(self) -> Mapping[str, object]:
        return {
            "path": str(self.path),
            "form": self.form,
            "bytes": self.path.stat().st_size,
            "lines": 1 + self.kinds.total(),
            "header": self.header.extra,
            "records": dict(sorted(self.kinds.items())),
        }

    def view(self) -> Iterable[Block]:
        facts: list[tuple[str, Any]] = [
            ("file", str(self.path)),
            ("form", self.form),
            ("bytes", self.path.stat().st_size),
            ("lines", 1 + self.kinds.total()),
        ]
        for key, value in self.header.extra.items():
            facts.append((key, hex(value) if key == "data_end" else value if _plain(value) else repr(value)))
        yield Table((Column("of the file"), Column("value", wrap=True)), [(k, str(v)) for k, v in facts])
        yield Table((Column("record"), Column("lines", int)), self.kinds.most_common())


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float)
