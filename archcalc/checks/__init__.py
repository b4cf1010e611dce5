"""Checks: invariants of a platform's figures that should hold on every port.

One file a family. A check is a generator function under an id that never changes:

    @check("layout.bitmap-covers-arena", "The bitmap has two bits for every word of the arena")
    def bitmap_covers_arena(figures: Figures) -> Problems:
        \"\"\"A paragraph: what must hold, why, and what happens in Go where it does not.\"\"\"
        if …:
            yield Problem("what is so, with the numbers", subject="bitmap_size")

It yields what is wrong and nothing where all is well. A check of severity "error" makes
`archcalc check` fail; a genuine oddity of Go's own ports is a warning or an info. A check is about
figures of one era: of a contiguous heap, where nothing else is said, or of one in arenas.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from archcalc.questions.origins import places
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest
from archcalc.results.findings import Case, Finding, Rule, Severity

if TYPE_CHECKING:
    from archcalc.calculator.figures import Figures

FAMILIES: Mapping[str, str] = {
    "profile": "facts of a profile that contradict each other",
    "constants": "constants of package runtime that must agree",
    "structs": "sizes and alignments that the allocator relies on",
    "layout": "arena, bitmap, spans, hints and the reservation",
    "sizeclasses": "the table of size classes, its lookups and its division magic",
    "stacks": "stack sizes, orders and guards",
    "arenas": "heap in arenas: the map of arenas, hints, base offset, what 32-bit ports reserve",
    "pages": "heap in arenas: page summaries, chunks, page caches, pages of the kernel",
    "objects": "heap in arenas: size classes, heap bits, headers, inline marks, stacks",
    "records": "heap in arenas: structs that the allocator relies on",
}
CONTIGUOUS, SPARSE = "contiguous", "sparse"
"""The eras that checks are about, as generations name them."""


class Problem(NamedTuple):
    """What a check yields; the check itself knows its id and, mostly, its severity."""

    message: str
    subject: str = ""
    help: str = ""
    data: Mapping[str, int | str | bool | float] = {}


Problems = Iterator[Problem]


def number(figures: Figures, name: str) -> int:
    """A constant of package runtime that is a number; with `sys.` in front, of runtime/internal/sys."""
    package, _, plain = name.rpartition(".")
    value = (figures.sys if package == "sys" else figures.constants)[plain]
    assert not isinstance(value, str), name
    return int(value)


# The facts that the running check has looked at: its findings point at their lines.
_looked_at: dict[str, None] = {}


def fact(figures: Figures, name: str) -> int:
    """A fact of the profile that is a number, or what a what-if has made of it."""
    _looked_at[name] = None
    value = figures.profile.facts[name]
    assert not isinstance(value, str), name
    return int(value)


def figure(figures: Figures, *names: str) -> int:
    """A constant or a figure of the layout that is a number, by the first of these names that there is.

    Without a package, it is one of runtime or of those that its constants have moved to.
    """
    for name in names:
        for package in ("",) if "." in name else ("runtime.", "gc.", "goarch.", "layout."):
            if figures.engine.has(package + name):
                value = figures.engine.value(package + name).value
                assert not isinstance(value, str), name
                return int(value)
    raise LookupError(names[0])


def has(figures: Figures, name: str) -> bool:
    """Whether the generation has a figure on this platform, by its qualified name."""
    return figures.engine.has(name)


def of_machine(figures: Figures, name: str) -> Any:
    """What the profile's machine section says under a name, or None."""
    _looked_at[name] = None
    return figures.profile.machine.get(name)


def differs(figures: Figures, name: str, expected: int, because: str) -> Problems:
    """A problem where a constant is not what it has to be."""
    found = number(figures, name)
    if found != expected:
        yield Problem(
            f"{name} is {found}, and should be {expected}: {because}",
            name,
            data={"found": found, "expected": expected},
        )


def is_power_of_two(value: int) -> bool:
    """1, 2, 4, …"""
    return value > 0 and value & (value - 1) == 0


class Check(NamedTuple):
    """A rule with the function that tests it."""

    rule: Rule
    function: Callable[[Figures], Problems]
    era: str = CONTIGUOUS

    def run(self, figures: Figures, severity: Severity | None = None) -> Case:
        """The check on one platform's figures; `severity` overrides the check's own."""
        rule = self.rule
        _looked_at.clear()
        findings = tuple(
            Finding(
                id=rule.id,
                platform=figures.profile.name,
                severity=severity or rule.severity,
                message=problem.message,
                family=rule.family,
                subject=problem.subject,
                help=problem.help,
                data=problem.data,
                places=places(figures, (problem.subject,), tuple(_looked_at)),
            )
            for problem in self.function(figures)
        )
        return Case(rule.id, figures.profile.name, findings)


_registered: dict[str, Check] = {}


def check(
    id: str, title: str, severity: Severity = Severity.ERROR, era: str = CONTIGUOUS
) -> Callable[[Callable[[Figures], Problems]], Callable[[Figures], Problems]]:
    """Registers a check; its docstring is what `archcalc explain ID` tells."""

    def register(function: Callable[[Figures], Problems]) -> Callable[[Figures], Problems]:
        family = id.partition(".")[0]
        assert family in FAMILIES and id not in _registered, id
        explanation = inspect.cleandoc(function.__doc__ or "")
        _registered[id] = Check(Rule(id, family, severity, title, explanation), function, era)
        return function

    return register


@cache
def every() -> Mapping[str, Check]:
    """All checks of all eras by id, family by family."""
    for family in FAMILIES:
        import_module(f"archcalc.checks.{family}")
    return {
        id: entry for family in FAMILIES for id, entry in _registered.items() if entry.rule.family == family
    }


@cache
def registry(era: str = CONTIGUOUS) -> Mapping[str, Check]:
    """The checks of an era by id, family by family."""
    return {id: entry for id, entry in every().items() if entry.era == era}


def chosen(
    select: Sequence[str] = (), ignore: Sequence[str] = (), eras: Iterable[str] = (CONTIGUOUS,)
) -> list[Check]:
    """The checks of some eras that ids, families or globs select (all where none does), less those ignored.

    Raises UsageFault for a word that matches no check at all.
    """
    faults: list[Fault] = []
    wanted = {id for word in select for id in matching(word, "--select", faults)} if select else set(every())
    unwanted = {id for word in ignore for id in matching(word, "--ignore", faults)}
    if faults:
        raise UsageFault(*faults)
    known = {era: registry(era) for era in eras}
    return [
        entry for id, entry in every().items() if entry.era in known and id in wanted and id not in unwanted
    ]


def matching(word: str, option: str, faults: list[Fault]) -> list[str]:
    """The ids that a word names; a fault is added where it names none."""
    found = [
        id for id, entry in every().items() if word in (id, entry.rule.family, "all") or fnmatchcase(id, word)
    ]
    if not found:
        known = [*FAMILIES, *every()]
        faults.append(
            Fault(
                f"{option}: no check {word!r}",
                "an id, a family or a glob (see list-checks)",
                closest(word, known),
            )
        )
    return found


def run(
    checks: Iterable[Check], figures: Iterable[Figures], severities: Mapping[str, str] | None = None
) -> list[Case]:
    """Every check on every platform's figures; `severities` overrides by id, family or glob.

    Raises UsageFault where it names no check.
    """
    faults: list[Fault] = []
    for word in severities or {}:
        matching(word, "severity", faults)
    if faults:
        raise UsageFault(*faults)
    wanted = [(entry, severity_of(entry.rule, severities or {})) for entry in checks]
    cases = []
    for each in figures:
        for entry, severity in wanted:
            if entry.era != each.generation.era:
                continue
            try:
                cases.append(entry.run(each, severity))
            except (LookupError, UsageFault):
                # A tree lacks figures of functions that could not be followed; which, has been noted.
                if not each.generation.tree:
                    raise
    return cases


def severity_of(rule: Rule, severities: Mapping[str, str]) -> Severity | None:
    """What a configuration says of a rule's severity; the last word that matches counts."""
    found = [
        Severity(value)
        for word, value in severities.items()
        if word in (rule.id, rule.family) or fnmatchcase(rule.id, word)
    ]
    return found[-1] if found else None
