"""Values compared: what the calculator has and what was found, and the outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from archcalc.calculator.explanation import Explanation
from archcalc.calculator.figures import Figures
from archcalc.reading.errors import UsageFault

Scalar = int | bool | str | float


class Difference(NamedTuple):
    """A value that is not what the calculator has; None where one side has none.

    `where` is the place of what was found, `file:line` or an address; `formula` and `source` are
    the calculator's, `theirs` what is in a tree. `follows_from` names what else differs that this
    comes from; `why` says more where a value is missing.
    """

    platform: str
    name: str
    computed: Scalar | None
    found: Scalar | None
    where: str
    formula: str = ""
    source: str = ""
    theirs: str = ""
    follows_from: tuple[str, ...] = ()
    why: str = ""

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return {**self._asdict(), "follows_from": list(self.follows_from)}


class Change(NamedTuple):
    """A formula that is not the calculator's, though its value is."""

    platform: str
    name: str
    formula: str
    theirs: str
    where: str


class Unlisted(NamedTuple):
    """A constant of a tree, in a file that the tables cover, which they have on no port."""

    platform: str
    name: str
    theirs: str
    where: str


class Skipped(NamedTuple):
    """A value that could not be compared, and why."""

    platform: str
    name: str
    why: str


@dataclass
class Comparison:
    """What was compared on one platform; all that was found, with place and formula, when `recording`."""

    platform: str
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unlisted: list[Unlisted] = field(default_factory=list)
    recording: bool = False
    recorded: dict[str, tuple[Scalar | None, str, str]] = field(default_factory=dict, repr=False)

    def value(
        self,
        name: str,
        computed: Scalar | None,
        found: Scalar | None,
        where: str,
        theirs: str = "",
        why: str = "",
    ) -> bool:
        """Compares one value; whether it is the same."""
        self.compared += 1
        if self.recording:
            self.recorded[name] = (found, where, theirs)
        if computed == found and (computed is None) == (found is None):
            return True
        self.differences.append(
            Difference(self.platform, name, _exact(computed), _exact(found), where, theirs=theirs, why=why)
        )
        return False

    def values(
        self,
        name: str,
        computed: Sequence[int],
        found: Sequence[int],
        wheres: Sequence[str],
        theirs: str = "",
    ) -> bool:
        """Compares the elements of an array one by one, those too that only one side has.

        `name` has {} where the number goes; `wheres` are the places of what was found.
        """
        if not self.recording and tuple(computed) == tuple(found):
            self.compared += len(computed)
            return True
        same = True
        for at in range(max(len(computed), len(found))):
            ours = computed[at] if at < len(computed) else None
            value = found[at] if at < len(found) else None
            where = wheres[min(at, len(wheres) - 1)] if wheres else ""
            same = self.value(name.format(at), ours, value, where, theirs) and same
        return same

    def missing(self, name: str, computed: Scalar | None, where: str, why: str) -> None:
        """Notes a value that should be there and is not."""
        self.compared += 1
        self.differences.append(Difference(self.platform, name, _exact(computed), None, where, why=why))

    def skip(self, name: str, why: str) -> None:
        """Notes that a value could not be compared."""
        self.skipped.append(Skipped(self.platform, name, why))


class HasName(Protocol):
    """Something that has a name."""

    @property
    def name(self) -> str: ...


_Named = TypeVar("_Named", bound=HasName)


def numbered(fields: Iterable[_Named]) -> Iterator[tuple[tuple[str, int], _Named]]:
    """Fields by name and by their number among those of that name: several can be called _."""
    seen: Counter[str] = Counter()
    for one in fields:
        yield (one.name, seen[one.name]), one
        seen[one.name] += 1


def _exact(value: Scalar | None) -> Scalar | None:
    """No subclasses of int, and no bools that JSON would show as such where numbers are meant."""
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def explained(difference: Difference, figures: Figures) -> Difference:
    """A difference with the calculator's own formula, and where that is in Go's source."""
    explanation = explain(difference.name, figures)
    if explanation is None:
        return difference
    formula, part = explanation.formula, difference.name.partition(" ")[2]
    if part == "align":
        formula = formula.replace("Sizeof", "Alignof")
    elif part == "size":
        formula = formula.replace("Offsetof", "Sizeof")
    return difference._replace(formula=formula, source=explanation.source)


def explain(name: str, figures: Figures) -> Explanation | None:
    """How the calculator computes a figure that a comparison has under a name of its own."""
    plain = name.partition(" ")[0]
    for candidate in (plain, "_NumSizeClasses" if plain.startswith(("class_to_", "size_to_")) else plain):
        try:
            return figures.explain(candidate)
        except UsageFault:
            continue
    return None
