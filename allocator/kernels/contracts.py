"""What a kernel promises, whatever its state: what a runtime can rely on, and no more.

A contract says which addresses a system may give and with which errors it may refuse; it never says
when, since a kernel may refuse anything at any time and put memory where it likes unless it is told
MAP_FIXED. Each simulated kernel has one, as data beside its policy. The conditions are plain comparisons,
so that they hold numbers against numbers (the policies are tested so) and unknown ones against unknown
ones (`archcalc prove`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allocator.kernels.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The promises of one family of systems for its plain calls. Sizes are bytes."""

    alignment: int = 0  # of the addresses that it gives; 0: a page of the kernel
    refusals: tuple[int, ...] = (12,)  # the errors with which it refuses memory, the usual one first

    def place(self, machine: Machine, ptr_size: int, at: Any, size: Any) -> list[Any]:
        """What holds of memory that the kernel gives: aligned, within the user's addresses, nobody else's."""
        end = min(machine.end, 1 << 8 * ptr_size)
        if machine.segment_limit is not None:
            # All is one segment, from the end of the program on.
            end = min(end, max(machine.data_end, machine.low) + machine.segment_limit)
        conditions = [machine.low <= at, at + size <= end, at % (self.alignment or machine.page_size) == 0]
        return conditions + [
            apart(at, size, taken.start, taken.end - taken.start)
            for taken in machine.occupied
            if taken.end > taken.start
        ]

    def rounded(self, machine: Machine, size: Any) -> Any:
        """What the kernel makes of a size: whole pages."""
        return (size + (machine.page_size - 1)) & -machine.page_size


def apart(a: Any, size: Any, b: Any, other: Any) -> Any:
    """Whether [a, a+size) and [b, b+other) have no byte in common."""
    return (a + size <= b) | (b + other <= a)
