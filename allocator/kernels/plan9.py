"""Plan 9: mem_plan9.go. One segment that grows at its end, and a free list of what came back.

Hints mean nothing: memory is where the break is. sysReserve takes real memory, so
sysMap has nothing left to do, and neither has sysUnused.
"""

from __future__ import annotations

from bisect import bisect_left

from allocator.kernels.address_space import MAPPED, AddressSpace
from allocator.kernels.machine import Machine
from allocator.kernels.system import Answer, Errno, System

PAGE_SIZE = 0x1000  # _PAGESIZE of defs_plan9_*.go, on every architecture


class Plan9(System):
    """mem_plan9.go; `bloc` is the runtime's idea of the break."""

    name = "plan9"
    limits = frozenset({"segment_limit", "commit_limit"})

    def __init__(self, machine: Machine, *, ptr_size: int = 8) -> None:
        """A process on `machine`, whose break starts behind data_end (initBloc)."""
        super().__init__()
        self.machine = machine
        self.end = min(machine.end, 1 << 8 * ptr_size)
        self._mask = (1 << 8 * ptr_size) - 1
        self.space = AddressSpace(machine.occupied)
        self.bloc = self._start = self._round(max(machine.data_end, machine.low))
        # memFreelist: addresses in ascending order, and the blocks' sizes.
        self._free: list[int] = []
        self._free_sizes: list[int] = []

    @property
    def free_blocks(self) -> list[tuple[int, int]]:
        """memFreelist as (address, size), in ascending order."""
        return list(zip(self._free, self._free_sizes, strict=True))

    def _round(self, n: int) -> int:
        """memRound, which wraps at the word size."""
        return (n + PAGE_SIZE - 1) & -PAGE_SIZE & self._mask

    def _brk(self, address: int) -> bool:
        """brk_: whether the kernel lets the segment end there."""
        m = self.machine
        if address < self.bloc or address > self.end:
            return False
        size = address - self._start
        if m.segment_limit is not None and size > m.segment_limit:
            return False
        if m.commit_limit is not None and m.committed + size > m.commit_limit:
            return False
        return self.space.is_free(self.bloc, address)

    def _sbrk(self, n: int) -> int:
        old = self.bloc
        n = self._round(n)
        if not self._brk((old + n) & self._mask):
            return 0
        self.space.place(old, old + n, MAPPED)
        self.bloc = old + n
        return old

    def _mem_alloc(self, n: int) -> int:
        """memAlloc: the first free block that is large enough, cut at its end; else the break."""
        n = self._round(n)
        sizes = self._free_sizes
        for i, size in enumerate(sizes):
            if size == n:
                del sizes[i]
                return self._free.pop(i)
            if size > n:
                sizes[i] = size - n
                return self._free[i] + sizes[i]
        return self._sbrk(n)

    def _mem_free(self, v: int, n: int) -> None:
        """memFree: back into the list in its place, joined with neighbours that it touches."""
        free, sizes = self._free, self._free_sizes
        size = self._round(n)
        i = bisect_left(free, v)
        if i < len(free) and v + size == free[i]:
            free[i] = v
            sizes[i] += size
        else:
            free.insert(i, v)
            sizes.insert(i, size)
        if i and free[i - 1] + sizes[i - 1] == v:
            sizes[i - 1] += sizes[i]
            del free[i], sizes[i]

    def _take(self, call: str, v: int, n: int) -> int:
        forced = self.planned(call, v, n)
        if isinstance(forced, Errno):
            return 0
        if forced is not None:
            self.space.place(forced, forced + self._round(n), MAPPED)
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
