"""Windows: mem_windows.go over VirtualAlloc and VirtualFree. sysMap asks nothing, sysUsed commits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from allocator.common.throw import Throw
from allocator.kernels.system import Answer, Errno
from allocator.kernels.windows import COMMITMENT_LIMIT, NOT_ENOUGH_MEMORY
from allocator.sparse.config import Config
from allocator.sparse.memory_of_system import MemoryOfSystem

SMALLEST_PIECE = 4096  # where the halving stops


class WindowsKernel(Protocol):
    """What windows answers: an address or 0 for success, an error by number."""

    def virtual_alloc(self, v: int, n: int, *, reserve: bool, commit: bool) -> Answer:
        """VirtualAlloc of n bytes at v (0: anywhere)."""
        ...

    def virtual_free(self, v: int, n: int, *, release: bool) -> Answer:
        """VirtualFree: decommits [v, v+n), or releases the whole allocation that begins at v."""
        ...


class MemWindows(MemoryOfSystem):
    """The helpers of windows."""

    def __init__(self, config: Config, kernel: WindowsKernel) -> None:
        super().__init__()
        self.config = config
        self.kernel = kernel

    def alloc(self, n: int, name: str) -> int:
        p = self.kernel.virtual_alloc(0, n, reserve=True, commit=True)
        return 0 if isinstance(p, Errno) else p

    def free(self, v: int, n: int) -> None:
        answer = self.kernel.virtual_free(v, 0, release=True)
        if isinstance(answer, Errno):
            self._print("VirtualFree", n, answer)
            raise Throw("runtime: failed to release pages")

    def reserve(self, v: int, n: int, name: str) -> int:
        # v is only a hint; where that range is not free, any address will do.
        for at in (v, 0):
            p = self.kernel.virtual_alloc(at, n, reserve=True, commit=False)
            if not isinstance(p, Errno):
                return p
        return 0

    def map(self, v: int, n: int, name: str) -> None:
        """Nothing: a reservation is as good as Prepared."""

    def used(self, v: int, n: int) -> None:
        if not isinstance(self.kernel.virtual_alloc(v, n, reserve=False, commit=True), Errno):
            return
        failed = self._piecewise(
            v, n, lambda at, size: self.kernel.virtual_alloc(at, size, reserve=False, commit=True)
        )
        if failed is None:
            return
        error, small = failed
        if error in (NOT_ENOUGH_MEMORY, COMMITMENT_LIMIT):
            self._print("VirtualAlloc", n, error)
            raise Throw("out of memory")
        self._print("VirtualAlloc", small, error)
        raise Throw("runtime: failed to commit pages")

    def unused(self, v: int, n: int) -> None:
        if not isinstance(self.kernel.virtual_free(v, n, release=False), Errno):
            return
        failed = self._piecewise(v, n, lambda at, size: self.kernel.virtual_free(at, size, release=False))
        if failed is not None:
            self._print("VirtualFree", failed[1], failed[0])
            raise Throw("runtime: failed to decommit pages")

    def fault(self, v: int, n: int) -> None:
        self.unused(v, n)

    @staticmethod
    def _piecewise(v: int, n: int, call: Callable[[int, int], Answer]) -> tuple[Errno, int] | None:
        """Ever smaller pieces where one call for all has failed, as a call stays within one allocation.

        None when all is done; else the error that the smallest piece met, and what the halving left
        as its size.
        """
        left = n
        while left > 0:
            small = left
            answer: Answer = Errno(0)
            while small >= SMALLEST_PIECE:
                answer = call(v, small)
                if not isinstance(answer, Errno):
                    break
                small = small // 2 & -SMALLEST_PIECE
            if small < SMALLEST_PIECE:
                assert isinstance(answer, Errno)
                return answer, small
            v += small
            left -= small
        return None

    def _print(self, call: str, n: int, error: Errno) -> None:
        self.printed.append(f"runtime: {call} of {n} bytes failed with errno={error.number}")
