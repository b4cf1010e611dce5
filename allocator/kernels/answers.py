"""A kernel that answers what a real program was answered, and compares what it is asked.

The list has a program's memory calls in order. Each question is compared with the next one; where it
differs, that is noted, and as long as it is a call of the same name the recorded answer is given, so
that one difference stays one. A question of another name ends the comparison: nothing after it can
be told apart. So does a question after the list's end, which may be cut short.
"""

from __future__ import annotations

from dataclasses import dataclass

from allocator.kernels.calls import Call
from allocator.kernels.system import Answer, Errno


class EndOfAnswers(Exception):
    """There is no further recorded call, or none that the question could belong to."""


@dataclass(frozen=True, slots=True)
class CallDifference:
    """The call at `place` (from 0) of the list, and what was asked there; None where there is none."""

    place: int
    recorded: Call | None
    asked: Call | None


class Answers:
    """The recorded calls, of which the first `place` have been asked for.

    `addresses_known`: whether the list has the addresses that maps asked for. Some tracers print
    where the arguments lie instead; then only a fixed map's answer shows what was asked.
    """

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls
        self.place = 0
        self.differences: list[CallDifference] = []
        self.log: list[Call] = []
        self.stopped = False  # by a question of another name than the next call's
        self.beyond: Call | None = None  # the question after the list's end
        self.addresses_known = all(
            call.answer == call.address
            for call in calls
            if call.name == "map" and call.fixed and not isinstance(call.answer, Errno)
        )

    @property
    def unasked(self) -> int:
        """How many recorded calls were not asked for."""
        return len(self.calls) - self.place

    def peek(self) -> Call | None:
        """The next recorded call."""
        return self.calls[self.place] if self.place < len(self.calls) else None

    def ahead(self, most: int) -> list[Call]:
        """The next recorded calls, so many at most."""
        return self.calls[self.place : self.place + most]

    def pass_over(self) -> None:
        """Takes the next recorded call as given: it is the program's doing that it was made."""
        self.log.append(self.calls[self.place])
        self.place += 1

    def _take(self, asked: Call) -> Answer:
        recorded = self.peek()
        if recorded is None:
            self.beyond = asked
            raise EndOfAnswers
        if recorded.name != asked.name:
            self.differences.append(CallDifference(self.place, recorded, asked))
            self.stopped = True
            raise EndOfAnswers
        if not self._same(recorded, asked):
            self.differences.append(CallDifference(self.place, recorded, asked))
        self.place += 1
        self.log.append(asked._replace(answer=recorded.answer))
        return recorded.answer

    def _same(self, recorded: Call, asked: Call) -> bool:
        if recorded[2:5] != asked[2:5]:
            return False
        if recorded.name != "map" or self.addresses_known:
            return recorded.address == asked.address
        return not asked.fixed or isinstance(recorded.answer, Errno) or recorded.answer == asked.address

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False) -> Answer:
        """The answer of the next map."""
        return self._take(Call("map", v, n, "rw" if access else "-", fixed, 0))

    def munmap(self, v: int, n: int) -> Answer:
        """The answer of the next unmap."""
        return self._take(Call("unmap", v, n, "", False, 0))

    def madvise(self, v: int, n: int, advice: str) -> Answer:
        """The answer of the next advise."""
        return self._take(Call("advise", v, n, advice, False, 0))

    def mprotect(self, v: int, n: int, access: bool) -> Answer:
        """The answer of the next protect."""
        return self._take(Call("protect", v, n, "rw" if access else "-", False, 0))

    def name_mapping(self, v: int, n: int, name: str) -> Answer:
        """The answer of the next name."""
        return self._take(Call("name", v, n, name, False, 0))

    def brk(self) -> int:
        """The answer of the next brk."""
        answer = self._take(Call("brk", 0, 0, "", False, 0))
        return 0 if isinstance(answer, Errno) else answer
