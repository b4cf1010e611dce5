"""Comments in Go's source that contradict the figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from archcalc import generations
from archcalc.questions.drift import Claim, Drift
from archcalc.reading.words import counted
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Column, Prose, Section, Table

CONTRADICTED = Rule(
    "drift-comment",
    "drift",
    Severity.ERROR,
    "A comment says what the figures say",
    "A comment of Go's source gives a number, and the calculator computes another one for some"
    " platforms. The claim is evaluated on the figures, --set included: it goes when they agree.",
)


GONE = Rule(
    "drift-gone",
    "drift",
    Severity.INFO,
    "A comment is where it was",
    "The words of a claim are not in the source tree any more: the comment was changed or removed, so that"
    " nothing is said of it.",
)


RULES = (CONTRADICTED, GONE)


COLUMNS = (
    Column("file"),
    Column("line", int),
    Column("says", wrap=True),
    Column("computed", wrap=True),
    Column("platforms", wrap=True),
)


class Drifted(Judged):
    """The comments that do not hold, and those that no longer exist."""

    def __init__(
        self,
        found: Sequence[Drift],
        gone: Sequence[Claim],
        claims: int,
        platforms: int,
        sets: Mapping[str, int | str],
        verbose: bool = False,
        go: str = generations.CURRENT,
    ) -> None:
        self.found = found
        self.gone = gone
        self.claims = claims
        self.platforms = platforms
        self.sets = sets
        self.verbose = verbose
        self.go = go

    def cases(self) -> Sequence[Case]:
        contradicted = [Case(one.claim.id, one.place.file, (self.finding(one),)) for one in self.found]
        return [*contradicted, *(Case(one.id, one.file, (self._gone(one),)) for one in self.gone)]

    def rules(self) -> Sequence[Rule]:
        return RULES

    def finding(self, one: Drift) -> Finding:
        """A drift as findings have it; the platforms that it is on are not part of its fingerprint."""
        message = f"the comment says that {one.claim.says}; {one.told} ({self._on(one)})"
        return self._made(CONTRADICTED, one.claim, message, one.place.line)

    def _gone(self, claim: Claim) -> Finding:
        message = f"the words {claim.words!r} are not in {claim.file} any more"
        return self._made(GONE, claim, message, None)

    def _made(self, rule: Rule, claim: Claim, message: str, line: int | None) -> Finding:
        file = f"src/{claim.file}"
        return Finding(rule.id, "", rule.severity, message, rule.family, claim.id, file, line)

    def _on(self, one: Drift) -> str:
        count = len(one.platforms)
        if count == self.platforms > 1:
            return f"all {counted(count, 'platform')}"
        return ", ".join(one.platforms)

    def document(self) -> Mapping[str, object]:
        return {
            "ok": self.ok,
            "generation": generations.label(self.go),
            "claims": self.claims,
            **self.about_baseline(),
            "set": dict(self.sets),
            "findings": [self._record(one) for one in self.found],
            "gone": [
                {"id": one.id, "file": one.file, "line": one.line, "words": one.words} for one in self.gone
            ],
        }

    def _record(self, one: Drift) -> dict[str, object]:
        finding = self.finding(one)
        return {
            "id": one.claim.id,
            "file": one.place.file,
            "line": one.place.line,
            "says": one.claim.says,
            "words": one.claim.words,
            "computed": one.told,
            "platforms": list(one.platforms),
            "moved_from": one.place.moved_from or None,
            "derivation": [
                {
                    "name": step.name,
                    "platform": step.platform,
                    "formula": step.formula,
                    "steps": list(step.steps),
                    "value": step.value,
                    "source": step.source,
                }
                for step in one.derivation
            ],
            "known": self.baseline.knows(finding),
            "fingerprint": finding.fingerprint,
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        return [self._record(one) for one in self.found]

    def sheet(self) -> Table:
        return Table(COLUMNS, [self._row(one) for one in self.found])

    def _row(self, one: Drift) -> tuple[str | int, ...]:
        return (one.place.file, one.place.line, one.claim.says, one.told, " ".join(one.platforms))

    def view(self) -> Iterable[Section | Block]:
        for one in self.found:
            if not self.baseline.knows(self.finding(one)):
                yield Section(f"{one.place.file}:{one.place.line}: {one.claim.id}", self._told(one))
        for claim in self.gone:
            yield Prose(f"gone: {claim.file}:{claim.line}: {claim.words}")
        yield Prose(self.summary())

    def _told(self, one: Drift) -> Sequence[Block]:
        lines = [f"says      {one.claim.says}"]
        lines += [f"computed  {text} ({self._named(platforms)})" for text, platforms in one.computed.items()]
        if one.place.moved_from:
            lines.append(f"moved     from line {one.place.moved_from}")
        for step in one.derivation if self.verbose else ():
            chain = " = ".join(dict.fromkeys((step.formula, *step.steps, str(step.value))))
            lines.append(f"because   {step.name} = {chain} ({step.platform}; {step.source})")
        return [Prose(line, indent=2) for line in lines]

    def _named(self, platforms: Sequence[str]) -> str:
        if len(platforms) == self.platforms > 1:
            return f"all {counted(len(platforms), 'platform')}"
        return ", ".join(platforms)

    def summary(self) -> str:
        """One line: how many claims, and how many do not hold."""
        on = counted(self.platforms, "platform")
        parts = [f"{len(self.found)} of {counted(self.claims, 'claim')} contradicted on {on}"]
        parts += self.told_of_baseline()
        if self.gone:
            parts.append(f"{len(self.gone)} gone")
        return f"{'ok' if self.ok else 'FAILED'}: {', '.join(parts)}"
