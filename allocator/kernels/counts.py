"""What a machine asks of its system, counted by helper."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from allocator.kernels.system import Answer


@dataclass(slots=True)
class CountedCall:
    """One call of an OS helper under its Go name, and the answer. Address and size in bytes."""

    call: str
    address: int
    size: int
    answer: Answer


class Calls:
    """Counts of calls by helper: all, those refused, and the bytes of all. `last` is the latest call."""

    __slots__ = ("bytes", "last", "made", "refused")

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.last: CountedCall | None = None

    def note(self, call: str, v: int, n: int) -> None:
        """A call, before it is made; the address asked for stands for the answer until there is another."""
        self.made[call] += 1
        self.bytes[call] += n
        self.last = CountedCall(call, v, n, v)

    def answered(self, answer: int) -> None:
        """The answer to the latest call, where 0 is a refusal."""
        assert self.last is not None
        self.last.answer = answer
        if not answer:
            self.refused[self.last.call] += 1

    def refuse(self, call: str, answer: Answer) -> None:
        """The latest call, of this helper, was refused."""
        self.refused[call] += 1
        if self.last is not None:
            self.last.answer = answer
