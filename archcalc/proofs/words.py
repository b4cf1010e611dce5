"""Symbolic words: numbers that a program computes with before they are known.

A `SymbolicWord` takes the place of a plain int in the machine, and is as exact: it does not wrap. Where the
machine's code cuts a number to a word (`& mask`), that is cut here too, and the result remembers
where it was cut and under which condition that lost something; whether the code noticed that can be
asked of it later. Addresses are mostly multiples of pages, so a word is kept as a number of units
of a power of two, which keeps rounding and the questions about it simple. Shifts, masks and
remainders become a whole quotient that is defined by two inequalities; other uses of bits,
allocators do not do with addresses, and it is refused.

A comparison gives a `Truth`. Asking that for its truth value is a fork: the `Explorer` decides
which way this run goes, and comes back for the other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from archcalc.proofs import terms
from archcalc.proofs.terms import Condition, Sum


class Undecided(Exception):
    """The engine cannot tell: a bound was reached, or the code did what symbolic words cannot do."""


MOST_SHARED_BITS = 8  # that two words which are put together may both have


class Cut(NamedTuple):
    """A place of the machine's code that cuts a number to a word, and when that loses something."""

    place: str
    loses: Condition | bool


NO_CUTS: frozenset[Cut] = frozenset()


class Truth:
    """A condition on symbolic words; `decide` tells which way a run goes that asks for its value."""

    __slots__ = ("decide", "term")

    def __init__(self, term: Condition, decide: Callable[[Condition], bool]) -> None:
        self.term = term
        self.decide = decide

    def __bool__(self) -> bool:
        return self.decide(self.term)

    def _with(self, all: bool, other: Truth | bool) -> Truth | bool:
        term = other.term if isinstance(other, Truth) else other
        return truth_of(terms.joined(all, self.term, term), self.decide)

    def __and__(self, other: Truth | bool) -> Truth | bool:
        return self._with(True, other)

    def __or__(self, other: Truth | bool) -> Truth | bool:
        return self._with(False, other)

    __rand__ = __and__
    __ror__ = __or__

    def __invert__(self) -> Truth | bool:
        return truth_of(terms.negated(self.term), self.decide)


def truth_of(term: Condition | bool, decide: Callable[[Condition], bool]) -> Truth | bool:
    """What a condition is: known, or a truth to be decided."""
    return term if isinstance(term, bool) else Truth(term, decide)


def negated(truth: Truth | bool) -> Truth | bool:
    """Not so, for what may be a plain bool."""
    return ~truth if isinstance(truth, Truth) else not truth


class Room:
    """What the words of one exploration share: the size of a word, who decides forks, who keeps quotients.

    `define` is called with every new number and what defines it; `only` gives the one value that a word
    can have, None where there are several.
    """

    __slots__ = ("bits", "decide", "define", "flags", "mask", "only", "quotients")

    def __init__(
        self,
        bits: int,
        decide: Callable[[Condition], bool],
        define: Callable[[Condition | bool], object],
        only: Callable[[SymbolicWord], int | None],
    ) -> None:
        self.only = only
        self.bits = bits
        self.mask = (1 << bits) - 1
        self.decide = decide
        self.define = define
        self.quotients: dict[tuple[Sum, int], Sum] = {}
        self.flags: dict[Condition, Sum] = {}

    def clear(self) -> None:
        """Forgets what it has defined: a new run begins."""
        self.quotients.clear()
        self.flags.clear()

    def flag(self, truth: Truth | bool) -> SymbolicWord | int:
        """1 where it holds, else 0."""
        if not isinstance(truth, Truth):
            return int(truth)
        found = self.flags.get(truth.term)
        if found is None:
            found = self.flags[truth.term] = terms.unknown(f"flag.{len(self.flags)}")
            one = terms.joined(True, truth.term, terms.zero(found - 1))
            none = terms.joined(True, terms.negated(truth.term), terms.zero(found))
            self.define(terms.joined(False, one, none))
        return SymbolicWord(self, found, 1, 0, 1)

    def quotient(self, term: Sum, divisor: int) -> Sum:
        """The whole number of times that divisor goes into a term, rounded down."""
        key = (term, divisor)
        found = self.quotients.get(key)
        if found is None:
            found = self.quotients[key] = terms.unknown(f"quotient.{len(self.quotients)}")
            rest = term - found * divisor
            self.define(terms.joined(True, terms.at_most(-rest), terms.at_most(rest - (divisor - 1))))
        return found


class SymbolicWord:
    """`term` units of `unit` each, a power of two; the whole lies in [low, high], both included."""

    __slots__ = ("cuts", "high", "low", "room", "term", "unit")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, room: Room, term: Sum, unit: int, low: int, high: int, cuts: frozenset[Cut] = NO_CUTS
    ) -> None:
        self.room = room
        self.term = term
        self.unit = unit
        self.low = low
        self.high = high
        self.cuts = cuts

    def _in(self, unit: int) -> Sum:
        """The term in smaller units."""
        return self.term if unit == self.unit else self.term * (self.unit // unit)

    @property
    def whole(self) -> Sum:
        """The number itself."""
        return self._in(1)

    # Arithmetic.

    def __add__(self, other: SymbolicWord | int) -> SymbolicWord:
        if isinstance(other, int):
            if not other:
                return self
            unit = min(self.unit, other & -other)
            return SymbolicWord(
                self.room,
                self._in(unit) + other // unit,
                unit,
                self.low + other,
                self.high + other,
                self.cuts,
            )
        unit = min(self.unit, other.unit)
        return SymbolicWord(
            self.room, self._in(unit) + other._in(unit), unit, self.low + other.low, self.high + other.high,
            self.cuts | other.cuts,
        )  # fmt: skip

    __radd__ = __add__

    def __neg__(self) -> SymbolicWord:
        return SymbolicWord(self.room, -self.term, self.unit, -self.high, -self.low, self.cuts)

    def __sub__(self, other: SymbolicWord | int) -> SymbolicWord:
        return self + -other

    def __rsub__(self, other: int) -> SymbolicWord:
        return -self + other

    def __mul__(self, other: int) -> SymbolicWord | int:
        if not isinstance(other, int):
            raise Undecided(f"a product of two unknown numbers, at {_place()}")
        if not other:
            return 0
        two = other & -other
        ends = (self.low * other, self.high * other)
        term = self.term if other == two else self.term * (other // two)
        return SymbolicWord(self.room, term, self.unit * two, min(ends), max(ends), self.cuts)

    __rmul__ = __mul__

    def __lshift__(self, other: int) -> SymbolicWord:
        return self * (1 << other)  # type: ignore[return-value]

    def __rshift__(self, other: int) -> SymbolicWord | int:
        return self // (1 << other)

    def __floordiv__(self, other: int) -> SymbolicWord | int:
        if not isinstance(other, int) or other <= 0:
            raise Undecided(f"a division by an unknown number, at {_place()}")
        two = min(self.unit, other & -other)
        low, high = self.low // other, self.high // other
        if low == high:
            return low
        if two == other:
            return SymbolicWord(self.room, self.term, self.unit // other, low, high, self.cuts)
        whole = self.room.quotient(self._in(two), other // two)
        return SymbolicWord(self.room, whole, 1, low, high, self.cuts)

    def __mod__(self, other: int) -> SymbolicWord | int:
        if self.unit % other == 0:
            return 0
        times = self // other
        rest = self - times * other
        if isinstance(times, int):
            return rest
        high = min(other - 1, self.high) if self.low >= 0 else other - 1
        return SymbolicWord(self.room, rest.term, rest.unit, 0, high, self.cuts)

    # Bits.

    def __and__(self, other: SymbolicWord | int) -> SymbolicWord | int:
        if not isinstance(other, int):
            raise Undecided(f"the common bits of two unknown numbers, at {_place()}")
        if not other:
            return 0
        if other < 0:
            cleared = ~other
            low = cleared & -cleared
            if not cleared:
                return self
            if cleared & cleared + low:
                raise Undecided(f"the mask {other:#x} clears no neighbouring bits, at {_place()}")
            if self.low >= 0 and self.high < cleared + low:
                return self & low - 1
            if low == 1:
                return self if self.unit % -other == 0 else self // -other * -other
            return self - (self // low & cleared // low) * low
        if other & (other + 1):
            # A mask of a word that rounds down: & mask & -page in one.
            step = other & -other
            if other + step == self.room.mask + 1 or (other + step) & (other + step - 1) == 0:
                return (self & -step) & (other | (step - 1))
            raise Undecided(f"the mask {other:#x} is neither low bits nor high ones, at {_place()}")
        if self.low >= 0 and self.high <= other:
            return self
        rest = self % (other + 1)
        if other == self.room.mask and isinstance(rest, SymbolicWord):
            loses = terms.joined(False, terms.at_most(self.whole + 1), terms.at_most(-self.whole + other + 1))
            rest.cuts = rest.cuts | {Cut(_place(), loses)}
        return rest

    __rand__ = __and__

    def __or__(self, other: SymbolicWord | int) -> SymbolicWord | int:
        if isinstance(other, int):
            if not other:
                return self
            if self.low >= 0 and (0 < other < self.unit or self.high < other & -other):
                return self + other
        elif self.low >= 0 and other.low >= 0:
            first = max(self.unit, other.unit).bit_length() - 1
            end = min(self.high, other.high).bit_length()
            if end - first <= MOST_SHARED_BITS:
                return self._joined(other, first, end)
        raise Undecided(f"a union of unknown bits, at {_place()}")

    __ror__ = __or__

    def _joined(self, other: SymbolicWord, first: int, end: int) -> SymbolicWord:
        """The bits of both, which only from `first` to `end` can be in both: those count once."""
        whole = self + other
        for bit in range(first, end):
            mine, its = (word // (1 << bit) % 2 == 1 for word in (self, other))
            whole = whole - self.room.flag(mine & its) * (1 << bit)
        most = (1 << max(self.high.bit_length(), other.high.bit_length())) - 1
        return SymbolicWord(self.room, whole.term, whole.unit, 0, most, whole.cuts)

    # Comparisons. What the bounds tell needs no solver.

    def _above(self, other: SymbolicWord | int) -> tuple[Sum, bool]:
        """How much more this is, in common units; whether a plain number had to be rounded down for it."""
        if isinstance(other, SymbolicWord):
            unit = min(self.unit, other.unit)
            return self._in(unit) - other._in(unit), False
        return self.term - other // self.unit, other % self.unit != 0

    def _truth(self, term: Condition | bool) -> Truth | bool:
        return truth_of(term, self.room.decide)

    def __le__(self, other: SymbolicWord | int) -> Truth | bool:
        low, high = (other.low, other.high) if isinstance(other, SymbolicWord) else (other, other)
        if self.high <= low:
            return True
        if self.low > high:
            return False
        return self._truth(terms.at_most(self._above(other)[0]))

    def __lt__(self, other: SymbolicWord | int) -> Truth | bool:
        low, high = (other.low, other.high) if isinstance(other, SymbolicWord) else (other, other)
        if self.high < low:
            return True
        if self.low >= high:
            return False
        above, rounded = self._above(other)
        return self._truth(terms.at_most(above if rounded else above + 1))

    def __gt__(self, other: SymbolicWord | int) -> Truth | bool:
        return negated(self <= other)

    def __ge__(self, other: SymbolicWord | int) -> Truth | bool:
        return negated(self < other)

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, (int, SymbolicWord)):
            return False
        low, high = (other.low, other.high) if isinstance(other, SymbolicWord) else (other, other)
        if self.high < low or self.low > high:
            return False
        above, rounded = self._above(other)
        return False if rounded else self._truth(terms.zero(above))

    def __ne__(self, other: object) -> Any:
        return negated(self == other)

    def __bool__(self) -> bool:
        return bool(self != 0)

    # What only a known number can do.

    def __index__(self) -> int:
        only = self.room.only(self)
        if only is None:
            raise Undecided(f"an unknown number is needed, at {_place()}")
        return only

    __int__ = __index__

    def __rlshift__(self, other: int) -> int:
        return other << int(self)

    def __format__(self, spec: str) -> str:
        return "?"

    __str__ = __repr__ = lambda self: "?"


def _place() -> str:
    """The line of the machine's code that does this, as folder/file.py:line in function."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.endswith(("/words.py", "/uintptr.py")):
        frame = frame.f_back
    file = "/".join(frame.f_code.co_filename.split("/")[-2:])
    return f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"
