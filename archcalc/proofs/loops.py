"""Loops over unknown ranges: one turn stands for all.

The machine goes through arenas or chunks with `range`, whose ends may be symbolic here. Where the
turns do not depend on each other, what holds of one number anywhere between the ends holds of each.
For the length of an exploration `range` of the modules that are named is replaced; ends that are
known give Python's own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from archcalc.proofs.paths import Explorer
from archcalc.proofs.words import SymbolicWord

Number = Any  # an int, or a SymbolicWord in its place


class Loops:
    """`range` for the machine's modules: an unknown number stands for all of them.

    Of loops with known ends, those as long as `any_turn` are treated so, too; `turn` has the one turn
    that is made of those with a certain length. `ends` remembers the ends of each function's loop, by
    the function's qualified name.
    """

    def __init__(self, engine: Explorer) -> None:
        self.engine = engine
        self.any_turn = 0
        self.turn: dict[int, int] = {}
        self.ends: dict[str, tuple[Number, Number]] = {}

    def __call__(self, *ends: Number) -> Iterable[Number]:
        first, end = (0, *ends) if len(ends) == 1 else ends[:2]
        self.ends[sys._getframe(1).f_code.co_qualname] = first, end
        if not any(isinstance(end, SymbolicWord) for end in ends):
            known = range(*ends)
            if len(known) in self.turn:
                return [known[self.turn[len(known)]]]
            if len(known) != self.any_turn:
                return known
        if not first < end:
            return ()
        low = first.low if isinstance(first, SymbolicWord) else first
        high = end.high if isinstance(end, SymbolicWord) else end
        number = self.engine.fresh("turn", low, high)
        self.engine.assume(first <= number, number < end)
        return [number]


@contextmanager
def over_the_unknown(loops: Loops, *modules: ModuleType) -> Iterator[None]:
    """Gives the modules that `range` for as long as it lasts."""
    for module in modules:
        module.range = loops  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            del module.range
