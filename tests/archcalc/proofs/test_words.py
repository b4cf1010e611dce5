"""Symbolic words compute what ints compute."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("z3")

from archcalc.proofs.paths import Explorer
from archcalc.proofs.words import SymbolicWord, Undecided

BITS = 32
MASK = (1 << BITS) - 1
words = st.integers(0, MASK)
powers = st.integers(0, 20).map(lambda k: 1 << k)

OPERATIONS: dict[str, Any] = {
    "sum": lambda a, b, p: a + b,
    "difference": lambda a, b, p: a - b,
    "cut sum": lambda a, b, p: (a + b) & MASK,
    "cut difference": lambda a, b, p: (a - b) & MASK,
    "times": lambda a, b, p: a * 12 + b * p,
    "rounded up": lambda a, b, p: (a + p - 1) & -p,
    "rounded and cut": lambda a, b, p: (a + b + p - 1) & MASK & -p,
    "to the next": lambda a, b, p: a + (-a & (p - 1)),
    "low bits": lambda a, b, p: (a + b) & (p - 1),
    "shifted": lambda a, b, p: (a >> 3) + (b << 2),
    "quotient": lambda a, b, p: (a + b) // 24,
    "remainder": lambda a, b, p: (a + b) % 24 + a % p,
    "bits taken out": lambda a, b, p: (a + b) & ~(0xFF << 10),
    "bits put together": lambda a, b, p: (a & -64) | (b & 255) | (b & 3),
    "bits beside each other": lambda a, b, p: (a & -4096) | (b & 4095),
    "one mask for both": lambda a, b, p: (a + b) & (MASK + 1 - p),
}
CONDITIONS: dict[str, Any] = {
    "less": lambda a, b, c: a < b,
    "at most": lambda a, b, c: a * 8 <= b * 4,
    "more": lambda a, b, c: a > b + 3,
    "at least": lambda a, b, c: a - 7 >= b,
    "equal": lambda a, b, c: a & -16 == b & -16,
    "other": lambda a, b, c: a != b,
    "than a number": lambda a, b, c: a * 16 < c,
    "equal to a number": lambda a, b, c: a * 2 == c,
    "at least a number": lambda a, b, c: a * 16 >= c,
    "any": lambda a, b, c: a,
}


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=20, deadline=None)
@given(a=words, b=words, p=powers)
def test_an_operation_gives_what_ints_give(name: str, a: int, b: int, p: int) -> None:
    operation = OPERATIONS[name]
    engine = Explorer(BITS)

    def run() -> None:
        x, y = engine.fresh("x", 0, MASK), engine.fresh("y", 0, MASK)
        engine.assume(x == a, y == b)
        result, expected = operation(x, y, p), operation(a, b, p)
        if isinstance(result, SymbolicWord):
            assert result.low <= expected <= result.high
        assert engine.holds(result == expected)

    assert len(list(engine.explore(run))) == 1


@pytest.mark.parametrize("name", CONDITIONS)
@settings(max_examples=20, deadline=None)
@given(a=words, b=words, c=words)
def test_a_condition_is_what_it_is_for_ints(name: str, a: int, b: int, c: int) -> None:
    condition = CONDITIONS[name]
    engine = Explorer(BITS)

    def run() -> bool:
        x, y = engine.fresh("x", 0, MASK), engine.fresh("y", 0, MASK)
        engine.assume(x == a, y == b)
        return bool(condition(x, y, c))

    assert list(engine.explore(run)) == [bool(condition(a, b, c))]


def test_pages_are_counted_in_pages() -> None:
    engine = Explorer(BITS)

    def run() -> None:
        page = engine.fresh("page", 0, MASK, 8192)
        assert page % 4096 == 0
        assert page & 8191 == 0
        assert (page + 4096).unit == 4096
        assert engine.holds((page >> 13) << 13 == page)

    assert len(list(engine.explore(run))) == 1


def test_a_cut_that_loses_something_is_remembered_with_its_place() -> None:
    engine = Explorer(BITS)

    def run() -> None:
        x = engine.fresh("x", 0, MASK)
        (cut,) = ((x + 1) & MASK).cuts
        assert "test_words.py" in cut.place
        engine.assume(x < MASK)
        assert engine.holds(~(x + 1 > MASK))

    list(engine.explore(run))


@pytest.mark.parametrize("act", [range, lambda x: x * x, lambda x: x | x, lambda x: x & 0b101])
def test_what_symbolic_words_cannot_do_is_refused(act: Any) -> None:
    engine = Explorer(BITS)
    with pytest.raises(Undecided):
        list(engine.explore(lambda: act(engine.fresh("x", 0, MASK))))
