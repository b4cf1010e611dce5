"""How a simulated system's answers compare with those on record, call by call.

- the same;
- granted by both, but elsewhere, where the kernel is free to choose: the simulated system is then
  made to put the memory where the recorded one did, so that everything later stays comparable;
- refused by the recorded system because of a neighbour that the header does not mention: there is room
  in the simulated address space, and no limit;
- different in substance. Then the simulated answer counts, and the run goes its own way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from allocator.kernels.system import Answer, Errno

SAME, ELSEWHERE, NEIGHBOUR, DIFFERENT = "same", "elsewhere", "neighbour", "different"
KINDS = (SAME, ELSEWHERE, NEIGHBOUR, DIFFERENT)
KEPT = 20  # calls that are kept of each kind but the same


@dataclass(frozen=True, slots=True)
class DifferentAnswer:
    """One call that was not answered alike. Addresses are ints, refusals `errno=N` or 0."""

    call: str
    address: int
    size: int
    recorded: int | str
    modelled: int | str

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "call": self.call,
            "address": self.address,
            "size": self.size,
            "recorded": self.recorded,
            "modelled": self.modelled,
        }

    def __str__(self) -> str:
        return (
            f"{self.call}({self.address:#x}, {self.size}): recorded {_shown(self.recorded)}, "
            f"modelled {_shown(self.modelled)}"
        )


def _shown(answer: int | str) -> str:
    if isinstance(answer, str):
        return answer
    return hex(answer) if answer else "a refusal"


@dataclass(slots=True)
class Agreement:
    """How the simulated system's answers compare, by kind; the first of each kind but the same."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, list[DifferentAnswer]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no answer differed in substance."""
        return not self.counts[DIFFERENT]

    def note(self, kind: str, call: str, v: int, n: int, recorded: Answer, modelled: Answer) -> None:
        """Counts one call."""
        self.counts[kind] += 1
        if kind != SAME:
            kept = self.first.setdefault(kind, [])
            if len(kept) < KEPT:
                kept.append(DifferentAnswer(call, v, n, _plain(recorded), _plain(modelled)))

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            **{kind: self.counts[kind] for kind in KINDS},
            "first": {kind: [c.document() for c in calls] for kind, calls in sorted(self.first.items())},
        }


def _plain(answer: Answer) -> int | str:
    return f"errno={answer.number}" if isinstance(answer, Errno) else answer
