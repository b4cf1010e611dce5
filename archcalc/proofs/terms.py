"""Sums of unknown numbers and conditions on them, as plain values.

A path is run again and again, and most of what a run computes on its way never reaches the solver, since a
former run has asked the same. So sums are kept here in a form of their own, in which equal ones are equal
and what does not depend on anything unknown is seen to be so; the `Explorer` translates what it asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd


class Sum:
    """`constant` and so many times each unknown: `parts` are (name, times) in the order of names."""

    __slots__ = ("_hash", "constant", "parts")

    def __init__(self, constant: int, parts: tuple[tuple[str, int], ...] = ()) -> None:
        self.constant = constant
        self.parts = parts
        self._hash: int | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and self.constant == other.constant and self.parts == other.parts

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((self.constant, self.parts))
        return self._hash

    def __add__(self, other: Sum | int) -> Sum:
        if isinstance(other, int):
            return Sum(self.constant + other, self.parts)
        constant = self.constant + other.constant
        if not other.parts:
            return Sum(constant, self.parts)
        if not self.parts:
            return Sum(constant, other.parts)
        times = dict(self.parts)
        for name, n in other.parts:
            times[name] = times.get(name, 0) + n
        return Sum(constant, tuple(sorted((name, n) for name, n in times.items() if n)))

    def __mul__(self, other: int) -> Sum:
        if other == 1:
            return self
        return Sum(self.constant * other, tuple((name, n * other) for name, n in self.parts))

    def __neg__(self) -> Sum:
        return self * -1

    def __sub__(self, other: Sum | int) -> Sum:
        return self + -other

    def value(self, numbers: Mapping[str, int]) -> int:
        """The value with these numbers."""
        return self.constant + sum(n * numbers[name] for name, n in self.parts)


def unknown(name: str) -> Sum:
    """The number of that name."""
    return Sum(0, ((name, 1),))


class Condition:
    """A condition that holds or not once the numbers are known."""

    __slots__ = ()

    def holds(self, numbers: Mapping[str, int]) -> bool:
        """Whether it does with these numbers."""
        raise NotImplementedError


class AtMost(Condition):
    """The sum is 0 or less; or, where `exactly` says so, it is 0."""

    __slots__ = ("exactly", "sum")

    def __init__(self, sum: Sum, exactly: bool = False) -> None:
        self.sum = sum
        self.exactly = exactly

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AtMost) and self.exactly == other.exactly and self.sum == other.sum

    def __hash__(self) -> int:
        return hash((self.exactly, self.sum))

    def holds(self, numbers: Mapping[str, int]) -> bool:
        value = self.sum.value(numbers)
        return value == 0 if self.exactly else value <= 0


class Several(Condition):
    """All of some conditions, or any of them."""

    __slots__ = ("all", "parts")

    def __init__(self, all: bool, parts: tuple[Condition, ...]) -> None:
        self.all = all
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Several) and self.all == other.all and self.parts == other.parts

    def __hash__(self) -> int:
        return hash((self.all, self.parts))

    def holds(self, numbers: Mapping[str, int]) -> bool:
        for part in self.parts:
            if part.holds(numbers) is not self.all:
                return not self.all
        return self.all


def at_most(sum: Sum) -> Condition | bool:
    """The sum is 0 or less."""
    if not sum.parts:
        return sum.constant <= 0
    shared = gcd(*(n for _, n in sum.parts))
    if shared != 1:
        # Whole numbers: what is left over of the constant rounds up.
        sum = Sum(-(-sum.constant // shared), tuple((name, n // shared) for name, n in sum.parts))
    return AtMost(sum)


def zero(sum: Sum) -> Condition | bool:
    """The sum is 0."""
    if not sum.parts:
        return sum.constant == 0
    shared = gcd(*(n for _, n in sum.parts))
    if sum.constant % shared:
        return False
    if sum.parts[0][1] < 0:
        shared = -shared
    return AtMost(Sum(sum.constant // shared, tuple((name, n // shared) for name, n in sum.parts)), True)


def joined(all: bool, *conditions: Condition | bool) -> Condition | bool:
    """All of them, or any of them."""
    parts: list[Condition] = []
    for condition in conditions:
        if isinstance(condition, bool):
            if condition is not all:
                return not all
        elif isinstance(condition, Several) and condition.all is all:
            parts += condition.parts
        else:
            parts.append(condition)
    if not parts:
        return all
    return parts[0] if len(parts) == 1 else Several(all, tuple(parts))


def negated(condition: Condition | bool) -> Condition | bool:
    """Not so. What is not 0 is above or below it."""
    if isinstance(condition, AtMost):
        above = at_most(-condition.sum + 1)
        return joined(False, above, at_most(condition.sum + 1)) if condition.exactly else above
    if isinstance(condition, Several):
        return joined(not condition.all, *(negated(part) for part in condition.parts))
    return not condition
