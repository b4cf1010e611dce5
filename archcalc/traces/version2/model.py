"""A recording of version 2 on a simulated kernel, whose answers are compared with those on record.

System calls are compared here, not the runtime's helpers: what the runtime makes of an answer is the
machine's own business. What the recorder itself mapped is not in the recording; its size is in the header.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from allocator.kernels.system import Answer, Errno
from archcalc.traces.answers import DIFFERENT, ELSEWHERE, NEIGHBOUR, SAME, Agreement
from archcalc.traces.reader import Header
from archcalc.traces.version2.follow import Companion
from archcalc.traces.version2.replayer import SparseReplayer


class ModelledCompanion(Companion):
    """Follows a machine whose kernel is `model`, a simulated one; `limited` where it has a limit."""

    def prepare(self) -> None:
        super().prepare()
        self.model: Any = None
        self.limited = False
        self.answers = Agreement()

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False) -> Answer:
        recorded = super().mmap(v, n, access, fixed)
        mine: Answer = self.model.mmap(v, n, access, fixed)
        if mine == recorded:
            self.answers.note(SAME, "mmap", v, n, recorded, mine)
        elif not isinstance(mine, Errno) and not isinstance(recorded, Errno) and not fixed:
            self.answers.note(ELSEWHERE, "mmap", v, n, recorded, mine)
            self.model.munmap(mine, n)
            self.model.mmap(recorded, n, access, True)
        elif not isinstance(mine, Errno) and not fixed and not self.limited:
            self.answers.note(NEIGHBOUR, "mmap", v, n, recorded, mine)
            self.model.munmap(mine, n)
        else:
            self.answers.note(DIFFERENT, "mmap", v, n, recorded, mine)
            return mine
        return recorded

    def munmap(self, v: int, n: int) -> Answer:
        return self._same_of("munmap", v, n, super().munmap(v, n), self.model.munmap(v, n))

    def madvise(self, v: int, n: int, advice: str) -> Answer:
        return self._same_of("madvise", v, n, super().madvise(v, n, advice), self.model.madvise(v, n, advice))

    def mprotect(self, v: int, n: int, access: bool) -> Answer:
        return self._same_of(
            "mprotect", v, n, super().mprotect(v, n, access), self.model.mprotect(v, n, access)
        )

    def brk(self) -> int:
        recorded = super().brk()
        mine = self.model.brk()
        self.answers.note(SAME if mine == recorded else ELSEWHERE, "brk", 0, 0, recorded, mine)
        return recorded

    def _same_of(self, call: str, v: int, n: int, recorded: Answer, mine: Answer) -> Answer:
        """The simulated answer, which is to be the recorded one."""
        self.answers.note(SAME if mine == recorded else DIFFERENT, call, v, n, recorded, mine)
        return mine


class ModelSparseReplayer(SparseReplayer):
    """A replay whose kernel is simulated."""

    follower: ModelledCompanion
    following = ModelledCompanion

    def __init__(
        self,
        path: Path,
        config_for: Callable[[Header], Any],
        kernel_for: Callable[[Header], Any],
        keep_going: bool = False,
    ) -> None:
        super().__init__(path, config_for, keep_going)
        self.kernel_for = kernel_for

    @property
    def answers(self) -> Agreement:
        """How the answers compare."""
        return self.follower.answers

    def _init(self, words: list[str]) -> None:
        self.follower.model = self.kernel_for(self.header)
        self.follower.limited = self.header.ulimit_v is not None
        super()._init(words)
