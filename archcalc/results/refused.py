"""Input that could not be used, as findings: what CI systems show beside the lines that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from archcalc.reading import faults
from archcalc.reading.errors import Fault, UsageFault
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.result import USAGE
from archcalc.results.tables import Column, Table

FAMILY = "input"
COLUMNS = (
    Column("file"),
    Column("line", int),
    Column("column", int),
    Column("id"),
    Column("message", wrap=True),
)


class Refused(Judged):
    """The faults of files, each a finding at its line; the process ends with 2 in any case.

    `named` gives a file the name that a code host knows it by.
    """

    def __init__(self, fault: UsageFault, named: Callable[[str], str] = str) -> None:
        self.faults = fault.faults
        self.named = named

    @property
    def exit_code(self) -> int:
        return USAGE

    @property
    def ok(self) -> bool:
        return False

    def cases(self) -> Iterable[Case]:
        by_file: dict[str, list[Finding]] = {}
        for fault in self.faults:
            finding = self._finding(fault)
            by_file.setdefault(finding.file or "", []).append(finding)
        for file, found in by_file.items():
            yield Case("readable", file, tuple(found))

    def _finding(self, fault: Fault) -> Finding:
        return Finding(
            fault.id, "", Severity.ERROR, fault.message, FAMILY, fault.found,
            file=self.named(fault.file) if fault.file else None,
            line=fault.line or None, column=fault.column or None, help=fault.suggestion,
        )  # fmt: skip

    def rules(self) -> Iterable[Rule]:
        for id in dict.fromkeys(fault.id for fault in self.faults):
            meant = faults.meaning(id) or "The input or the usage is wrong."
            yield Rule(id, FAMILY, Severity.ERROR, meant.partition(". ")[0].rstrip("."), meant)

    def document(self) -> Mapping[str, object]:
        cases = self.cases()
        return {"ok": False, "findings": [one.document() for case in cases for one in case.findings]}

    def view(self) -> Iterable[Table]:
        rows = [
            (self.named(fault.file), fault.line or None, fault.column or None, fault.id, fault.message)
            for fault in self.faults
        ]
        return (Table(COLUMNS, rows),)


def stands_in_a_file(fault: UsageFault) -> bool:
    """Whether a code host has a file to show the fault in."""
    return any(Path(one.file).name for one in fault.faults if one.file)
