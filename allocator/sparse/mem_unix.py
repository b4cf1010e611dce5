"""What the systems with mmap have in common, without linux' own ways (mem_bsd.go, mem_darwin.go, mem_aix.go).

The three differ in what sysUnused advises, and in how a reservation becomes usable.
"""

from __future__ import annotations

from allocator.common.throw import Exit, Throw
from allocator.kernels.calls import DONTNEED, FREE, FREE_REUSABLE, FREE_REUSE, Kernel
from allocator.kernels.posix import EACCES, EAGAIN, ENOMEM
from allocator.kernels.system import Errno
from allocator.sparse.config import Config
from allocator.sparse.memory_of_system import MemoryOfSystem


class MemBsd(MemoryOfSystem):
    """mem_bsd.go: dragonfly, freebsd, netbsd, openbsd, solaris and illumos. `out_of_memory` are the errnos
    that sysMap takes for that."""

    advice_unused = FREE
    out_of_memory: frozenset[int] = frozenset({ENOMEM})

    SETTINGS = frozenset({"madvdontneed"})

    def __init__(self, config: Config, kernel: Kernel) -> None:
        super().__init__()
        self.config = config
        self.kernel = kernel
        self.dontneed = False

    def set_debug(self, name: str, value: int) -> None:
        self.dontneed = bool(value)

    def alloc(self, n: int, name: str) -> int:
        p = self.kernel.mmap(0, n, True)
        return 0 if isinstance(p, Errno) else p

    def free(self, v: int, n: int) -> None:
        self.kernel.munmap(v, n)

    def reserve(self, v: int, n: int, name: str) -> int:
        p = self.kernel.mmap(v, n, False)
        return 0 if isinstance(p, Errno) else p

    def map(self, v: int, n: int, name: str) -> None:
        p = self.kernel.mmap(v, n, True, True)
        if p == v:
            return
        if isinstance(p, Errno) and p.number in self.out_of_memory:
            raise Throw("runtime: out of memory")
        address, errno = (0, p.number) if isinstance(p, Errno) else (p, 0)
        self.printed.append(f"runtime: mmap({v:#x}, {n}) returned {address:#x}, {errno}")
        raise Throw("runtime: cannot map pages in arena address space")

    def unused(self, v: int, n: int) -> None:
        self.kernel.madvise(v, n, DONTNEED if self.dontneed else self.advice_unused)

    def fault(self, v: int, n: int) -> None:
        self.kernel.mmap(v, n, False, True)


class MemSolaris(MemBsd):
    """mem_bsd.go on solaris and illumos, which say EAGAIN where no swap is left."""

    out_of_memory = frozenset({ENOMEM, EAGAIN})


class MemDarwin(MemBsd):
    """mem_darwin.go: darwin and ios. The kernel keeps count of what may be reused."""

    SETTINGS = frozenset()
    advice_unused = FREE_REUSABLE

    def used(self, v: int, n: int) -> None:
        self.kernel.madvise(v, n, FREE_REUSE)


class MemAix(MemBsd):
    """mem_aix.go: nothing can be mapped over a mapping, so a reservation is only unprotected."""

    SETTINGS = frozenset()
    advice_unused = DONTNEED

    def alloc(self, n: int, name: str) -> int:
        p = self.kernel.mmap(0, n, True)
        if isinstance(p, Errno):
            lines = {
                EACCES: "runtime: mmap: access denied",
                EAGAIN: "runtime: mmap: too much locked memory (check 'ulimit -l').",
            }
            if p.number in lines:
                self.printed.append(lines[p.number])
                raise Exit(lines[p.number])
            return 0
        return p

    def map(self, v: int, n: int, name: str) -> None:
        answer = self.kernel.mprotect(v, n, True)
        if answer == 0:
            return
        errno = answer.number if isinstance(answer, Errno) else 0
        if errno == ENOMEM:
            raise Throw("runtime: out of memory")
        self.printed.append(f"runtime: mprotect({v:#x}, {n}) returned {errno}")
        raise Throw("runtime: cannot map pages in arena address space")
