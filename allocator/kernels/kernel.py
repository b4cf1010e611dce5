"""What every simulated kernel has: a machine, the address space of one process on it, and its limits.

A subclass answers the system calls of its family by public methods: mmap and its kin (`posix`),
VirtualAlloc and VirtualFree (`windows`), brk (`brk`). An answer is an address, 0 for success where there
is none, or an `Errno`. What a runtime asks for, and what it makes of an answer, is not a kernel's business.
"""

from __future__ import annotations

from typing import ClassVar

from allocator.kernels.address_space import AddressSpace, Range
from allocator.kernels.calls import Call
from allocator.kernels.contracts import Contract
from allocator.kernels.machine import Machine
from allocator.kernels.system import ENOMEM, Answer, Errno, Plan


class SimulatedKernel:
    """One process's memory on a machine.

    `plan`, where there is one, may give any call's answer; it is asked under the name of the OS helper
    that makes such a call. `log` has every call in order, unless there was to be none.
    """

    name = "?"
    # What this kernel says when it has no memory.
    refusal: Errno = ENOMEM
    # The fields of Machine that this kernel knows as limits; any other is without effect on it.
    limits: ClassVar[frozenset[str]] = frozenset()
    contract: ClassVar[Contract] = Contract()
    # The habits among its fields that this kernel does not have.
    without: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, machine: Machine, ptr_size: int, logs: bool) -> None:
        self.machine = machine
        self.ptr_size = ptr_size
        self.end = min(machine.end, 1 << 8 * ptr_size)
        self.space = AddressSpace(machine.occupied)
        self.plan: Plan | None = None
        self.logs = logs
        self._log: list[Call] = []
        self._noted: list[tuple[str, int, int, str, bool, Answer, str]] = []
        self.overwritten: list[Range] = []  # mappings of others that were silently replaced

    @property
    def program_bytes(self) -> int:
        """What the program itself takes of the address space before its runtime asks for anything."""
        return self.machine.image_bytes

    @property
    def map_count(self) -> int:
        """How many mappings the process has."""
        return len(self.space)

    @property
    def log(self) -> list[Call]:
        """Every call in order. To make a Call takes as long as to answer it, so that waits for a reader."""
        for name, v, n, what, fixed, answer, named in self._noted:
            self._log.append(Call(name, v, n, what, fixed, answer))
            if named and isinstance(answer, int):
                self._log.append(Call("name", answer, n, named, False, 0))
        self._noted.clear()
        return self._log

    def note(
        self, name: str, v: int, n: int, what: str, answer: Answer, fixed: bool = False, named: str = ""
    ) -> None:
        """Adds a call to the log, and one more where what it mapped is then `named`."""
        if self.logs:
            self._noted.append((name, v, n, what, fixed, answer, named))
