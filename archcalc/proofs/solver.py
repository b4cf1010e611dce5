"""Z3, asked about conditions: what is stated stands on a stack, and an answer comes with numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import z3

from archcalc.proofs.terms import AtMost, Condition, Several
from archcalc.proofs.words import Undecided


class Witness(dict[str, int]):
    """Numbers for all that is unknown, with which what was stated holds; read off the solver as needed."""

    def __init__(self, model: Any, variables: Mapping[str, Any]) -> None:
        super().__init__()
        self._model = model
        self._variables = variables

    def __missing__(self, name: str) -> int:
        found = self._model[self._variables[name]] if name in self._variables else None
        # What the solver says nothing of can be any number.
        value = self[name] = 0 if found is None else found.as_long()
        return value


class Solver:
    """A stack of conditions; a question that takes longer than `milliseconds` is not decided."""

    def __init__(self, milliseconds: int) -> None:
        self._solver: Any = z3.SolverFor("QF_LIA")
        self._solver.set("timeout", milliseconds)
        self._variables: dict[str, Any] = {}
        self._known: dict[AtMost, Any] = {}

    def push(self, condition: Condition) -> None:
        """States a condition, until it is popped."""
        self._solver.push()
        self._solver.add(self._translated(condition))

    def pop(self) -> None:
        """Takes the last one back."""
        self._solver.pop()

    def possible(self, condition: Condition | None = None) -> Witness | None:
        """Numbers for which all that is stated holds, and that condition; None where there are none.

        Raises Undecided.
        """
        solver = self._solver
        if condition is not None:
            self.push(condition)
        answer = solver.check()
        found = Witness(solver.model(), self._variables) if answer == z3.sat else None
        reason = solver.reason_unknown() if answer == z3.unknown else ""
        if condition is not None:
            solver.pop()
        if reason:
            raise Undecided(f"the solver gave up: {reason}")
        return found

    def _translated(self, condition: Condition) -> Any:
        if isinstance(condition, Several):
            parts = [self._translated(part) for part in condition.parts]
            return z3.And(parts) if condition.all else z3.Or(parts)
        assert isinstance(condition, AtMost)
        found = self._known.get(condition)
        if found is None:
            found = self._known[condition] = self._compared(condition)
        return found

    def _compared(self, condition: AtMost) -> Any:
        parts = [self._variable(name) * times for name, times in condition.sum.parts]
        whole = z3.Sum(parts) if len(parts) > 1 else parts[0]
        if condition.exactly:
            return whole == -condition.sum.constant
        return whole <= -condition.sum.constant

    def _variable(self, name: str) -> Any:
        found = self._variables.get(name)
        if found is None:
            found = self._variables[name] = z3.Int(name)
        return found
