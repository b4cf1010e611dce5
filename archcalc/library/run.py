"""The outcome of scenarios: which expectations held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from archcalc.reading.words import counted
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Column, Prose, Section, Table
from archcalc.scenarios import judge, load
from archcalc.scenarios.judge import Expectation, ScenarioVerdict

RULE = Rule(
    "scenario-expectation",
    "scenario",
    Severity.ERROR,
    "An expectation of a scenario does not hold",
    "A scenario file describes a machine, what is done on it, and the expected outcome. The message has "
    "the expected and the actual value; the place is the expectation's own line.",
)


RULES = (RULE,)
COLUMNS = (
    Column("scenario"),
    Column("platform"),
    Column("ends"),
    Column("last words", wrap=True),
    Column("held"),
)


SHEET = (
    Column("scenario"),
    Column("platform"),
    Column("expectation"),
    Column("ok", bool),
    Column("expected"),
    Column("came"),
    Column("file"),
    Column("line", int),
)


class RanScenarios(Judged):
    """The outcome of the scenarios."""

    def __init__(self, verdicts: Sequence[ScenarioVerdict], all: bool = False) -> None:
        self.verdicts = verdicts
        self.all = all

    def cases(self) -> Iterable[Case]:
        for verdict in self.verdicts:
            scenario = verdict.scenario
            for expectation in verdict.expectations:
                finding = () if expectation.ok else (self._finding(verdict, expectation),)
                yield Case(expectation.name, scenario.name, finding)

    @staticmethod
    def _finding(verdict: ScenarioVerdict, expectation: Expectation) -> Finding:
        scenario = verdict.scenario
        return Finding(
            RULE.id,
            scenario.platform,
            RULE.severity,
            f"{scenario.name}: {expectation.message}",
            family=RULE.family,
            subject=f"{scenario.name} {expectation.name}",
            file=scenario.file,
            line=expectation.line,
            column=expectation.column,
        )

    def rules(self) -> Iterable[Rule]:
        return RULES

    def document(self) -> Mapping[str, object]:
        return {"ok": self.ok, "scenarios": [describe(verdict) for verdict in self.verdicts]}

    def sheet(self) -> Table:
        rows = [
            (
                verdict.scenario.name,
                verdict.scenario.platform,
                expectation.name,
                expectation.ok,
                judge.spelt(expectation.expected, expectation.what.rpartition(".")[2]),
                judge.spelt(expectation.came, expectation.what.rpartition(".")[2]),
                verdict.scenario.file,
                expectation.line,
            )
            for verdict in self.verdicts
            for expectation in verdict.expectations
        ]
        return Table(SHEET, rows)

    def view(self) -> Iterable[Section | Block]:
        rows = []
        for verdict in self.verdicts:
            held = sum(expectation.ok for expectation in verdict.expectations)
            outcome = verdict.outcome
            words = str(outcome.death["throw"]) if outcome.death else ", ".join(faults_of(verdict))
            rows.append(
                (
                    verdict.scenario.name,
                    verdict.scenario.platform,
                    outcome.kind,
                    words,
                    f"{held} of {len(verdict.expectations)}" + ("" if verdict.ok else " FAILED"),
                )
            )
        yield Table(COLUMNS, rows)
        for verdict in self.verdicts:
            failed = [expectation for expectation in verdict.expectations if not expectation.ok]
            if failed:
                yield failure(verdict, failed)
            elif self.all and (verdict.scenario.advice or verdict.scenario.source):
                yield story(verdict)
        yield Prose(self.summary())

    def summary(self) -> str:
        """One line: how many, and whether all held."""
        expectations = [e for verdict in self.verdicts for e in verdict.expectations]
        failed = sum(not e.ok for e in expectations)
        verdict = "ok" if self.ok else "FAILED"
        return (
            f"{verdict}: {counted(len(self.verdicts), 'scenario')},"
            f" {counted(len(expectations), 'expectation')}, {failed} failed"
        )


def faults_of(verdict: ScenarioVerdict) -> list[str]:
    """What was wrong with a profile that was refused."""
    return [fault.message for fault in verdict.scenario.refused]


def failure(verdict: ScenarioVerdict, failed: Sequence[Expectation]) -> Section:
    """What did not hold, where that stands, and how the run ended."""
    scenario, outcome = verdict.scenario, verdict.outcome
    lines = [f"{scenario.file}:{e.line}:{e.column}: {e.message}" for e in failed]
    ended = f"it ended: {outcome.kind}"
    if outcome.death:
        ended += f" in {outcome.during}: {outcome.death['throw']}"
    lines.append(ended)
    lines += [f"  {line}" for line in outcome.printed]
    return Section(f"{scenario.name} on {scenario.platform}", (Prose("\n".join(lines), verbatim=True),))


def story(verdict: ScenarioVerdict) -> Section:
    """What a scenario is about, for people who have the same trouble."""
    scenario = verdict.scenario
    blocks = [Prose(scenario.about)]
    if scenario.report:
        blocks.append(Prose("\n".join(scenario.report), "reported", verbatim=True))
    if scenario.source:
        blocks.append(Prose(scenario.source, "what the source does"))
    if scenario.advice:
        blocks.append(Prose(scenario.advice, "what can be done"))
    return Section(scenario.name, tuple(blocks))


def describe(verdict: ScenarioVerdict) -> dict[str, object]:
    """A scenario as JSON has it; these keys stay."""
    scenario, outcome = verdict.scenario, verdict.outcome
    return {
        "name": scenario.name,
        "ok": verdict.ok,
        "file": scenario.file,
        "platform": scenario.platform,
        "outcome": outcome.kind,
        "throw": outcome.death["throw"] if outcome.death else None,
        "printed": outcome.printed,
        "during": outcome.during or None,
        "faults": faults_of(verdict),
        "attempts": [
            {"hint": attempt.hint, "size": attempt.size, "answer": attempt.answer}
            for attempt in outcome.attempts
        ],
        "expectations": [expectation.document() for expectation in verdict.expectations],
        "about": scenario.about,
        "report": list(scenario.report),
        "source": scenario.source,
        "advice": scenario.advice,
    }


def run(
    paths: Sequence[str | Path], tell: Callable[[int, int], None] = lambda done, of: None
) -> list[ScenarioVerdict]:
    """Runs scenario files, and those in folders; `tell` hears how many of them are done.

    Raises UsageFault with all that is wrong with the files.
    """
    scenarios = load.load_all(list(map(str, paths)))
    verdicts = []
    for number, scenario in enumerate(scenarios, start=1):
        verdicts.append(judge.carry_out(scenario))
        tell(number, len(scenarios))
    return verdicts
