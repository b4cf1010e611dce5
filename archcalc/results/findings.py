"""Findings: what a check reports, under an id that never changes.

A finding's fingerprint depends on what it is about (id, platform, subject, file), never on
the wording or the figures of its message, so that a baseline and a code host recognise it
after either has been changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How bad a finding is; errors make a command fail, unless --fail-on says otherwise."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Rule(NamedTuple):
    """The meaning of an id: its family, a one-line title and a paragraph for `explain`."""

    id: str
    family: str
    severity: Severity
    title: str
    explanation: str


class SourceLine(NamedTuple):
    """A line of a file, counted from 1 (0: none), and how it is related to a finding."""

    file: str
    line: int = 0
    column: int = 0
    message: str = ""


class Finding(NamedTuple):
    """One thing that a check found; `subject` is the figure, field or event that it is about.

    `file` is part of what it is about. `places` are not: the lines of a profile that the value comes
    from, the one to look at first.
    """

    id: str
    platform: str
    severity: Severity
    message: str
    family: str = ""
    subject: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    help: str = ""
    data: Mapping[str, int | str | bool | float] = {}
    known: bool = False
    places: tuple[SourceLine, ...] = ()

    @property
    def place(self) -> SourceLine | None:
        """The line to look at: of the file that the finding is about, else where its value comes from."""
        if self.file is not None:
            return SourceLine(self.file, self.line or 0, self.column or 0)
        return self.places[0] if self.places else None

    @property
    def related(self) -> tuple[SourceLine, ...]:
        """The other related lines."""
        return self.places if self.file is not None else self.places[1:]

    @property
    def fingerprint(self) -> str:
        """32 hex digits that stay the same while the finding is about the same thing."""
        import hashlib  # brings in OpenSSL, which few commands need

        about = (self.id, self.platform, self.subject, self.file or "")
        return hashlib.sha256("\0".join(about).encode()).hexdigest()[:32]

    def document(self) -> dict[str, object]:
        """The finding as JSON has it."""
        place = self.place or SourceLine("")
        return {
            "id": self.id,
            "platform": self.platform,
            "severity": self.severity.value,
            "message": self.message,
            "family": self.family,
            "subject": self.subject,
            "file": place.file or None,
            "line": place.line or None,
            "column": place.column or None,
            "related": [
                {"file": one.file or None, "line": one.line or None, "message": one.message}
                for one in self.related
            ],
            "help": self.help,
            "data": dict(self.data),
            "known": self.known,
            "fingerprint": self.fingerprint,
        }


class Case(NamedTuple):
    """One thing that was judged: a check on a platform, an expectation of a scenario, a trace.

    `group` is the test suite that it belongs to in JUnit's terms (the platform, the file).
    """

    id: str
    group: str
    findings: tuple[Finding, ...] = ()
    skipped: str = ""
    seconds: float | None = None


def counts(findings: Iterable[Finding]) -> dict[Severity, int]:
    """How many findings of each severity are new (not known to a baseline)."""
    total = dict.fromkeys(Severity, 0)
    for finding in findings:
        if not finding.known:
            total[finding.severity] += 1
    return total
