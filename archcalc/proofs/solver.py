"""Z3, asked about conditions: statements are kept on a stack, and an answer comes with numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import z3

from archcalc.proofs.terms import AtMost, Condition, Several
from archcalc.proofs.words import Undecided

FIRST = 500_000  # units: more than nearly all questions take
# What Z3 says where a limit has ended its work.
LIMITED = frozenset({"canceled", "max. resource limit exceeded"})


class Witness(dict[str, int]):
    """Numbers for all that is unknown, with which what was stated holds; read off the solver as needed."""

    def __init__(self, model: Any, variables: Mapping[str, Any]) -> None:
        super().__init__()
        self._model = model
        self._variables = variables

    def __missing__(self, name: str) -> int:
        found = self._model[self._variables[name]] if name in self._variables else None
        # What the solver does not mention can be any number.
        value = self[name] = 0 if found is None else found.as_long()
        return value


class Solver:
    """A stack of conditions; a question that takes more than so many of Z3's `units` is not decided.

    Z3 counts its own steps in these (`rlimit`), so that the same questions have the same answers on every
    computer, busy or not. Each solver has a context of its own: what was asked elsewhere does not matter.

    What a solver has learnt from one question helps with the next, and now and then leads it astray for
    ever. So it gets FIRST units, and then another one begins afresh, which has them all.
    """

    def __init__(self, units: int) -> None:
        self._context = z3.Context()
        self._solver: Any = z3.SolverFor("QF_LIA", ctx=self._context)
        self._solver.set("rlimit", min(FIRST, units))
        self._units = units
        self.hardest = 0  # units that a question has taken of the second solver
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
        if answer == z3.unknown:
            solver = self._afresh()
            answer = solver.check()
            self.hardest = max(self.hardest, int(solver.statistics().get_key_value("rlimit count")))
        found = Witness(solver.model(), self._variables) if answer == z3.sat else None
        reason = solver.reason_unknown() if answer == z3.unknown else ""
        if condition is not None:
            self.pop()
        if reason:
            why = "more than its limit of steps" if reason in LIMITED else reason
            raise Undecided(f"the solver gave up: {why}")
        return found

    def _afresh(self) -> Any:
        """A solver that knows nothing but what is stated."""
        fresh = z3.SolverFor("QF_LIA", ctx=self._context)
        fresh.set("rlimit", self._units)
        fresh.add(self._solver.assertions())
        return fresh

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
            found = self._variables[name] = z3.Int(name, self._context)
        return found
