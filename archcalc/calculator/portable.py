"""Which figures a port decides, by the formulas alone, without computing other ports.

A figure is the port's where a formula that it follows from mentions a fact, or exists on some ports only.
What merely says which port it is (GOOS, GoarchArm64 and their kind) is kept apart.
"""

from __future__ import annotations

from archcalc.calculator.constants import Constants
from archcalc.calculator.figures import Figures
from archcalc.calculator.inventory import Key

_NAMES = ("GOOS", "GOARCH")
_PACKAGES = ("sys", "goos", "goarch")  # which declare nothing else under such names


def qualified(key: Key) -> str:
    """The name by which the calculator knows a figure of an inventory."""
    section, name = key
    return {"constants": f"runtime.{name}", "structs": f"struct.{name}"}.get(section, f"{section}.{name}")


def names_the_port(figures: Figures, key: Key) -> bool:
    """Whether a constant says nothing but which port this is: its name, or 1 on ports of one name."""
    section, own = key
    if own in _NAMES:
        return True
    formula = figures.engine.formula(qualified(key)) if section in _PACKAGES else None
    if formula is None:
        return False
    mentioned = {name.rpartition(".")[2] for name in formula.mentions}
    return formula.row.unit == "flag" and bool(mentioned) and mentioned <= {*_NAMES, "goos", "goarch"}


class OfThePort:
    """Says for each figure whether the port decides it; results are cached."""

    def __init__(self, figures: Figures) -> None:
        self._engine: Constants = figures.engine
        self._found: dict[str, bool] = {}

    def __call__(self, key: Key) -> bool:
        """Whether the figure's value can differ on another port of the same release."""
        return self._decided(qualified(key))

    def _decided(self, name: str) -> bool:
        if name.startswith("fact."):
            return True
        found = self._found.get(name)
        if found is None:
            self._found[name] = False  # a figure that follows from itself is refused elsewhere
            found = self._found[name] = self._stands_on_some(name) or any(
                map(self._decided, self._engine.follows_from(name))
            )
        return found

    def _stands_on_some(self, name: str) -> bool:
        row = None if name.startswith("struct.") else self._engine.row(name)
        return row is not None and bool(row.when)
