"""Plan 9 and WebAssembly: a break that only rises, and a free list below it (mem_sbrk.go).

`bloc` is the runtime's idea of the break and may sink again; `bloc_max` is the system's and may not.
What is freed in between goes to a list in the order of addresses. A reservation is real memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from allocator.common.mem_free_list import MemFreeList
from allocator.sparse.config import Config
from allocator.sparse.memory_of_system import MemoryOfSystem


class BreakKernel(Protocol):
    """A system that can move the break up."""

    def set_brk(self, p: int) -> bool:
        """Whether the break is at p now."""
        ...


class MemSbrk(MemoryOfSystem):
    """The helpers of plan9, js and wasip1."""

    def __init__(self, config: Config, kernel: BreakKernel) -> None:
        super().__init__()
        self.kernel = kernel
        self.page = config.phys_page_size
        self.mask = config.uintptr_mask
        self.bloc = self.bloc_max = self._round(config.data_end)
        self.freed = MemFreeList()

    def _round(self, n: int) -> int:
        """memRound."""
        return (n + self.page - 1) & -self.page

    def _sbrk(self, n: int) -> int:
        old = self.bloc
        # An end beyond the address space wraps, and then seems to be there already.
        end = (old + self._round(n)) & self.mask
        if end > self.bloc_max:
            if not self.kernel.set_brk(end):
                return 0
            self.bloc_max = end
        self.bloc = end
        return old

    def _from_list(self, n: int) -> int:
        """The end of the first block that is large enough; 0 for none (memAllocNoGrow)."""
        return self.freed.take(self._round(n))

    def _to_list(self, v: int, n: int) -> None:
        """Back into the list (memFree)."""
        self.freed.give_back(v, self._round(n))

    def unsound(self, used: Iterable[tuple[int, int]]) -> Iterator[str]:
        """What is wrong with the break and the free list, beside memory in use: (address, bytes) each."""
        top = getattr(self.kernel, "at", self.bloc)
        if not self.bloc <= self.bloc_max <= top:
            yield f"the runtime's break is {self.bloc:#x}, the system's {top:#x}"
        end = 0
        for at, size in self.freed.blocks:
            if at <= end or size <= 0 or (at | size) & (self.page - 1):
                yield f"the free block at {at:#x} touches another one, or is not of whole pages"
            end = at + size
        if end > self.bloc:
            yield f"the free block that ends at {end:#x} lies above the break"
        end = 0
        for v, n in sorted(used):
            if v < end:
                yield f"{n} bytes at {v:#x} are in use twice"
            end = v + n
            if v + n > self.bloc:
                yield f"{n} bytes at {v:#x} are in use, and lie above the break"
            if any(at < v + n and v < at + size for at, size in self.freed.blocks):
                yield f"{n} bytes at {v:#x} are in use, and free"

    def alloc(self, n: int, name: str) -> int:
        return self._from_list(n) or self._sbrk(n)

    def free(self, v: int, n: int) -> None:
        if not v:
            return
        if (v + n) & self.mask == self.bloc:
            self.bloc = (self.bloc - n) & self.mask
        else:
            self._to_list(v, n)

    def reserve(self, v: int, n: int, name: str) -> int:
        p = 0
        if v == self.bloc:
            p = self._sbrk(n)
        if not p and not v:
            p = self.alloc(n, name)
        return p

    def map(self, v: int, n: int, name: str) -> None:
        """Nothing: it is memory already."""

    def reserve_aligned_sbrk(self, size: int, align: int) -> tuple[int, int]:
        base = self._from_list((size + align) & self.mask)
        if base:
            start = (base + align - 1) & -align
            if start > base:
                self._to_list(base, start - base)
            if base + align > start:
                self._to_list(start + size, base + align - start)
            return start, size
        p = (self.bloc + align - 1) & -align
        r = self._sbrk((p + size - self.bloc) & self.mask)
        if not r:
            return 0, 0
        if p > r:
            self._to_list(r, p - r)
        return p, size
