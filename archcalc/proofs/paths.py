"""Every path of a piece of code on symbolic words, by running it again and again.

A run that asks a condition which could go either way takes one way and leaves the other for a
later run, which repeats the same decisions up to there. The solver holds what has been decided
and assumed on the present path, and is taken back only as far as two runs differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from archcalc.proofs import terms
from archcalc.proofs.solver import Solver, Witness
from archcalc.proofs.terms import Condition
from archcalc.proofs.words import Room, SymbolicWord, Truth, Undecided
from archcalc.reading.words import counted

T = TypeVar("T")

MOST_PATHS = 20_000
# Of one question: three times what the hardest takes on any port (`python tests/bench/proofs.py` counts it).
SOLVER_UNITS = 75_000_000


class Infeasible(Exception):
    """This run has assumed something impossible: there is no such path."""


@dataclass(slots=True)
class _Entry:
    """One step of the trail: a decision (`taken`, and the `ways` left) or an assumption.

    `pushed`: whether the solver has it. `mark`: the number of the judgement that it comes from.
    """

    taken: int
    ways: tuple[int, ...]
    pushed: bool
    mark: int = 0


class Explorer:
    """Runs code on all its paths; `bits` is the size of a word.

    `fresh` makes the unknown numbers; `assume` states what the world promises about them; `holds`
    asks whether something is true on the present path whatever they are. `choose` is a decision
    that depends on no number, such as whether a system refuses.
    """

    def __init__(self, bits: int, most_paths: int = MOST_PATHS, solver_units: int = SOLVER_UNITS) -> None:
        self.room = Room(bits, self.decide, self._state, self._only)
        self.most_paths = most_paths
        self._solver = Solver(solver_units)
        self._trail: list[_Entry] = []
        self._at = 0
        self._names = 0
        # Some numbers that lead along the present path, where they are known.
        self._witness: Witness | None = None
        self.paths = 0
        self.asked = 0
        self.model: Witness | None = None
        # What is to be asked before the path narrows, and after its end.
        self.before_narrowing: Callable[[], None] = lambda: None

    # Runs.

    def explore(self, run: Callable[[], T]) -> Iterator[T]:
        """The result of every run, in order. Raises Undecided where there are too many."""
        while True:
            self._at = 0
            self._names = 0
            self.room.clear()
            self._witness = None
            try:
                result = run()
                self.before_narrowing()
            except Infeasible:
                pass
            else:
                self.paths += 1
                yield result
            if self.paths > self.most_paths:
                raise Undecided(f"more than {counted(self.most_paths, 'path')}")
            if not self._backtrack():
                return

    def _backtrack(self) -> bool:
        """Takes the trail back to the last decision that has another way left, and takes that."""
        while self._trail:
            entry = self._trail.pop()
            if entry.pushed:
                self._solver.pop()
            if entry.ways:
                self._trail.append(_Entry(entry.ways[0], entry.ways[1:], False))
                return True
        return False

    def _next(self) -> _Entry | None:
        """The decision that a former run has left for this place; None where this one is the first here."""
        if self._at < len(self._trail):
            entry = self._trail[self._at]
            self._at += 1
            return entry
        return None

    def _add(self, entry: _Entry, term: Condition) -> None:
        self._push(entry, term)
        self._trail.append(entry)
        self._at += 1

    def _push(self, entry: _Entry, term: Condition) -> None:
        self._solver.push(term)
        entry.pushed = True

    @property
    def replaying(self) -> bool:
        """Whether a former run has been here, with all that was asked and decided."""
        return self._at < len(self._trail)

    # Decisions.

    def decide(self, term: Condition) -> bool:
        """Decides which way this run goes at a condition."""
        self.before_narrowing()
        entry = self._next()
        if entry is not None:
            if not entry.pushed:
                self._push(entry, term if entry.taken else _not(term))
            return bool(entry.taken)
        other = _not(term)
        seen = self._seen(term)
        if seen is not True and not self._possible(term):
            self._add(_Entry(0, (), False), other)
            return False
        way = self._witness
        if seen is not False and not self._possible(other):
            self._witness = way
            self._add(_Entry(1, (), False), term)
            return True
        self._witness = way if seen is not False else None
        self._add(_Entry(1, (0,), False), term)
        return True

    def _seen(self, term: Condition) -> bool | None:
        """What a condition is with the numbers that are known to go this way; None without any."""
        return None if self._witness is None else term.holds(self._witness)

    def choose(self, ways: int) -> int:
        """One of several ways that are all open, from 0."""
        self.before_narrowing()
        entry = self._next()
        if entry is None:
            entry = _Entry(0, tuple(range(1, ways)), False)
            self._trail.append(entry)
            self._at += 1
        return entry.taken

    def assume(self, *truths: Truth | bool) -> None:
        """States what holds; ends this run where that is impossible."""
        self.before_narrowing()
        self._assume(truths)

    def _assume(self, truths: Iterable[Truth | bool], mark: int = 0) -> None:
        new = False
        for truth in truths:
            if isinstance(truth, Truth):
                new = self._state(truth.term, mark) or new
            elif not truth:
                raise Infeasible
        if new and self._witness is None and not self._possible():
            raise Infeasible

    def grant(self, truth: Truth | bool, mark: int) -> None:
        """Continues as if it held, after judgement number `mark` has found that it need not."""
        self._assume((truth,), mark)

    def granted(self, mark: int) -> None:
        """Comes again to a judgement of a former run, and grants what that one had to."""
        if self._at < len(self._trail) and self._trail[self._at].mark == mark:
            entry = self._trail[self._at]
            assert entry.pushed
            self._at += 1

    def _state(self, term: Condition | bool, mark: int = 0) -> bool:
        """Adds what holds from here on; False where a former run has done so."""
        if isinstance(term, bool):
            if not term:
                raise Infeasible
            return False
        entry = self._next()
        if entry is None:
            self._add(_Entry(1, (), False, mark), term)
            if self._seen(term) is False:
                self._witness = None
            return True
        if not entry.pushed:
            self._push(entry, term)
        return False

    def fresh(self, name: str, low: int, high: int, unit: int = 1) -> SymbolicWord:
        """An unknown multiple of `unit` in [low, high]; runs that get here alike get the same."""
        self._names += 1
        term = terms.unknown(f"{name}.{self._names}")
        first, last = -(-low // unit), high // unit
        self._state(terms.joined(True, terms.at_most(-term + first), terms.at_most(term - last)))
        return SymbolicWord(self.room, term, unit, first * unit, last * unit)

    def _only(self, word: SymbolicWord) -> int | None:
        """The value that a word must have on this path; None where it can have others."""
        kept = self.model
        self._possible(keep=True)
        value = self.number(word)
        same = self.holds(word == value)
        self.model = kept
        return value if same else None

    # Questions.

    def holds(self, truth: Truth | bool) -> bool:
        """Whether it is so on this path for all numbers; if not, `model` has some for which it is not."""
        if not isinstance(truth, Truth):
            if not truth:
                self._possible(keep=True)
            return bool(truth)
        return not self._possible(_not(truth.term), keep=True)

    def _possible(self, term: Condition | None = None, keep: bool = False) -> bool:
        self.asked += 1
        found = self._solver.possible(term)
        if found is None:
            return False
        if keep:
            self.model = found
        else:
            self._witness = found
        return True

    def number(self, value: SymbolicWord | int, model: Witness | None = None) -> int:
        """What a number is in the model that `holds` left."""
        if not isinstance(value, SymbolicWord):
            return int(value)
        numbers = self.model if model is None else model
        assert numbers is not None
        return value.whole.value(numbers)


def _not(term: Condition) -> Condition:
    """What a condition is not; neither is known, so the opposite is not either."""
    other = terms.negated(term)
    assert isinstance(other, Condition)
    return other
