"""Fault plans: the operating system refuses, or answers elsewhere, when a plan says so.

A plan is asked before every call of an OS helper and may give the kernel's answer
to it; what the runtime makes of that answer is the system's own affair, so the
words of a death are those of that system. Install one with `install`; a planned
address is where the kernel puts the memory, whatever the hint (MAP_FIXED excepted).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from allocator.kernels.system import Answer, Errno, Plan, Planned

# The helpers that a plan may fail, by their Go names.
CALLS = ("sysAlloc", "sysReserve", "sysMap", "sysUsed", "sysUnused", "sysFree", "sysFault")


def _checked(call: str) -> str:
    if call not in CALLS:
        raise ValueError(f"found call {call!r}, expected one of {', '.join(CALLS)}")
    return call


class NthCall:
    """The nth call of one kind (from 1), and the `times - 1` after it, get this answer."""

    def __init__(self, call: str, nth: int, answer: Answer, times: int = 1) -> None:
        if nth < 1 or times < 1:
            raise ValueError(f"found nth {nth}, times {times}, expected both from 1")
        self._call = _checked(call)
        self._nth = nth
        self._end = nth + times
        self._answer = answer
        self.seen = 0

    def __call__(self, call: str, v: int, n: int) -> Answer | None:
        if call != self._call:
            return None
        self.seen += 1
        return self._answer if self._nth <= self.seen < self._end else None


class Request:
    """Calls of one kind with this address and size (None: any) get this answer."""

    def __init__(self, call: str, v: int | None, n: int | None, answer: Answer) -> None:
        self._call = _checked(call)
        self._v = v
        self._n = n
        self._answer = answer

    def __call__(self, call: str, v: int, n: int) -> Answer | None:
        if call != self._call or self._v not in (None, v) or self._n not in (None, n):
            return None
        return self._answer


class Chance:
    """Each call of these kinds fails with a probability, the same for the same seed."""

    def __init__(self, probability: float, seed: int, refusal: Errno, calls: Iterable[str] = CALLS) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"found probability {probability}, expected 0 to 1")
        self._probability = probability
        self._random = Random(seed)
        self._refusal = refusal
        self._calls = frozenset(_checked(call) for call in calls)

    def __call__(self, call: str, v: int, n: int) -> Answer | None:
        if call in self._calls and self._random.random() < self._probability:
            return self._refusal
        return None


class Exhaustion:
    """Memory runs out: once `limit` bytes were asked for by these kinds, they are refused.

    A request that would pass the limit is refused and not counted, so a smaller one may
    still be granted.
    """

    def __init__(self, limit: int, refusal: Errno, calls: Iterable[str] = ("sysAlloc", "sysMap")) -> None:
        self._limit = limit
        self._refusal = refusal
        self._calls = frozenset(_checked(call) for call in calls)
        self.granted = 0

    def __call__(self, call: str, v: int, n: int) -> Answer | None:
        if call not in self._calls:
            return None
        if self.granted + n > self._limit:
            return self._refusal
        self.granted += n
        return None


@dataclass(slots=True)
class Plans:
    """Several plans; the first that has an answer wins, and every one sees every call."""

    plans: list[Plan]

    def __call__(self, call: str, v: int, n: int) -> Answer | None:
        answers = [plan(call, v, n) for plan in self.plans]
        return next((answer for answer in answers if answer is not None), None)


def install(system: Planned, *plans: Plan) -> None:
    """Puts plans on a system, in place of those that it had; without any it is left to itself."""
    system.plan = Plans(list(plans)) if plans else None
