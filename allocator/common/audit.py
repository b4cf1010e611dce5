"""The frame of an audit: what a violation is, and how a machine's invariants are checked one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

NOWHERE = -1

M = TypeVar("M")


class Violation(NamedTuple):
    """An invariant that does not hold: its name, what was found, and the span it was found at (-1: none)."""

    name: str
    message: str
    span: int = NOWHERE


Seen = tuple[str, int]


def violations(rt: M, invariants: Mapping[str, Callable[[M], Iterator[Seen]]]) -> list[Violation]:
    """Every violation of every invariant; empty when all is well.

    A machine so broken that a check itself fails is a violation, too.
    """
    return [
        Violation(name, message, span)
        for name, check in invariants.items()
        for message, span in _seen(rt, check)
    ]


def _seen(rt: M, check: Callable[[M], Iterator[Seen]]) -> Iterator[Seen]:
    try:
        yield from check(rt)
    except (ArithmeticError, LookupError, ValueError) as broken:
        yield f"too much is broken to look further: {type(broken).__name__}, {broken}", NOWHERE
