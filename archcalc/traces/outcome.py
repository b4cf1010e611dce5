"""The outcome of a replay: where model and recording differ, and everything that is known of a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from archcalc.reading.errors import UsageFault

if TYPE_CHECKING:
    from archcalc.traces.reader import Header


@dataclass(frozen=True, slots=True)
class Parting:
    """Where model and recording differ. `record` is the kind of record, `event` counts from 1."""

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
    """The outcome of a recording. `events` are those carried out; wall seconds begin with the first."""

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
    checked: dict[str, dict[str, int]] | None = None  # what was checked, by verdict, where not all can be
    unordered: int = 0  # steps of several threads whose order the recording leaves open

    @property
    def ok(self) -> bool:
        """Whether everything was reproduced."""
        return self.mismatches == 0 and not self.interrupted


class Stop(Exception):
    """The first difference was found, and that is enough."""


class GaveUp(Exception):
    """Something in the columns is wrong or unusual; going line by line finds out what."""


class Fed(Protocol):
    """A replayer of either version of the format, as far as it is given lines."""

    header: Header
    result: Replay

    @property
    def event(self) -> int:
        """How many events have been carried out."""

    def feed(self, lines: list[str]) -> None:
        """Carries out some lines, the next ones of the file."""

    def finish(self) -> None:
        """Judges the end; the file has no more lines."""


def carry_out(
    replayer: Fed,
    first: list[str],
    rest: Iterable[list[str]],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Feeds a recording until it ends, differs from the machine, or is interrupted; the result says which."""
    try:
        replayer.feed(first)
        for lines in rest:
            replayer.feed(lines)
            if progress is not None:
                progress(replayer.event, replayer.header.events)
        replayer.finish()
    except Stop:
        pass
    except KeyboardInterrupt:
        replayer.result.interrupted = True


class FedInGroups(Protocol):
    """What is given a recording's rows in groups."""

    header: Header
    result: Replay

    @property
    def event(self) -> int:
        """How many events have been carried out."""

    def group(self, columns: Any) -> None:
        """Carries out a group of rows, the next ones of the file."""

    def finish(self) -> None:
        """Judges the end; the file has no more rows."""


def carry_out_groups(
    replayer: FedInGroups,
    groups: Iterable[object],
    progress: Callable[[int, int], None] | None,
    wrong: tuple[type[Exception], ...],
) -> int | None:
    """The same for rows; how many events are sure where it was interrupted.

    Raises GaveUp where the machine differs, or for what is `wrong`.
    """
    done = 0
    try:
        for columns in groups:
            replayer.group(columns)
            done = replayer.event
            if progress is not None:
                progress(done, replayer.header.events)
        replayer.finish()
    except KeyboardInterrupt:
        # What is ordinary in this group may wait still; that of the groups before is sure.
        replayer.result.interrupted = True
        return done
    except (Stop, UsageFault) as end:
        raise GaveUp from end
    except wrong as end:
        raise GaveUp from end
    return None
