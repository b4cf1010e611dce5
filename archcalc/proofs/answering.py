"""What systems that may answer anything have in common: their calls, and the memory that they gave."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

from allocator.kernels.system import Errno
from archcalc.proofs.properties import WRAP
from archcalc.proofs.words import SymbolicWord, Truth, negated, truth_of

Number = Any  # an int, or a SymbolicWord in its place


@dataclass(slots=True)
class SystemCall:
    """One call of a helper, and the answer: 0 or an Errno for a refusal."""

    call: str
    address: Number
    size: Number
    answer: Number

    def document(self) -> dict[str, object]:
        """The call as JSON has it."""
        answer = f"errno={self.answer.number}" if isinstance(self.answer, Errno) else self.answer
        return {"call": self.call, "address": self.address, "size": self.size, "answer": answer}


@dataclass(slots=True, eq=False)
class HeldMemory:
    """Memory that the program has: `held` when the kernel does not give it to others.

    Two pieces are never the same one, wherever they lie: comparing unknown numbers would fork the path.
    """

    start: Number
    size: Number
    held: bool = True


def covered(v: Number, n: Number, pieces: Sequence[HeldMemory]) -> Truth | bool:
    """Whether [v, v+n) lies in one of some pieces, or in two that touch."""
    whole: Truth | bool = False
    for first in pieces:
        inside = first.start <= v
        ends = first.start + first.size
        whole = whole | (inside & (v + n <= ends))
        for second in pieces:
            if second is not first:
                whole = whole | (inside & (ends == second.start) & (v + n <= second.start + second.size))
    return whole


def fits(
    require: Callable[[str, Truth | bool, str], None],
    value: Number,
    mask: int,
    what: str,
    meant: Container[str] = (),
) -> None:
    """Requires that a number is a machine word, and that no cut on its way has lost bits.

    `meant` are functions of the machine that cut on purpose.
    """
    if not isinstance(value, SymbolicWord):
        if not isinstance(value, bool):
            require(WRAP, 0 <= value <= mask, f"{what} is {value:#x}, which is not a machine word")
        return
    for low_enough in (value >= 0, value <= mask):
        if low_enough is not True:
            require(WRAP, low_enough, f"{what} leaves the machine word")
    for cut in sorted(value.cuts, key=lambda cut: cut.place):
        if cut.place.rpartition(" in ")[2] not in meant:
            loses = truth_of(cut.loses, value.room.decide)
            require(WRAP, negated(loses), f"{what} was cut to a word at {cut.place}")
