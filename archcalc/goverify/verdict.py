"""What a verification says: the result of `archcalc verify`, for people, programs and CI systems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from archcalc.goverify.comparison import Change, Comparison, Difference, Scalar, Unlisted
from archcalc.goverify.era import Era
from archcalc.reading.words import counted
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Column, Hex, NotApplicable, Prose, Section, Table, Value

RULES = (
    Rule(
        "verify-value",
        "verify",
        Severity.ERROR,
        "A value agrees with the calculator",
        "A constant, a size, an offset, a table's entry or a figure of the layout that a source tree or"
        " a built program has is compared with what the calculator computes for the platform. A difference"
        " means that the tree or the program is of another Go, was changed, or that the calculator is wrong.",
    ),
    Rule(
        "verify-formula",
        "verify",
        Severity.INFO,
        "A formula agrees with the calculator",
        "A tree gives the same value by another formula: the two may differ when something else changes.",
    ),
    Rule(
        "verify-unlisted",
        "verify",
        Severity.INFO,
        "A constant of the tree is in the tables",
        "The tables have most constants of a file, but lack this one on every port. It is not "
        "compared, and no"
        " report shows it. A constant whose name differs from one of the tables only in case and underscores"
        " is a difference.",
    ),
    Rule(
        "verify-readable",
        "verify",
        Severity.ERROR,
        "Everything could be read",
        "A file of the tree or a part of the program is broken or missing, so some values are not compared."
        " Everything that could be read was compared.",
    ),
    Rule(
        "verify-generation",
        "verify",
        Severity.ERROR,
        "The generation is one that the calculator knows",
        "The calculator's figures are those of one generation of the allocator. Of a tree or a program of"
        " another generation, only what both have in common is compared.",
    ),
)
_RULE = {rule.id: rule for rule in RULES}

MOST = 12
"""Platforms that a cell names before it counts them."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What was verified: `kind` is goroot, binary or what-changed, `path` what the user called it.

    `generation` is the name of the figures' generation in outputs. `old` and `new` head the columns of
    the two sides; `extra` goes into the document.
    """

    kind: str
    path: str
    version: str
    generation: str
    era: Era
    extra: Mapping[str, object]
    old: str = "computed"
    new: str = "found"


class Verdict(Judged):
    """Comparisons with what they are of; holds where nothing differs and all could be read."""

    def __init__(
        self,
        subject: Subject,
        ports: Sequence[Comparison],
        unreadable: Sequence[tuple[str, int, str]] = (),
        prefix: str = "",
        verbose: bool = False,
    ) -> None:
        self.subject = subject
        self.ports = ports
        self.unreadable = unreadable
        self.prefix = prefix
        self.verbose = verbose

    @property
    def compared(self) -> int:
        """Values that were compared, on all platforms."""
        return sum(port.compared for port in self.ports)

    @property
    def differences(self) -> list[Difference]:
        """All of them, platform by platform."""
        return [difference for port in self.ports for difference in port.differences]

    def cases(self) -> Sequence[Case]:
        found = [
            self._general("verify-generation", self._generation()),
            self._general("verify-readable", [self._unread(*one) for one in self.unreadable]),
        ]
        for port in self.ports:
            found.append(Case("verify-value", port.platform, tuple(map(self._finding, port.differences))))
            found.append(Case("verify-formula", port.platform, tuple(map(self._changed, port.changes))))
            found.append(Case("verify-unlisted", port.platform, tuple(map(self._lacking, port.unlisted))))
        return found

    def rules(self) -> Sequence[Rule]:
        return RULES

    # ---- findings ----

    def _general(self, id: str, findings: Sequence[Finding]) -> Case:
        return Case(id, self.subject.kind, tuple(findings))

    def _generation(self) -> list[Finding]:
        era = self.subject.era
        if era.current or self.subject.kind == "what-changed":
            return []
        return [self._made("verify-generation", "", f"another generation, {era}", "generation", "")]

    def _unread(self, file: str, line: int, why: str) -> Finding:
        return self._made("verify-readable", "", f"{file}: {why}", file, f"{file}:{line}" if line else file)

    def _finding(self, difference: Difference) -> Finding:
        data = {
            key: value
            for key, value in (("computed", difference.computed), ("found", difference.found))
            if value is not None
        }
        return self._made(
            "verify-value",
            difference.platform,
            told(difference, self.subject),
            difference.name,
            difference.where,
            data,
        )

    def _changed(self, change: Change) -> Finding:
        ours, theirs = _one_line(change.formula), _one_line(change.theirs)
        message = f"{change.name} is {theirs} here, with the same value as {ours}"
        return self._made("verify-formula", change.platform, message, change.name, change.where)

    def _lacking(self, one: Unlisted) -> Finding:
        message = f"{one.name} = {_one_line(one.theirs)} is in the tree, but in no table"
        return self._made("verify-unlisted", one.platform, message, one.name, one.where)

    def _made(
        self,
        id: str,
        platform: str,
        message: str,
        subject: str,
        where: str,
        data: Mapping[str, int | str | bool | float] | None = None,
    ) -> Finding:
        file, line = self._place(where)
        return Finding(
            id, platform, _RULE[id].severity, message, "verify", subject, file, line, data=data or {}
        )

    def _place(self, where: str) -> tuple[str | None, int | None]:
        """File and line of a place; for an address in a program, the program."""
        if self.subject.kind == "binary":
            return self.subject.path, None
        if not where:
            return None, None
        file, _, line = where.partition(":")
        return self.prefix + file, int(line) if line.isdecimal() else None

    # ---- documents ----

    def document(self) -> Mapping[str, object]:
        era = self.subject.era
        return {
            "ok": self.ok,
            self.subject.kind.replace("-", "_"): self.subject.path,
            "version": self.subject.version,
            "generation": self.subject.generation,
            "era": {"name": era.name, "go": era.go, "current": era.current, "why": era.why},
            **self.subject.extra,
            "compared": self.compared,
            **self.about_baseline(),
            "platforms": [
                {"platform": p.platform, "compared": p.compared, "differences": len(p.differences)}
                for p in self.ports
            ],
            "differences": [one.document() for one in self.differences],
            "changed_formulas": [change._asdict() for port in self.ports for change in port.changes],
            "unlisted": [
                {"name": name, "theirs": theirs, "where": where, "platforms": platforms}
                for (name, theirs, where), platforms in self._unlisted().items()
            ],
            "not_comparable": [
                {"name": name, "why": why, "platforms": platforms} for name, why, platforms in self._skipped()
            ],
            "unreadable": [
                {"file": file, "line": line or None, "why": why} for file, line, why in self.unreadable
            ],
        }

    def _skipped(self) -> list[tuple[str, str, list[str]]]:
        found: dict[tuple[str, str], list[str]] = {}
        for one in (one for port in self.ports for one in port.skipped):
            found.setdefault((one.name, one.why), []).append(one.platform)
        return [(name, why, platforms) for (name, why), platforms in found.items()]

    def _unlisted(self) -> dict[tuple[str, str, str], list[str]]:
        found: dict[tuple[str, str, str], list[str]] = {}
        for one in (one for port in self.ports for one in port.unlisted):
            found.setdefault((one.name, _one_line(one.theirs), one.where), []).append(one.platform)
        return found

    def records(self) -> Iterable[Mapping[str, object]]:
        return [one.document() for one in self.differences]

    def sheet(self) -> Table:
        columns = (Column("platform"), Column("name"), Column("computed"), Column("found"), Column("where"))
        rows = [(d.platform, d.name, _cell(d.computed), _cell(d.found), d.where) for d in self.differences]
        return Table(columns, rows)

    def view(self) -> Iterable[Section | Block]:
        roots = [one for one in self.differences if not one.follows_from]
        rest = [one for one in self.differences if one.follows_from]
        if roots:
            yield Section("Different", (self._table(roots),))
        if rest:
            yield Section("What follows from that", (self._table(rest),))
        changes = [change for port in self.ports for change in port.changes]
        if changes:
            yield Section("Formulas that changed without changing a value", (self._formulas(changes),))
        if self.unreadable:
            rows = [(f"{file}:{line}" if line else file, why) for file, line, why in self.unreadable]
            yield Section("Not readable", (Table((Column("where"), Column("why", wrap=True)), rows),))
        if unlisted := self._unlisted():
            columns = (
                Column("name"),
                Column("where"),
                Column("is", wrap=True),
                Column("platforms", wrap=True),
            )
            lacking = [
                (name, where, theirs, self._platforms(platforms))
                for (name, theirs, where), platforms in unlisted.items()
            ]
            yield Section("In the tree, but in no table", (Table(columns, lacking),))
        skipped = self._skipped()
        if skipped:
            yield Section("Not comparable", (self._reasons(skipped),))
        if not self.subject.era.current:
            yield Prose(f"Another generation: {self.subject.era}")
        yield Prose(self.summary())

    def _table(self, differences: Sequence[Difference]) -> Table:
        groups: dict[tuple[object, ...], list[str]] = {}
        rows: dict[tuple[object, ...], tuple[Value, ...]] = {}
        for d in differences:
            key = (d.name, d.computed, d.found, d.where, d.why)
            groups.setdefault(key, []).append(d.platform)
            formula = _one_line(d.theirs or d.why)
            rows[key] = (d.name, _shown(d.computed), _shown(d.found), d.where, formula)
        columns = (
            Column("name"),
            Column(self.subject.old, int),
            Column(self.subject.new, int),
            Column("where"),
            Column("what is there", wrap=True),
            Column("platforms", wrap=True),
        )
        return Table(columns, [(*row, self._platforms(groups[key])) for key, row in rows.items()])

    def _formulas(self, changes: Sequence[Change]) -> Table:
        groups: dict[tuple[str, ...], list[str]] = {}
        for c in changes:
            key = (c.name, c.where, _one_line(c.formula), _one_line(c.theirs))
            groups.setdefault(key, []).append(c.platform)
        columns = (
            Column("name"),
            Column("where"),
            Column("was", wrap=True),
            Column("is", wrap=True),
            Column("platforms", wrap=True),
        )
        return Table(columns, [(*key, self._platforms(platforms)) for key, platforms in groups.items()])

    def _reasons(self, skipped: Sequence[tuple[str, str, list[str]]]) -> Table:
        rows = []
        for why, group in groupby(sorted(skipped, key=lambda one: one[1]), key=lambda one: one[1]):
            names = list(dict.fromkeys(name for name, _, _ in group))
            named = (
                ", ".join(names) if self.verbose or len(names) <= MOST else ", ".join(names[:MOST]) + ", …"
            )
            rows.append((len(names), why, named))
        return Table((Column("values", int), Column("why", wrap=True), Column("names", wrap=True)), rows)

    def _platforms(self, platforms: Sequence[str]) -> str:
        if len(platforms) == len(self.ports) > 1:
            return f"all {len(platforms)}"
        shown = ", ".join(platforms[:MOST])
        return shown if len(platforms) <= MOST else f"{shown} and {len(platforms) - MOST} more"

    def summary(self) -> str:
        """One line: what was compared with what, and whether it holds."""
        count = len(self.differences)
        ports = counted(len(self.ports), "platform")
        version = f" ({self.subject.version})" if self.subject.version else ""
        return (
            f"{'ok' if self.ok else 'FAILED'}: {self.subject.path}{version}: "
            f"{counted(self.compared, 'value')} compared"
            f" on {ports}, {counted(count, 'difference')}"
            + "".join(f", {part}" for part in self.told_of_baseline())
        )


def told(difference: Difference, subject: Subject) -> str:
    """A difference in words."""
    if subject.kind == "what-changed":
        text = f"{difference.name} was {_said(difference.computed)} and is {_said(difference.found)}"
    else:
        text = (
            f"{difference.name} is {_said(difference.found)}, the calculator has {_said(difference.computed)}"
        )
    if difference.formula:
        text += f" = {_one_line(difference.formula)} ({difference.source})"
    if difference.follows_from:
        text += f"; it follows from {', '.join(difference.follows_from)}"
    if subject.kind == "binary" and difference.where:
        text += f"; at {difference.where}"
    return f"{text}; {difference.why}" if difference.why else text


def _said(value: Scalar | None) -> str:
    return "absent" if value is None else str(_cell(value))


def _cell(value: Scalar | None) -> Value:
    return NotApplicable("absent") if value is None else value


def _shown(value: Scalar | None) -> Value:
    """A value for people: what is too large to be read in decimal is an address or a mask."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 36:
        return Hex(value)
    return _cell(value)


def _one_line(formula: str) -> str:
    return " ".join(formula.split())
