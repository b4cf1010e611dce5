"""Contracts of the systems behind their plain calls, as today's runtime asks them.

Like `contracts`, but for the calls themselves: mmap and its kin, VirtualAlloc, the break. What the
helpers of mem_*.go make of an answer is the machine's code. A system may refuse anything at any
time; where it puts what has no fixed address is its own affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allocator.kernels.contracts import apart
from allocator.kernels.machine import Machine
from allocator.kernels.system import Errno


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContract:
    """The promises of one family of systems. Sizes are bytes."""

    alignment: int = 0  # of the addresses that it gives; 0: a page of the kernel
    # With which errnos it refuses memory, and what else is asked of memory that there is.
    refusals: tuple[int, ...] = (12, 1)
    # Whether a mapping at a fixed address replaces whatever stands there (MAP_FIXED).
    replaces: bool = True
    # Whether an address that is asked for is given exactly, or else refused.
    exact: bool = False

    def place(self, machine: Machine, ptr_size: int, at: Any, size: Any) -> list[Any]:
        """What holds of memory that it gives: aligned, in the user's addresses, nobody else's."""
        end = min(machine.end, 1 << 8 * ptr_size)
        conditions = [machine.low <= at, at + size <= end, at % (self.alignment or machine.page_size) == 0]
        return conditions + [
            apart(at, size, taken.start, taken.end - taken.start)
            for taken in machine.occupied
            if taken.end > taken.start
        ]

    def rounded(self, machine: Machine, size: Any) -> Any:
        """What it makes of a size: whole pages."""
        return (size + (machine.page_size - 1)) & -machine.page_size

    def errnos(self) -> list[Errno]:
        """The refusals."""
        return [Errno(number) for number in self.refusals]


# Errno 11 and 13 have words of their own where mem_linux.go and mem_aix.go ask for memory.
UNIX = CallContract(refusals=(12, 1, 11, 13))
NT = CallContract(alignment=64 << 10, refusals=(1455, 87, 8), replaces=False, exact=True)
BREAK = CallContract(refusals=(12,), replaces=False, exact=True)
