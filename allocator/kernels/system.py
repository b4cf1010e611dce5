"""What every operating system's mem_*.go offers the allocator.

One subclass a system. A subclass splits each call that can die into two: what
the kernel answers (`map_at`, `used_at`, `unused_at`) and what the runtime makes of
that answer (`judge_map`, `judge_used`, `judge_unused`), so that a recording can
supply the answer while the words stay the system's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Errno:
    """A kernel's refusal, by number (ENOMEM is 12, ERROR_COMMITMENT_LIMIT 1455)."""

    number: int


ENOMEM = Errno(12)

Answer = int | Errno

# What the OS is to answer one call (the helper's Go name, address, size in bytes), or None
# for what it would answer anyway. Fault plans and scripted answers are such functions.
Plan = Callable[[str, int, int], Answer | None]


class System:
    """The OS helpers over an address space; addresses and sizes are plain ints in bytes.

    `printed` collects the lines that the runtime prints; the Runtime that is
    booted on a system shares the list.
    """

    name = "?"
    # mem_windows.go charges the statistic before it knows whether VirtualAlloc worked.
    counts_failed_alloc = False
    # What this kernel says when it has no memory.
    refusal: Errno = ENOMEM
    # The fields of Machine that this system knows as limits; any other is without effect on it.
    limits: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self.printed: list[str] = []
        self.plan: Plan | None = None

    def planned(self, call: str, v: int, n: int) -> Answer | None:
        """The answer that the plan wants for this call, if it wants any."""
        return None if self.plan is None else self.plan(call, v, n)

    def sys_alloc(self, n: int, stat: str) -> int:
        """Zeroed memory of n bytes anywhere; 0 when the OS has none (sysAlloc).

        The caller keeps the statistics; `stat` names the memstats counter that it charges.
        """
        raise NotImplementedError

    def sys_free(self, v: int, n: int) -> None:
        """Gives [v, v+n) back (sysFree)."""
        raise NotImplementedError

    def sys_unused(self, v: int, n: int) -> None:
        """Tells the OS that the contents of [v, v+n) are not needed (sysUnused)."""
        self.judge_unused(v, n, self.unused_at(v, n))

    def sys_used(self, v: int, n: int) -> None:
        """Tells the OS that [v, v+n) is needed again (sysUsed)."""
        self.judge_used(v, n, self.used_at(v, n))

    def sys_fault(self, v: int, n: int) -> None:
        """Makes [v, v+n) fault on access (sysFault)."""

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        """Address space of n bytes, at the hint v if possible (sysReserve).

        Returns the address (0 when refused) and whether it is really reserved; None
        where the system leaves the caller's flag alone.
        """
        raise NotImplementedError

    def sys_map(self, v: int, n: int, reserved: bool) -> None:
        """Makes reserved [v, v+n) usable (sysMap). Raises Throw with the system's words."""
        self.judge_map(v, n, reserved, self.map_at(v, n, reserved))

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        """What the kernel answers a sysMap: an address, or an errno."""
        raise NotImplementedError

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        """What the runtime makes of the answer: nothing when it is v, else its last words."""
        raise NotImplementedError

    def used_at(self, v: int, n: int) -> Answer:
        """What the kernel answers a sysUsed; most systems have nothing to ask."""
        return v

    def judge_used(self, v: int, n: int, answer: Answer) -> None:
        """What the runtime makes of a refused sysUsed."""

    def unused_at(self, v: int, n: int) -> Answer:
        """What the kernel answers a sysUnused."""
        return v

    def judge_unused(self, v: int, n: int, answer: Answer) -> None:
        """What the runtime makes of the answer to a sysUnused, and of its arguments."""
