"""Every path is run, each once, and no other."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from archcalc.proofs.paths import Explorer
from archcalc.proofs.words import Undecided


def test_all_ways_of_nested_conditions() -> None:
    engine = Explorer(32)

    def run() -> tuple[bool, ...]:
        x = engine.fresh("x", 0, 100)
        if x < 10:
            return (True, bool(x < 5))
        return (False, bool(x >= 10), bool(x == 50))

    found = list(engine.explore(run))
    assert sorted(found) == [(False, True, False), (False, True, True), (True, False), (True, True)]
    assert engine.paths == 4


def test_choices_multiply() -> None:
    engine = Explorer(32)
    found = list(engine.explore(lambda: (engine.choose(3), engine.choose(2))))
    assert sorted(found) == [(a, b) for a in range(3) for b in range(2)]


def test_what_is_assumed_narrows_the_paths() -> None:
    engine = Explorer(32)

    def run() -> bool:
        x = engine.fresh("x", 0, 100)
        if engine.choose(2):
            engine.assume(x > 20)
        else:
            engine.assume(x > 100)  # there is no such path
        return bool(x > 10)

    assert list(engine.explore(run)) == [True]


def test_what_does_not_hold_comes_with_numbers() -> None:
    engine = Explorer(32)

    def run() -> None:
        x = engine.fresh("x", 0, 1 << 20, 4096)
        assert engine.holds(x <= 1 << 20)
        assert not engine.holds(x < 1 << 20)
        assert engine.number(x) == 1 << 20

    list(engine.explore(run))


def test_too_many_paths_are_reported_and_not_cut_off() -> None:
    engine = Explorer(32, most_paths=10)
    with pytest.raises(Undecided, match="more than 10 paths"):
        list(engine.explore(lambda: [engine.choose(2) for _ in range(8)]))


def test_a_loop_ends_where_its_condition_does() -> None:
    engine = Explorer(32)

    def run() -> int:
        x = engine.fresh("x", 0, 5)
        n = 0
        while x > n:
            n += 1
        return n

    assert sorted(engine.explore(run)) == [0, 1, 2, 3, 4, 5]


def test_a_question_that_takes_too_many_steps_is_not_decided() -> None:
    """The limit counts the solver's steps, not time."""
    engine = Explorer(64, solver_units=10)

    def run() -> bool:
        x, y = engine.fresh("x", 1, 1 << 60), engine.fresh("y", 1, 1 << 60)
        engine.assume((x * 35 + 12 == y * 79) | (x * 31 == y * 17 + 5), x + y > 1 << 40)
        return engine.holds(x * 3 > y * 5)

    with pytest.raises(Undecided, match="limit of steps"):
        list(engine.explore(run))
