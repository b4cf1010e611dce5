"""mem_plan9.go: one segment that grows at its end, and a free list of what came back.

Hints mean nothing: memory is where the break is. sysReserve takes real memory, so sysMap has nothing left
to do, and neither has sysUnused.
"""

from __future__ import annotations

from allocator.common.mem_free_list import MemFreeList
from allocator.contiguous.mem import System
from allocator.kernels.brk import Break
from allocator.kernels.machine import Machine
from allocator.kernels.system import Answer, Errno

PAGE_SIZE = 0x1000  # _PAGESIZE of defs_plan9_*.go, on every architecture


def first_bloc(machine: Machine, ptr_size: int) -> int:
    """Where initBloc finds the break: after the program's data."""
    return mem_round(max(machine.data_end, machine.low), ptr_size)


def mem_round(n: int, ptr_size: int) -> int:
    """memRound, which wraps at the word size."""
    return (n + PAGE_SIZE - 1) & -PAGE_SIZE & ((1 << 8 * ptr_size) - 1)


class MemPlan9(System):
    """The helpers of plan9; `bloc` is the runtime's idea of the break."""

    def __init__(self, kernel: Break, name: str = "plan9") -> None:
        super().__init__(kernel, name)
        self.kernel: Break = kernel
        self.ptr_size = kernel.ptr_size
        self.bloc = kernel.at
        self._free = MemFreeList()

    @property
    def free_blocks(self) -> list[tuple[int, int]]:
        """memFreelist as (address, size), in ascending order."""
        return self._free.blocks

    def _sbrk(self, n: int) -> int:
        old = self.bloc
        n = mem_round(n, self.ptr_size)
        if not self.kernel.set_brk((old + n) & ((1 << 8 * self.ptr_size) - 1)):
            return 0
        self.bloc = old + n
        return old

    def _mem_alloc(self, n: int) -> int:
        """memAlloc: the first free block that is large enough, cut at its end; else the break."""
        return self._free.take(mem_round(n, self.ptr_size)) or self._sbrk(n)

    def _mem_free(self, v: int, n: int) -> None:
        """memFree: back into the list."""
        size = mem_round(n, self.ptr_size)
        self._free.give_back(v, size)

    def _take(self, call: str, v: int, n: int) -> int:
        forced = self.planned(call, v, n)
        if isinstance(forced, Errno):
            return 0
        if forced == self.bloc and self._sbrk(n):
            return forced
        if forced is not None:
            self.kernel.grant(forced, mem_round(n, self.ptr_size))
            return forced
        return self._mem_alloc(n)

    def sys_alloc(self, n: int, stat: str) -> int:
        return self._take("sysAlloc", 0, n)

    def sys_free(self, v: int, n: int) -> None:
        # memFree cannot fail, so a plan has nothing to say here.
        self._mem_free(v, n)

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        return self._take("sysReserve", v, n), True

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        # sysMap only keeps the statistics.
        return v

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        """There is nothing to judge: whatever the answer, sysMap looks at none."""
