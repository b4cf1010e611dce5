"""What goes through a recording line by line: which it is, how far it is, and the outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from archcalc.reading.words import counted
from archcalc.traces import columnar
from archcalc.traces.outcome import Replay
from archcalc.traces.reader import Header, fault, parse_header

KEPT = 12  # lines that a difference is shown with


class LineByLine:
    """One recording on its way through. `version` is that of the format that it can be of."""

    version = 1
    header: Header
    result: Replay
    config: Any

    def __init__(
        self,
        path: Path,
        config_for: Callable[[Header], Any],
        keep_going: bool = False,
        source: Callable[[Path], Iterator[list[str]]] = columnar.lines,
    ) -> None:
        self.path = path
        self.name = str(path)
        self.config_for = config_for
        self.keep_going = keep_going
        self.source = source
        self.prepare()

    def prepare(self) -> None:
        """What there is before the first line. Each kind adds its own."""
        self.line = 0
        self.event = 0

    def begin(self) -> tuple[list[str], Iterator[list[str]]]:
        """Reads the header. Returns the first lines after it, and all others. Raises TraceFault."""
        stream = self.source(self.path)
        first = next(stream, None)
        if first is None:
            raise fault(self.name, 1, "an empty file", "a recording")
        self.open(first[0])
        return first[1:], stream

    def open(self, header_line: str) -> None:
        """Takes the header line. Raises TraceFault."""
        self.header = parse_header(self.name, header_line, (self.version,))
        self.result = Replay(self.name, self.header.platform)
        self.config = self.config_for(self.header)
        self.line = 1

    def all_told(self) -> None:
        """The file has no more lines. Raises TraceFault where the header says that it has."""
        if self.event != self.header.events:
            raise fault(
                self.name,
                self.line,
                f"{counted(self.event, 'event')}",
                f"{self.header.events}, as the header says",
            )
