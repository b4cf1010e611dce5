"""The calls that today's runtime makes of a system, as plain questions with plain answers.

A `Kernel` answers mmap and its kin: an address or 0 for success, an `Errno` for a refusal. What
the runtime makes of an answer is no business of a kernel. `Unix` asks a simulated system;
`allocator.kernels.answers` has one that answers from what a real program was answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from allocator.kernels.address_space import MAPPED, RESERVED, AddressSpace, Range
from allocator.kernels.machine import Machine
from allocator.kernels.posix import EINVAL, Posix
from allocator.kernels.system import Answer, Errno, Plan

if TYPE_CHECKING:
    from allocator.kernels.windows import Windows

ENOMEM = Errno(12)
COMMITMENT_LIMIT = Errno(1455)
NAMES = {1: "EPERM", 11: "EAGAIN", 12: "ENOMEM", 13: "EACCES", 17: "EEXIST", 22: "EINVAL", 38: "ENOSYS"}

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

    `name` is map, unmap, advise, protect, brk, or a call of Windows' own. `access` is "rw" or "-" of a
    map or protect, the advice of an advise; `fixed` tells of a map whether it insists on the address.
    """

    name: str
    address: int
    size: int
    access: str
    fixed: bool
    answer: Answer

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

    def brk(self) -> int:
        """Where the process's break is, without moving it."""
        ...


class Unix:
    """A simulated system behind its plain calls."""

    refusal = ENOMEM

    def __init__(self, system: Posix) -> None:
        self.system = system
        self.plan: Plan | None = None  # what it answers in place of what it would
        self.log: list[Call] = []
        self.overwritten: list[Range] = []  # mappings of the program's own that a fixed mapping replaced

    @property
    def space(self) -> AddressSpace:
        """The process's address space."""
        return self.system.space

    @property
    def program_bytes(self) -> int:
        """What the program itself takes of the address space."""
        return self.system.program_bytes

    @property
    def map_count(self) -> int:
        """How many mappings the process has."""
        return len(self.space) + self.system.machine.image_maps

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False) -> Answer:
        kind = MAPPED if access else RESERVED
        system = self.system
        before = len(system.overwritten)
        helper = "sysMap" if fixed else "sysAlloc" if access else "sysReserve"
        forced = None if self.plan is None else self.plan(helper, v, n)
        p = system._mmap(v, n, kind, fixed, forced)
        self.overwritten += system.overwritten[before:]
        answer: Answer = p if p >= 4096 or (fixed and p == v) else Errno(p)
        self.log.append(Call("map", v, n, "rw" if access else "-", fixed, answer))
        return answer

    def munmap(self, v: int, n: int) -> Answer:
        errno = self.system._munmap(v, n)
        answer: Answer = Errno(errno) if errno else 0
        self.log.append(Call("unmap", v, n, "", False, answer))
        return answer

    def madvise(self, v: int, n: int, advice: str) -> Answer:
        answer = self._advised(v, n, advice)
        self.log.append(Call("advise", v, n, advice, False, answer))
        return answer

    def _advised(self, v: int, n: int, advice: str) -> Answer:
        system = self.system
        if v & (system.page - 1):
            return Errno(EINVAL)
        size = -(-n // system.page) * system.page
        if sum(end - start for start, end, _ in system.space.pieces(v, v + size)) != size:
            return ENOMEM
        system.advise(v, size, advice)
        return 0

    def mprotect(self, v: int, n: int, access: bool) -> Answer:
        answer = self._protected(v, n, MAPPED if access else RESERVED)
        self.log.append(Call("protect", v, n, "rw" if access else "-", False, answer))
        return answer

    def _protected(self, v: int, n: int, kind: int) -> Answer:
        system = self.system
        if v & (system.page - 1):
            return Errno(EINVAL)
        size = -(-n // system.page) * system.page
        pieces = system.space.pieces(v, v + size)
        if sum(end - start for start, end, _ in pieces) != size:
            return ENOMEM
        # Memory that becomes writable is charged like a new mapping, what was writable not again.
        refusal = system._refusal_of_access(v, size, kind)
        if refusal:
            return Errno(refusal)
        system.space.place(v, v + size, kind)
        return 0

    def brk(self) -> int:
        machine = self.system.machine
        p = -(-machine.data_end // machine.page_size) * machine.page_size
        self.log.append(Call("brk", 0, 0, "", False, p))
        return p


class Nt:
    """Windows behind VirtualAlloc and VirtualFree."""

    refusal = COMMITMENT_LIMIT

    def __init__(self, system: Windows) -> None:
        self.system = system
        self.plan: Plan | None = None
        self.log: list[Call] = []

    @property
    def space(self) -> AddressSpace:
        """The process's address space."""
        return self.system.space

    @property
    def committed(self) -> AddressSpace:
        """What is committed of it."""
        return self.system.committed

    @property
    def commit_charge(self) -> int:
        """Bytes that the process has of the machine's commit limit."""
        return self.system.commit_charge

    def virtual_alloc(self, v: int, n: int, *, reserve: bool, commit: bool) -> Answer:
        """VirtualAlloc of n bytes at v (0: anywhere): the address, or an error."""
        system = self.system
        helper = "sysUsed" if not reserve else "sysAlloc" if commit else "sysReserve"
        forced = None if self.plan is None else self.plan(helper, v, n)
        answer = system._reserve(v, n, commit, forced) if reserve else system._commit(v, n, forced)
        what = "reserve,commit" if reserve and commit else "reserve" if reserve else "commit"
        self.log.append(Call("VirtualAlloc", v, n, what, False, answer))
        return answer

    def virtual_free(self, v: int, n: int, *, release: bool) -> Answer:
        """VirtualFree: 0, or an error."""
        system = self.system
        answer = (system._release(v) if release else system._decommit(v, n)) or 0
        self.log.append(Call("VirtualFree", v, n, "release" if release else "decommit", False, answer))
        return answer


class Break:
    """A process of which only the break can be moved, and only up: plan9, and WebAssembly's memory.

    `limit` is the highest break, None where only the end of the address space bounds it.
    """

    refusal = ENOMEM
    plan: Plan | None = None

    def __init__(self, machine: Machine, start: int, limit: int | None = None) -> None:
        self.machine = machine
        self.start = start
        self.at = start
        self.limit = limit
        self.space = AddressSpace(machine.occupied)
        self.log: list[Call] = []

    def set_brk(self, p: int) -> bool:
        """Whether the break is at p now."""
        moved = self._can(p)
        if moved:
            self.space.place(self.at, p, MAPPED)
            self.at = p
        self.log.append(Call("brk", p, 0, "", False, self.at))
        return moved

    def _can(self, p: int) -> bool:
        machine = self.machine
        if p < self.at or p > machine.end or (self.limit is not None and p > self.limit):
            return False
        size = p - self.start
        if machine.segment_limit is not None and size > machine.segment_limit:
            return False
        if machine.commit_limit is not None and machine.committed + size > machine.commit_limit:
            return False
        return self.space.is_free(self.at, p)
