"""What mem_*.go of January 2017 offers the allocator: one subclass for each family of systems.

A subclass splits each call that can die into two: what the kernel answers (`map_at`, `used_at`,
`unused_at`) and what the runtime makes of that answer (`judge_map`, `judge_used`, `judge_unused`), so that
a recording can supply the answer while the words stay the system's own. The counters are the machine's.
"""

from __future__ import annotations

from typing import Any

from allocator.common.throw import Throw
from allocator.kernels.system import ENOMEM, Answer, Errno, Plan


class System:
    """The OS helpers; addresses and sizes are plain ints in bytes.

    `kernel` is what they ask, None where nothing is simulated. `printed` collects the lines that the
    runtime prints; the Runtime that is booted on a system shares the list. `plan` may answer any helper.
    """

    name = "?"  # GOOS
    # mem_windows.go charges the statistic before it knows whether VirtualAlloc worked.
    counts_failed_alloc = False
    refusal: Errno = ENOMEM  # what the kernel says when it has no memory

    def __init__(self, kernel: Any = None, name: str = "?") -> None:
        self.kernel = kernel
        self.name = name
        if kernel is not None:
            self.refusal = kernel.refusal
        self.printed: list[str] = []
        self.plan: Plan | None = None

    def planned(self, call: str, v: int, n: int) -> Answer | None:
        """The answer that the plan has for this call, if it has any."""
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


def as_word(answer: Answer) -> int:
    """An answer as the runtime's assembly of 2017 passes it on: an errno is a small number, below 4096."""
    return answer.number if isinstance(answer, Errno) else answer


def judge_mapping(v: int, reserved: bool, answer: Answer, printed: list[str]) -> None:
    """What sysMap of mem_linux.go and mem_bsd.go makes of the answer of mmap."""
    if answer == v:
        return
    p = as_word(answer)
    if p == ENOMEM.number:
        raise Throw("runtime: out of memory")
    if reserved:
        raise Throw("runtime: cannot map pages in arena address space")
    printed.append(f"runtime: address space conflict: map({v:#x}) = {p:#x}")
    raise Throw("runtime: address space conflict")
