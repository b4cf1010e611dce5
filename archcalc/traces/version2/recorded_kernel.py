"""The kernel of a replay of version 2: the recording is it."""

from __future__ import annotations

from allocator.kernels.system import Answer, Errno
from archcalc.traces.reader import address
from archcalc.traces.records.version2 import ADVICE
from archcalc.traces.version2.records_ahead import ERRNO_OF, RecordsAhead

ADVISED = {f"MADV_{name.upper()}": name for name in ADVICE.values()}


class RecordedKernel(RecordsAhead):
    """Answers each system call as the recording does."""

    def _answer(self, found: str, what: str) -> str:
        """The answer on record, after what was asked."""
        line = self.next()
        if not line.startswith(what):
            self.differs(self.now.peek(), found)
            return "0"
        placed = self.now.take()
        assert placed is not None
        asked, _, answer = line.rpartition(" ")
        if asked != found:
            self.differs(placed, found)
        return answer

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False) -> Answer:
        """What mmap answered."""
        found = f"M {v:x} {n} {'rw' if access else '-'} {'fixed' if fixed else '-'}"
        answer = self._answer(found, "M ")
        return Errno(ERRNO_OF[answer]) if answer in ERRNO_OF else address(answer)

    def munmap(self, v: int, n: int) -> Answer:
        """munmap."""
        self.expect(f"O {v:x} {n}")
        return 0

    def madvise(self, v: int, n: int, advice: str) -> Answer:
        """What madvise answered."""
        answer = self._answer(f"A {v:x} {n} {ADVISED.get(advice, advice)}", "A ")
        if answer != "0" and answer not in ERRNO_OF:
            raise ValueError(f"madvise answered {answer}; expected 0 or an error's name")
        return Errno(ERRNO_OF[answer]) if answer in ERRNO_OF else 0

    def mprotect(self, v: int, n: int, access: bool) -> Answer:
        """mprotect."""
        self.expect(f"G {v:x} {n} {'rw' if access else '-'}")
        return 0

    def brk(self) -> int:
        """Where the break was."""
        return address(self._answer("B", "B"))
