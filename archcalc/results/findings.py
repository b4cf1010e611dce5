"""Findings: what a check has to say, under an id that never changes.

A finding's fingerprint depends on what it is about (id, platform, subject, file), never on
the wording or the figures of its message, so that a baseline and a code host recognise it
after either has been changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from archcalc.reading.errors import Fault, UsageFault

BASELINE_VERSION = 1


class Severity(StrEnum):
    """How bad a finding is; only errors make a command fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Rule:
    """What stands behind an id: its family, a one-line title and a paragraph for `explain`."""

    id: str
    family: str
    severity: Severity
    title: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found; `subject` is the figure, field or event that it is about."""

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
    data: Mapping[str, int | str | bool] = field(default_factory=dict)
    known: bool = False

    @property
    def fingerprint(self) -> str:
        """32 hex digits that stay the same while the finding is about the same thing."""
        import hashlib  # brings in OpenSSL, which few commands need

        about = (self.id, self.platform, self.subject, self.file or "")
        return hashlib.sha256("\0".join(about).encode()).hexdigest()[:32]

    @property
    def failing(self) -> bool:
        """Whether it makes the command fail: an error that no baseline knows."""
        return self.severity is Severity.ERROR and not self.known

    def document(self) -> dict[str, object]:
        """The finding as JSON has it."""
        return {
            "id": self.id,
            "platform": self.platform,
            "severity": self.severity.value,
            "message": self.message,
            "family": self.family,
            "subject": self.subject,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "help": self.help,
            "data": dict(self.data),
            "known": self.known,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that was judged: a check on a platform, an expectation of a scenario, a trace.

    `group` is the test suite that it belongs to in JUnit's terms (the platform, the file).
    """

    id: str
    group: str
    findings: tuple[Finding, ...] = ()
    skipped: str = ""
    seconds: float | None = None

    @property
    def failed(self) -> bool:
        """Whether one of its findings makes the command fail."""
        return any(finding.failing for finding in self.findings)


def counts(findings: Iterable[Finding]) -> dict[Severity, int]:
    """How many findings of each severity are new (not known to a baseline)."""
    total = dict.fromkeys(Severity, 0)
    for finding in findings:
        if not finding.known:
            total[finding.severity] += 1
    return total


def baseline_text(findings: Iterable[Finding]) -> str:
    """A baseline file that knows these findings; sorted, so that it reads well in a diff."""
    known = [
        {"fingerprint": f.fingerprint, "id": f.id, "platform": f.platform, "subject": f.subject}
        for f in findings
    ]
    known.sort(key=lambda item: (item["id"], item["platform"], item["subject"]))
    return json.dumps({"version": BASELINE_VERSION, "findings": known}, indent=1) + "\n"


def read_baseline(path: Path) -> frozenset[str]:
    """The fingerprints in a baseline file. Raises UsageFault, located, when it is not one."""
    expected = "a baseline file, as --write-baseline writes it"

    def fault(found: str, line: int = 1, column: int = 1) -> UsageFault:
        return UsageFault(Fault(found, expected, id="baseline", file=str(path), line=line, column=column))

    try:
        document = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise fault(error.strerror or str(error), line=0, column=0) from error
    except UnicodeDecodeError as error:
        raise fault("not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise fault(error.msg, error.lineno, error.colno) from error
    except (RecursionError, ValueError) as error:
        raise fault("nested too deeply, or a number of absurd length") from error
    if not isinstance(document, dict) or document.get("version") != BASELINE_VERSION:
        raise fault(f'no "version": {BASELINE_VERSION}')
    entries = document.get("findings")
    if not isinstance(entries, list):
        raise fault('"findings" is no list')
    known = set()
    for number, entry in enumerate(entries):
        fingerprint = entry.get("fingerprint") if isinstance(entry, dict) else None
        if not isinstance(fingerprint, str):
            raise fault(f'findings[{number}] has no "fingerprint" string')
        known.add(fingerprint)
    return frozenset(known)


def mark_known(findings: Iterable[Finding], known: frozenset[str]) -> list[Finding]:
    """The findings, those of the baseline marked as known."""
    return [replace(f, known=True) if f.fingerprint in known else f for f in findings]
