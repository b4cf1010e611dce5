"""How a figure comes about, what a check means, what a fault of a file means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from archcalc import checks
from archcalc.calculator import figures as calculator
from archcalc.calculator.explanation import Explanation
from archcalc.calculator.figures import Figures
from archcalc.calculator.inventory import labels, typed
from archcalc.library import families, topics
from archcalc.library.targets import across, computed
from archcalc.profiles.platforms import load
from archcalc.profiles.platforms import names as list_platforms
from archcalc.profiles.profile import Profile
from archcalc.profiles.profile_fields import MACHINE
from archcalc.questions import throws
from archcalc.reading import faults
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.fields import Address
from archcalc.reading.names import closest
from archcalc.reading.words import counted
from archcalc.results.findings import Rule, Severity
from archcalc.results.result import Listing, Result
from archcalc.results.tables import Block, Bytes, Column, Hex, Prose, Section, Table, Value, human, show

# Other modules that judge, each with its RULES.
JUDGING = (
    *(
        f"archcalc.library.{name}"
        for name in ("boot", "smoke", "replay", "run", "drift", "prove", "trace.compare")
    ),
    "archcalc.goverify.verdict",
)


class FigureExplained(Result):
    """A figure on some platforms, those with equal explanations together, and where all platforms stand."""

    def __init__(
        self, explained: Sequence[Explanation], everywhere: Mapping[str, Value], sets: Mapping[str, int | str]
    ) -> None:
        self.explained = explained
        self.everywhere = everywhere
        self.sets = sets

    def groups(self) -> list[tuple[Explanation, list[str]]]:
        """One explanation for all platforms on which the figure comes about in the same way."""
        found: dict[object, tuple[Explanation, list[str]]] = {}
        for one in self.explained:
            key = (one.value, one.formula, one.steps, one.source, one.was, [m.value for m in one.mentions])
            found.setdefault(repr(key), (one, []))[1].append(one.platform)
        return list(found.values())

    def values(self) -> dict[Value, list[str]]:
        """The platforms by the value that they have."""
        found: dict[Value, list[str]] = {}
        for platform, value in self.everywhere.items():
            found.setdefault(value, []).append(platform)
        return found

    def document(self) -> Mapping[str, object]:
        first = self.explained[0]
        return {
            "name": first.name,
            "kind": first.kind,
            "unit": first.unit,
            "what": first.what,
            "set": dict(self.sets),
            "explanations": [explanation(one) for one in self.explained],
            "values": [{"value": value, "platforms": who} for value, who in self.values().items()],
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        return [{"name": one.name, **explanation(one)} for one in self.explained]

    def sheet(self) -> Table:
        columns = (
            Column("platform"),
            Column("name"),
            Column("value"),
            Column("unit"),
            Column("formula"),
            Column("source"),
        )
        rows = [
            (one.platform, one.name, value_of(one), one.unit, one.formula, one.source)
            for one in self.explained
        ]
        return Table(columns, rows)

    def view(self) -> Iterator[Section]:
        for one, names in self.groups():
            yield Section(f"{one.name} on {', '.join(names)}: {reads(one)}", list(blocks(one)))
        values = self.values()
        if len(values) > 1:
            rows = [(value, ", ".join(who)) for value, who in values.items()]
            table = Table((Column("value"), Column("platforms", wrap=True)), rows)
            yield Section("Where platforms differ", (table,))
        elif len(self.everywhere) > 1:
            yield Section(f"The same on all {counted(len(self.everywhere), 'platform')}", ())


class RuleExplained(Result):
    """What a check, or the id of a fault, means."""

    def __init__(self, rule: Rule, kind: str) -> None:
        self.rule = rule
        self.kind = kind

    def document(self) -> Mapping[str, object]:
        rule = self.rule
        return {
            "name": rule.id,
            "kind": self.kind,
            "family": rule.family,
            "severity": rule.severity,
            "title": rule.title,
            "explanation": rule.explanation,
        }

    def sheet(self) -> Table:
        document = self.document()
        return Table([Column(key) for key in document], [[str(value) for value in document.values()]])

    def view(self) -> Sequence[Section]:
        rule = self.rule
        heading = f"{rule.id} ({self.kind}, {rule.severity.value})"
        title = f"{rule.title[0].upper()}{rule.title[1:]}.\n\n" if rule.title else ""
        return (Section(heading, (Prose(title + " ".join(rule.explanation.split("\n"))),)),)


def blocks(one: Explanation) -> Iterator[Block]:
    """How one figure is computed: what it is, its derivation, and what it is used by."""
    unit = f" Unit: {one.unit}." if one.unit in ("bytes", "bits", "pages") else ""
    yield Prose(f"{one.what[:1].upper()}{one.what[1:]}.{unit} Source: {one.source}.")
    if one.was is not None:
        yield Prose(f"Without --set: {show(value_of(one._replace(value=one.was)))}.")
    if one.steps:
        yield Prose("\n".join((one.formula, *(f"  = {step}" for step in one.steps))), indent=2)
    if one.mentions:
        columns = (Column("with"), Column("value", wrap=True), Column("from"))
        yield Table(columns, [(mention.name, mention.value, mention.origin) for mention in one.mentions])
    if one.dependents:
        further = [name for name in one.reaches if name not in one.dependents]
        more = f" Indirectly by: {', '.join(further)}." if further else ""
        yield Prose(f"Directly used by: {', '.join(one.dependents)}.{more}")


def value_of(one: Explanation) -> Value:
    """The value with the type of its unit; of a fact, with what the profile's schema says."""
    spec = MACHINE.fields.get(one.name.removeprefix("fact."))
    if one.kind == "fact" and spec and isinstance(spec.kind, Address) and isinstance(one.value, int):
        return Hex(one.value)
    return typed(one.value, one.unit)


def reads(one: Explanation) -> str:
    """The value as text, with what it reads as."""
    value = value_of(one)
    words = human(value) if isinstance(value, Bytes) else ""
    return f"{show(value)} ({words})" if words else show(value)


def explanation(one: Explanation) -> dict[str, object]:
    """An explanation as JSON has it."""
    return {
        "platform": one.platform,
        "value": one.value,
        "type": one.type,
        "formula": one.formula,
        "mentions": [{"name": m.name, "value": m.value, "origin": m.origin} for m in one.mentions],
        "steps": list(one.steps),
        "source": one.source,
        "dependents": list(one.dependents),
        "reaches": list(one.reaches),
        "without_set": one.was,
    }


def explain_id(name: str) -> Result | None:
    """The check, the family of checks or the fault of that id."""
    entry = checks.every().get(name)
    if entry is not None:
        return RuleExplained(entry.rule, "check")
    if name in checks.FAMILIES:
        rules = [entry.rule for entry in checks.every().values() if entry.rule.family == name]
        columns = (Column("id"), Column("severity"), Column("title", wrap=True))
        rows = [(rule.id, rule.severity.value, rule.title) for rule in rules]
        return Listing("checks", columns, rows, title=f"Checks of {checks.FAMILIES[name]}")
    # Importing all these commands is only worthwhile for a possible id.
    for rule in command_rules() if "-" in name else ():
        if rule.id == name:
            return RuleExplained(rule, "check")
    words = faults.meaning(name)
    if words:
        return RuleExplained(Rule(name, name.partition("-")[0], Severity.ERROR, "", words), "fault")
    return None


def command_rules() -> Iterator[Rule]:
    """The rules by which other questions judge, wherever their modules have them."""
    for module in JUDGING:
        yield from import_module(module).RULES


def explain_figure(name: str, targets: Sequence[Figures]) -> list[Explanation]:
    """The figure on the targets; those that do not have it are left out while one has it.

    Raises UsageFault where none has.
    """
    explained: list[Explanation] = []
    wrong: UsageFault | None = None
    for figures, label in zip(targets, labels(targets), strict=True):
        try:
            explained.append(figures.explain(name)._replace(platform=label))
        except UsageFault as fault:
            wrong = wrong or fault
    if explained:
        return explained
    if wrong is None:
        raise UsageFault(Fault("no platform to explain it on"))
    first = wrong.faults[0]
    suggestion = first.suggestion or closest(name, [*checks.FAMILIES, *checks.every(), *faults.ids()])
    raise UsageFault(Fault(first.found, first.expected, suggestion, first.id)) from wrong


def explain(
    name: str,
    patterns: Sequence[str] | None,
    files: Sequence[Path] | None,
    releases: Sequence[str],
    given: Mapping[str, int | str],
    *,
    eras: Sequence[str] = topics.ALL_ERAS,
) -> Result:
    """The explanation of a name that is not an id: the runtime's last words, a family of figures, a figure.

    Platforms are named as for `across`. Last words are looked for in the eras of `eras`. Raises
    UsageFault where nothing has that name.
    """
    words = topics.about_words(name, eras)
    if words is not None:
        return words
    if throws.is_a_line(name):
        raise UsageFault(
            Fault(f"no last words of the allocator: {name}", "a line that it prints (docs/throws.md has all)")
        )
    chosen = across(patterns, files, releases)
    targets = computed(chosen, given)
    if name in topics.VSZ:
        return topics.about_vsz(targets)
    family = families.named(name, targets)
    if family is not None:
        return families.FamilyExplained(family, targets, given)
    explained = explain_figure(name, targets)
    return FigureExplained(explained, everywhere(name, chosen, releases, given), given)


def everywhere(
    name: str,
    chosen: Sequence[tuple[Profile, str]],
    releases: Sequence[str],
    given: Mapping[str, int | str],
) -> dict[str, Value]:
    """The figure on all platforms of one release, or in all the releases that were chosen."""
    targets = [*chosen]
    if len(releases) == 1:
        ours = ((load(platform, releases[0]), releases[0]) for platform in list_platforms(releases[0]))
        targets = list({one.name: (one, release) for one, release in (*ours, *chosen)}.values())
    found: list[tuple[Figures, Value]] = []
    for profile, release in targets:
        try:
            figures = calculator.compute(profile, given, release)
            found.append((figures, value_of(figures.explain(name, dependents=False, reaches=False))))
        except UsageFault:
            # Not every platform has every name, and --set may not be possible on each.
            continue
    names = labels([figures for figures, _ in found])
    return {own: value for own, (_, value) in zip(names, found, strict=True)}
