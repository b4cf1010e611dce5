"""The outcome of recording a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from archcalc.results.result import Result
from archcalc.results.tables import Block


class Ran(Result):
    """A run that was recorded, or a build that was not run. What is printed is the program's."""

    formats = ("table",)

    def __init__(self, path: Path, events: int = 0, exit: int = 0) -> None:
        self.path = path
        self.events = events
        self.exit = exit

    @property
    def exit_code(self) -> int:
        return self.exit

    def document(self) -> Mapping[str, object]:
        return {"path": str(self.path), "events": self.events, "exit": self.exit}

    def view(self) -> Iterable[Block]:
        return ()
