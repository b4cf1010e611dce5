"""Baselines: files of the findings that a project knows and accepts.

Each entry has the fingerprint of a finding, and a description. `check`, `verify`, `drift`,
`boot` and `prove` treat them alike: what is known does not fail, is counted apart, and is suppressed in
SARIF; an entry whose finding has gone is reported, so that the file can be rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from archcalc.reading.errors import Fault, UsageFault
from archcalc.results.findings import Case, Finding

VERSION = 1


class Baseline(NamedTuple):
    """The known findings of a file, by fingerprint; empty without a file."""

    file: str = ""
    entries: Mapping[str, Mapping[str, str]] = {}

    def marked(self, cases: Iterable[Case]) -> list[Case]:
        """The cases, their known findings marked as known."""
        if not self.entries:
            return list(cases)
        return [
            case._replace(findings=tuple(f._replace(known=f.known or self.knows(f)) for f in case.findings))
            for case in cases
        ]

    def knows(self, finding: Finding) -> bool:
        """Whether the file has the finding."""
        return bool(self.entries) and finding.fingerprint in self.entries

    def stale(self, cases: Iterable[Case], ids: Iterable[str]) -> list[Mapping[str, str]]:
        """The entries of rules in `ids`, on what was judged, whose finding is not there any more.

        What was not judged (another platform, a check that was left out) says nothing of its entries.
        """
        judged = list(cases)
        asked = {*ids}
        groups = {case.group for case in judged} | {""}
        found = {finding.fingerprint for case in judged for finding in case.findings}
        return [
            entry
            for fingerprint, entry in self.entries.items()
            if fingerprint not in found and entry.get("id") in asked and entry.get("platform", "") in groups
        ]


def text(findings: Iterable[Finding]) -> str:
    """The text of a file with these findings; sorted, for readable diffs."""
    known = [
        {"fingerprint": f.fingerprint, "id": f.id, "platform": f.platform, "subject": f.subject}
        for f in findings
    ]
    known.sort(key=lambda item: (item["id"], item["platform"], item["subject"]))
    return json.dumps({"version": VERSION, "findings": known}, indent=1) + "\n"


def read(path: Path) -> Baseline:
    """A baseline file. Raises UsageFault, located, when it is not one."""
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
        raise fault("nested too deeply, or a number of thousands of digits") from error
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise fault(f'no "version": {VERSION}')
    entries = document.get("findings")
    if not isinstance(entries, list):
        raise fault('"findings" is not a list')
    known: dict[str, Mapping[str, str]] = {}
    for number, entry in enumerate(entries):
        fingerprint = entry.get("fingerprint") if isinstance(entry, dict) else None
        if not isinstance(fingerprint, str):
            raise fault(f'findings[{number}] has no "fingerprint" string')
        known[fingerprint] = {key: value for key, value in entry.items() if isinstance(value, str)}
    return Baseline(str(path), known)


def described(stale: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Entries as JSON has them: what each is about."""
    return [{key: entry.get(key, "") for key in ("id", "platform", "subject")} for entry in stale]
