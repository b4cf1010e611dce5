"""What a recording of version 2 says next: the records of the request that is carried out, each expected."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archcalc.traces.records.version2 import ERRNO
from archcalc.traces.version2.turns import Placed, Turn

if TYPE_CHECKING:
    from allocator.sparse.runtime import Runtime

ERRNO_OF = {name: number for number, name in ERRNO.items()}
ERRNO_ENDS = {name[-1] for name in ERRNO_OF}  # no address ends so: these are capitals
FOR_OTHERS = frozenset("NsSMp")  # records that may be for another part of the runtime
ONLY_HERE = frozenset("+-bQCDEH)")  # and such as never are
CHANGES = frozenset("HDCEun")  # what changes the scavenger's index, under the heap's lock

Differs = Callable[[Placed | None, str], None]


@dataclass(slots=True)
class FoundEarly:
    """A chunk that the scavenger found because of what another thread was doing with the heap's lock."""

    told: tuple[int, int] | None
    force: bool
    placed: Placed
    changes: int = 0  # of the index, since then


class RecordsAhead:
    """The records of the request that is carried out `now`, and what goes on around it."""

    def __init__(
        self,
        differs: Differs,
        requests: Callable[[Placed], None],
        nested: Callable[[Placed, deque[Placed]], None],
    ) -> None:
        self.differs = differs
        self.requests = requests
        self.nested = nested
        self.prepare()

    def prepare(self) -> None:
        """What there is before the first record. Each kind of steps adds its own."""
        self.threads: Callable[[], Sized] = tuple  # those on record
        self.now = Turn(deque())
        self.outside = False  # what is asked for now is not for the allocator itself
        self._early: list[FoundEarly] = []
        self.unordered = 0
        self._split: tuple[str, list[str]] = "", [""]  # the line that was split last
        self.core: Runtime  # from mallocinit on

    def expect(self, found: str) -> None:
        """The next record is this one, or that is a difference."""
        now = self.now
        if now.lines[now.at] == found and not self._early:
            now.at += 1
            return
        if now.records and now.records[0][1] == found and not self._early:
            now.drop()
            return
        self.next()
        placed = self.now.take()
        if placed is None or placed[1] != found:
            self.differs(placed, found)
        elif self._early:
            self._changed(found)

    def next(self) -> str:
        """The next record, which stays; empty where there is none."""
        now = self.now
        line = now.lines[now.at] or (now.records[0][1] if now.records else "")
        if line and line[0] not in FOR_OTHERS and line[:7] != "( stack" and not self._early:
            return line
        while (placed := self.now.peek()) is not None:
            if self._early:
                self._settle()
            line = placed[1]
            if line[0] == "N":  # what a mapping is called is nothing that a machine knows
                self.now.take()
            elif line[0] in "sSp" or (line[:7] == "( stack" and line[7:12] != "clear"):
                # Any function of the runtime may find its own stack too small, and who gives a lock back
                # that others waited for may note that in a profile.
                self.now.take()
                self.nested(placed, deque())
            elif line[:4] == "M 0 " and line[-1] not in ERRNO_ENDS and self._for_others():
                continue
            else:
                return line
        return ""

    def _words(self) -> list[str]:
        """The fields of the next record, which stays."""
        line = self.next()
        if line is not self._split[0]:
            self._split = line, line.split(" ")
        return self._split[1]

    def _for_others(self) -> bool:
        """Carries out what another part of the runtime asks the system for inside a request, if that is next.

        The tracer writes down what the allocator does, and its buffer may be full; or the profiles' memory.
        """
        behind = 1
        while (placed := self.now.ahead(behind)) is not None and placed[1][0] == "N":
            behind += 1
        if placed is None or placed[1][0] not in "Yp":
            return False
        records = deque(self.now.take() for _ in range(behind))
        self.now.take()
        self.nested(placed, deque(one for one in records if one is not None))
        return True

    def _settle(self) -> None:
        """What was found early may be so by now."""
        index = self.core.pages.index
        for one in self._early[:]:
            if index.look(one.force) == one.told:
                index.move(one.force, one.told)
                self.unordered += 1
                self._early.remove(one)

    def _changed(self, line: str) -> None:
        """The index was changed: it must be that change, or the one before, that was seen early."""
        for one in self._early[:]:
            one.changes += line[0] in CHANGES and (line[0] != "H" or " h " in line)
            if one.changes > 1:
                self._early.remove(one)
                self.differs(one.placed, "another chunk, or none")

    def _who(self) -> str:
        p = self.core.current_p
        return "-" if p is None else str(p)
