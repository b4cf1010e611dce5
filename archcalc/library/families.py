"""A family of figures as `archcalc explain` tells it: every hint, every level of summaries, every order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from archcalc.calculator.figures import Figures
from archcalc.calculator.inventory import labels, typed
from archcalc.calculator.plain import Scalar
from archcalc.generations import Row
from archcalc.reading.errors import Fault, UsageFault
from archcalc.results.result import Result
from archcalc.results.tables import Column, NotApplicable, Prose, Section, Table, Value

# What reports call a family that they count.
_COUNTED = {"hints": "hint", "user_arena_hints": "user_arena_hint"}


class FamilyExplained(Result):
    """The formula of a family and all its members, on platforms side by side."""

    def __init__(self, name: str, targets: Sequence[Figures], sets: Mapping[str, int | str]) -> None:
        self.name = name
        self.sets = sets
        self.targets = {
            label: figures
            for figures, label in zip(targets, labels(targets), strict=True)
            if figures.family(name)
        }
        if not self.targets:
            raise _none(name, targets[0])
        row = self._row(next(iter(self.targets.values())))
        self.unit, self.what = row.unit, row.what

    def document(self) -> Mapping[str, object]:
        return {
            "name": self.name,
            "kind": "family",
            "unit": self.unit,
            "what": self.what,
            "set": dict(self.sets),
            "members": [
                {
                    "platform": label,
                    "formula": self._row(figures).formula,
                    "values": figures.family(self.name),
                }
                for label, figures in self.targets.items()
            ],
        }

    def _row(self, figures: Figures) -> Row:
        """The family's row of the table, whose formula is over i."""
        found = figures.engine.formula(f"layout.{self.name}0")
        assert found is not None, self.name  # it has members
        return found.row

    def sheet(self) -> Table:
        values = {label: figures.family(self.name) for label, figures in self.targets.items()}
        columns = (Column("name"), *(Column(label) for label in values))

        def cell(of: list[Scalar], at: int) -> Value:
            return typed(of[at], self.unit) if at < len(of) else NotApplicable("no such member")

        most = max(map(len, values.values()))
        return Table(
            columns, [(f"{self.name}{i}", *(cell(of, i) for of in values.values())) for i in range(most)]
        )

    def view(self) -> Iterator[Section]:
        unit = f", in {self.unit}" if self.unit in ("bytes", "bits", "pages") else ""
        for label, figures in self.targets.items():
            count = len(figures.family(self.name))
            text = f"{self.what[:1].upper()}{self.what[1:]}{unit}. Each is explained by its name."
            formula = Prose(self._row(figures).formula, indent=2)
            yield Section(f"{self.name}0 to {self.name}{count - 1} on {label}", (Prose(text), formula))
        yield Section("All of them", (self.sheet(),))


def named(name: str, targets: Sequence[Figures]) -> str | None:
    """The family that a name stands for in one of these platforms' generations."""
    own = _COUNTED.get(name, name)
    return own if any(f"layout.{own}" in figures.generation.families for figures in targets) else None


def _none(name: str, figures: Figures) -> UsageFault:
    drawn = name in _COUNTED.values() and "random_bits" in figures.areas
    why = ": the heap's base is random" if drawn else ""
    expected = "random_bits or random_base_limit, which describe how it is drawn" if drawn else ""
    return UsageFault(Fault(f"{name} has no members on {figures.platform}{why}", expected, id="absent-name"))
