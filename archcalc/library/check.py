"""What the checks find on platforms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from archcalc import checks, config, generations
from archcalc.calculator.figures import Figures
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results import findings
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Column, Prose, Section, Table

COLUMNS = (
    Column("severity"),
    Column("id"),
    Column("platform"),
    Column("subject"),
    Column("message", wrap=True),
)


VIEW_COLUMNS = (Column("platform", wrap=True), Column("what was found", wrap=True))


class CheckReport(Judged):
    """What the checks found; people only see infos with `all`."""

    def __init__(
        self,
        cases: Sequence[Case],
        rules: Sequence[Rule],
        sets: Mapping[str, int | str] = MappingProxyType({}),
        all: bool = False,
        go: str = generations.CURRENT,
    ) -> None:
        self._cases = cases
        self._rules = rules
        self.sets = sets
        self.all = all
        self.go = go

    @property
    def findings(self) -> list[Finding]:
        """All of them, the known ones too, errors first."""
        order = list(Severity)
        found = [finding for case in self.judged() for finding in case.findings]
        return sorted(found, key=lambda finding: order.index(finding.severity))

    def cases(self) -> Sequence[Case]:
        return self._cases

    def rules(self) -> Sequence[Rule]:
        return self._rules

    def document(self) -> Mapping[str, object]:
        platforms = list(dict.fromkeys(case.group for case in self._cases))
        return {
            "ok": self.ok,
            "generation": generations.label(self.go),
            "platforms": platforms,
            "checks": [rule.id for rule in self._rules],
            "set": dict(self.sets),
            **self.about_baseline(),
            "findings": [finding.document() for finding in self.findings],
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        return [finding.document() for finding in self.findings]

    def sheet(self) -> Table:
        return Table(COLUMNS, [row(finding) for finding in self.findings])

    def view(self) -> Iterable[Section | Block]:
        titles = {rule.id: rule.title for rule in self._rules}
        groups: dict[tuple[Severity, str], dict[str, list[str]]] = {}
        for finding in self.findings:
            if not finding.known and (self.all or finding.severity is not Severity.INFO):
                messages = groups.setdefault((finding.severity, finding.id), {})
                messages.setdefault(finding.message, []).append(finding.platform)
        for (severity, id), messages in groups.items():
            rows = [(", ".join(platforms), message) for message, platforms in messages.items()]
            yield Section(f"{severity.value}: {id}; should hold: {titles[id]}", (Table(VIEW_COLUMNS, rows),))
        yield Prose(self.summary())

    def summary(self) -> str:
        """One line: what was run, what was found, whether it holds."""
        platforms = len({case.group for case in self._cases})
        number = findings.counts(self.findings)
        parts = [counted(number[Severity.ERROR], "error"), counted(number[Severity.WARNING], "warning")]
        hidden = "" if self.all or not number[Severity.INFO] else " (--verbose shows them)"
        parts.append(f"{number[Severity.INFO]} info{hidden}")
        parts += self.told_of_baseline()
        ran = f"{counted(len(self._rules), 'check')} on {counted(platforms, 'platform')}"
        return f"{'ok' if self.ok else 'FAILED'}: {ran}: {', '.join(parts)}"


def row(finding: Finding) -> tuple[str, ...]:
    """A finding as a row of COLUMNS."""
    return (finding.severity.value, finding.id, finding.platform, finding.subject, finding.message)


def check(
    targets: Sequence[Figures],
    select: Sequence[str] | None,
    ignore: Sequence[str] | None,
    sets: Mapping[str, int | str],
    go: str,
    all: bool = False,
) -> CheckReport:
    """Runs the checks that words select, else those that the configuration does, else all.

    Raises UsageFault for words that are not checks, and where none is left.
    """
    project = config.current()
    eras = {target.generation.era for target in targets} or {checks.CONTIGUOUS}
    wanted = checks.chosen(select or project.select, ignore or project.ignore, eras)
    if not wanted:
        raise UsageFault(Fault("--select and --ignore leave no check", "at least one"))
    cases = checks.run(wanted, targets, project.severity)
    return CheckReport(cases, [entry.rule for entry in wanted], sets, all, go)
