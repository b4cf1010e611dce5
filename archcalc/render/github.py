"""GitHub workflow commands: each new finding as an annotation of the run."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.render import Page
from archcalc.results import what_ifs
from archcalc.results.findings import Finding, Severity, SourceLine
from archcalc.results.judged import Judged
from archcalc.results.result import Result

_COMMAND = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(result: Result, page: Page) -> Iterator[str]:
    """One `::error …::` line a finding that no baseline knows."""
    assert isinstance(result, Judged)
    if words := what_ifs.told(result):
        yield f"::notice title=set::{_message(words)}\n"
    for case in result.judged():
        for finding in case.findings:
            if not finding.known:
                yield annotation(finding) + "\n"


def annotation(finding: Finding) -> str:
    """A workflow command; its properties and its message are escaped differently."""
    place = finding.place or SourceLine("")
    properties = {
        "file": place.file or None,
        "line": place.line or None,
        "col": place.column or None,
        "title": finding.id,
    }
    listed = ",".join(
        f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None
    )
    message = f"{finding.platform}: {finding.message}" if finding.platform else finding.message
    return f"::{_COMMAND[finding.severity]} {listed}::{_message(message)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
