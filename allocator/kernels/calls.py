"""System calls of memory as values, and what answers them: simulated kernels, or a file of real answers.

What the runtime makes of an answer is not a kernel's business. Kernels that answer from what a real
program was answered are in `allocator.kernels.answers`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from allocator.kernels.system import Answer, Errno

NAMES = {
    1: "EPERM",
    9: "EBADF",
    11: "EAGAIN",
    12: "ENOMEM",
    13: "EACCES",
    17: "EEXIST",
    22: "EINVAL",
    38: "ENOSYS",
}

# Advice, under the names that tracers print.
FREE = "MADV_FREE"
DONTNEED = "MADV_DONTNEED"
HUGEPAGE = "MADV_HUGEPAGE"
NOHUGEPAGE = "MADV_NOHUGEPAGE"
COLLAPSE = "MADV_COLLAPSE"
FREE_REUSABLE = "MADV_FREE_REUSABLE"
FREE_REUSE = "MADV_FREE_REUSE"


class Call(NamedTuple):
    """One call: its name, the address (0: none given) and bytes, the rest of what was asked, the answer.

    `name` is map, unmap, advise, protect, name, brk, or a call of Windows' own. `access` is "rw" or "-" of
    a map or protect, the advice of an advise, what a name calls the memory; `fixed` tells of a map whether
    it insists on the address.
    """

    name: str
    address: int
    size: int
    access: str
    fixed: bool
    answer: Answer

    @property
    def reserves(self) -> bool:
        """Whether it got addresses without access, where the system pleased."""
        asked = self.name == "map" and self.access == "-" and not self.fixed
        return asked and not isinstance(self.answer, Errno)

    def row(self) -> list[str | int]:
        """The call as files of system calls have it: addresses in hexadecimal, errnos by name."""
        answer = self.answer
        if isinstance(answer, Errno):
            shown = NAMES.get(answer.number, f"errno {answer.number}")
        else:
            shown = hex(answer) if self.name in ("map", "brk", "VirtualAlloc") else str(answer)
        if self.name == "brk":
            return ["brk", hex(self.address) if self.address else "NULL", shown]
        row: list[str | int] = [self.name, hex(self.address), self.size]
        if self.access:
            row.append(self.access)
        if self.name == "map":
            row.append("fixed" if self.fixed else "-")
        return [*row, shown]


class Kernel(Protocol):
    """What an mmap system answers. Addresses and sizes in bytes; `log` has every call in order."""

    log: list[Call]

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False) -> Answer:
        """Anonymous private memory at v (0: anywhere), readable and writable or without access."""
        ...

    def munmap(self, v: int, n: int) -> Answer:
        """0 or an errno."""
        ...

    def madvise(self, v: int, n: int, advice: str) -> Answer:
        """0 or an errno."""
        ...

    def mprotect(self, v: int, n: int, access: bool) -> Answer:
        """0 or an errno."""
        ...

    def name_mapping(self, v: int, n: int, name: str) -> Answer:
        """0 or an errno: EINVAL where the kernel keeps no names."""
        ...

    def brk(self) -> int:
        """The process's break, without moving it."""
        ...
