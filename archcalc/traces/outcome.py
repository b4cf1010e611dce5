"""What comes of a replay: where model and recording part, and everything that is told of a recording."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Parting:
    """Where model and recording part. `record` is the kind of record, `event` counts from 1."""

    record: str
    line: int
    event: int
    expected: str
    found: str
    span: dict[str, Any] | None = None
    arena: dict[str, Any] | None = None
    around: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a first_mismatch."""
        return {
            "record": self.record,
            "line": self.line,
            "event": self.event,
            "expected": self.expected,
            "found": self.found,
            "span": self.span,
            "arena": self.arena,
            "around": list(self.around),
        }


@dataclass
class Replay:
    """What came of a recording. `events` are those carried out; seconds, wall time, begin with the first."""

    path: str
    platform: str
    events: int = 0
    mismatches: int = 0
    first: Parting | None = None
    by_record: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    death: dict[str, Any] | None = None
    reported: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    interrupted: bool = False
    memstats: dict[str, Any] | None = None  # of the end, under runtime.MemStats' names
    unordered: int = 0  # steps of several threads whose order the recording leaves open

    @property
    def ok(self) -> bool:
        """Whether everything was reproduced."""
        return self.mismatches == 0 and not self.interrupted


class Stop(Exception):
    """The first difference was found, and that is enough."""
