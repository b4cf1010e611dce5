"""mem_windows.go: reserve, commit, decommit, release."""

from __future__ import annotations

from collections.abc import Callable

from allocator.common.throw import Throw
from allocator.contiguous.mem import System
from allocator.kernels.system import Answer, Errno
from allocator.kernels.windows import INVALID_PARAMETER, Windows

SMALLEST_PIECE = 4096  # where the halving stops


class MemWindows(System):
    """The helpers of windows."""

    counts_failed_alloc = True

    def __init__(self, kernel: Windows, name: str = "windows") -> None:
        super().__init__(kernel, name)
        self.kernel: Windows = kernel

    def _commit(self, v: int, n: int, forced: Answer | None) -> Answer:
        return self.kernel.virtual_alloc(v, n, reserve=False, commit=True, forced=forced)

    def _decommit(self, v: int, n: int, forced: Answer | None) -> Answer:
        return self.kernel.virtual_free(v, n, release=False, forced=forced)

    def _reserve(self, v: int, n: int, commit: bool, forced: Answer | None) -> Answer:
        return self.kernel.virtual_alloc(v, n, reserve=True, commit=commit, forced=forced)

    def sys_alloc(self, n: int, stat: str) -> int:
        p = self._reserve(0, n, True, self.planned("sysAlloc", 0, n))
        return 0 if isinstance(p, Errno) else p

    def sys_free(self, v: int, n: int) -> None:
        forced = self.planned("sysFree", v, n)
        failed = forced if isinstance(forced, Errno) else self.kernel.virtual_free(v, 0, release=True)
        if isinstance(failed, Errno):
            self._print_failure("VirtualFree", n, failed)
            raise Throw("runtime: failed to release pages")

    def unused_at(self, v: int, n: int) -> Answer:
        return self._piecewise(v, n, self._decommit, self.planned("sysUnused", v, n))

    def judge_unused(self, v: int, n: int, answer: Answer) -> None:
        if isinstance(answer, Errno):
            self._print_failure("VirtualFree", n % SMALLEST_PIECE, answer)
            raise Throw("runtime: failed to decommit pages")

    def sys_fault(self, v: int, n: int) -> None:
        self.judge_unused(v, n, self._piecewise(v, n, self._decommit, self.planned("sysFault", v, n)))

    def used_at(self, v: int, n: int) -> Answer:
        return self._piecewise(v, n, self._commit, self.planned("sysUsed", v, n))

    def judge_used(self, v: int, n: int, answer: Answer) -> None:
        if isinstance(answer, Errno):
            self._print_failure("VirtualAlloc", n % SMALLEST_PIECE, answer)
            raise Throw("runtime: failed to commit pages")

    @staticmethod
    def _piecewise(
        v: int, n: int, call: Callable[[int, int, Answer | None], Answer], forced: Answer | None
    ) -> Answer:
        """The halving of sysUnused and sysUsed: ever smaller pieces, each within one allocation.

        v is a multiple of SMALLEST_PIECE. Returns v, or the error that the last and smallest
        piece met; the runtime prints as that piece's size what the halving left, which for whole
        pages is 0.
        """
        start, left = v, n
        while left > 0:
            small = left
            answer: Answer = INVALID_PARAMETER
            while small >= SMALLEST_PIECE:
                answer = call(start, small, forced)
                if not isinstance(answer, Errno):
                    break
                small = small // 2 & -SMALLEST_PIECE
            if small < SMALLEST_PIECE:
                assert isinstance(answer, Errno)
                return answer
            start += small
            left -= small
        return v

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        forced = self.planned("sysReserve", v, n)
        p = self._reserve(v, n, False, forced)
        if isinstance(p, Errno):
            p = self._reserve(0, n, False, forced)
        return 0 if isinstance(p, Errno) else p, True

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        return self._commit(v, n, self.planned("sysMap", v, n))

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        if answer != v:
            self._print_failure("VirtualAlloc", n, answer if isinstance(answer, Errno) else Errno(0))
            raise Throw("runtime: cannot map pages in arena address space")

    def _print_failure(self, call: str, n: int, error: Errno) -> None:
        self.printed.append(f"runtime: {call} of {n} bytes failed with errno={error.number}")
