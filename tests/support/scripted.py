"""An operating system that does as it is told, for tests of what the allocator makes of its answers."""

from __future__ import annotations

from collections.abc import Callable

from allocator.common.throw import Throw
from allocator.contiguous.mem import System
from allocator.kernels.system import Answer

PAGE = 4096


class Scripted(System):
    """Gives what it is asked for where it is asked, unless `reserve` or `alloc` say otherwise.

    Both are called with the size (and hint) and may return an address, 0 for a refusal, or None.
    `calls` has everything that was asked, in order, in the words of a recording.
    """

    def __init__(self, somewhere: int = 0x7F00_0000_0000) -> None:
        super().__init__(name="scripted")
        self.somewhere = somewhere
        self.reserve: Callable[[int, int], int | None] = lambda v, n: None
        self.alloc: Callable[[int], int | None] = lambda n: None
        self.really_reserved = False
        self.calls: list[tuple[str | int, ...]] = []

    def sys_alloc(self, n: int, stat: str) -> int:
        answer = self.alloc(n)
        if answer is None:
            answer = self.somewhere
            self.somewhere += (n + PAGE - 1) & -PAGE
        self.calls.append(("Y", n, answer))
        return answer

    def sys_free(self, v: int, n: int) -> None:
        self.calls.append(("O", v, n))

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        answer = self.reserve(v, n)
        p = v if answer is None else answer
        self.calls.append(("R", v, n, p))
        return p, self.really_reserved if p else None

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        self.calls.append(("M", v, n))
        return v

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        if answer != v:
            raise Throw("runtime: out of memory")

    def asked(self, kind: str) -> list[tuple[str | int, ...]]:
        """The calls of one kind."""
        return [call for call in self.calls if call[0] == kind]
