"""Results that hold or fail: cases with findings, a baseline of what is known, and what fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from archcalc.results.baseline import Baseline, described
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.result import CI_FORMATS, FAILED, FORMATS, OK, Result

NEVER = "never"
FAIL_ON = (Severity.ERROR, Severity.WARNING, NEVER)
STALE_SHOWN = 3  # entries of a baseline that are shown to people; JSON has all


class Judged(Result):
    """A result that holds or fails, case by case.

    `baseline` knows findings that do not fail; `fail_on` is the least severity that does, or "never".
    """

    formats: ClassVar[tuple[str, ...]] = FORMATS + CI_FORMATS
    baseline: Baseline = Baseline()
    fail_on: str = Severity.ERROR

    def cases(self) -> Iterable[Case]:
        """Everything that was judged, held or not, in the order in which to show it."""
        raise NotImplementedError

    def rules(self) -> Iterable[Rule]:
        """What the ids of the findings mean."""
        return ()

    def judged(self) -> list[Case]:
        """The cases, with what the baseline knows marked as known."""
        return self.baseline.marked(self.cases())

    def fails(self, finding: Finding) -> bool:
        """Whether a finding makes the command fail."""
        if self.fail_on == NEVER or finding.known:
            return False
        order = list(Severity)
        severe = order.index(finding.severity) <= order.index(Severity(self.fail_on))
        return severe and not self.baseline.knows(finding)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not any(self.fails(finding) for case in self.cases() for finding in case.findings)

    @property
    def exit_code(self) -> int:
        return OK if self.ok else FAILED

    def about_baseline(self) -> dict[str, object]:
        """The baseline in JSON: its file, how many findings it knew, which entries are stale."""
        if not self.baseline.entries:
            return {"baseline": self.baseline.file or None, "known": 0, "stale": []}
        cases = list(self.cases())
        found = [finding for case in cases for finding in case.findings]
        return {
            "baseline": self.baseline.file or None,
            "known": sum(self.baseline.knows(finding) for finding in found),
            "stale": described(self.baseline.stale(cases, [rule.id for rule in self.rules()])),
        }

    def told_of_baseline(self) -> list[str]:
        """The baseline for people: parts of a summary line."""
        about = self.about_baseline()
        parts = []
        if about["known"]:
            parts.append(f"{about['known']} known to the baseline")
        stale = about["stale"]
        assert isinstance(stale, list)
        if stale:
            entries = "entry of it is" if len(stale) == 1 else "entries of it are"
            parts.append(
                f"{len(stale)} {entries} stale: {', '.join(_entry(one) for one in stale[:STALE_SHOWN])}"
            )
        return parts


def _entry(entry: Mapping[str, str]) -> str:
    return " ".join(entry[key] for key in ("id", "platform", "subject") if entry[key])
