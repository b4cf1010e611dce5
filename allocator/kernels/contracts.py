"""What each system may answer, whatever its state: the promises that a runtime can rely on, and no more.

A contract says which addresses a system may give and what its yes is worth; it never says when it
gives them, since a kernel may refuse anything at any time and put memory where it likes unless it
is told MAP_FIXED. The conditions are plain comparisons, so that they hold numbers against numbers
(the policies are tested so) and unknown ones against unknown ones (`archcalc prove`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from allocator.kernels.machine import Machine

LARGE = 1 << 32  # mem_linux.go and mem_bsd.go of 64 bits reserve nothing that is larger
PROBE = 64 << 10  # what mem_linux.go tries in its place

OUT_OF_MEMORY = "runtime: out of memory"
CANNOT_MAP = "runtime: cannot map pages in arena address space"
CONFLICT = "runtime: address space conflict"
LOCKED = "runtime: mmap: too much locked memory (check 'ulimit -l')."
DENIED = "runtime: mmap: access denied"
NOT_RELEASED = "runtime: failed to release pages"
NOT_COMMITTED = "runtime: failed to commit pages"
CRASH = "unexpected signal during runtime execution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a system puts memory: what every contract says. Sizes are bytes."""

    alignment: int = 0  # of the addresses that it gives; 0: a page of the kernel

    def place(self, machine: Machine, ptr_size: int, at: Any, size: Any) -> list[Any]:
        """What holds of memory that the kernel gives: aligned, within the user's addresses, nobody else's."""
        end = min(machine.end, 1 << 8 * ptr_size)
        conditions = [machine.low <= at, at + size <= end, at % (self.alignment or machine.page_size) == 0]
        return conditions + [
            apart(at, size, taken.start, taken.end - taken.start)
            for taken in machine.occupied
            if taken.end > taken.start
        ]

    def rounded(self, machine: Machine, size: Any) -> Any:
        """What the kernel makes of a size: whole pages."""
        return (size + (machine.page_size - 1)) & -machine.page_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract(Placement):
    """The promises of one system to the helpers of mem_*.go of January 2017; sizes are bytes."""

    # What a reservation larger than LARGE is on 64 bits: had (reserved), tried in a small part and
    # left free (probed), or taken for granted (believed). `believes_all`: so it is for every size.
    large: Literal["reserved", "probed", "believed"] = "reserved"
    believes_all: bool = False
    gives_nothing: bool = False  # whether a request of 0 bytes gets an address, too
    # Which sysMap replaces whatever stands there (MAP_FIXED): of what was reserved, every, or none.
    fixed: Literal["reserved", "always", "never"] = "reserved"
    map_asks: bool = True  # whether sysMap asks the kernel at all
    flag_if_refused: bool | None = None  # what a refused sysReserve leaves of its caller's flag
    last_words: frozenset[str] = frozenset()  # with which a refused call may end the process

    def believes(self, size: Any, ptr_size: int) -> Literal["reserved", "probed", "believed"]:
        """What a yes to a reservation of that size is worth."""
        if self.believes_all:
            return "believed"
        return self.large if self.large != "reserved" and ptr_size == 8 and size > LARGE else "reserved"

    def is_fixed(self, reserved: bool) -> bool:
        """Whether sysMap with that flag insists on its address."""
        return self.fixed == "always" or (self.fixed == "reserved" and reserved)


def apart(a: Any, size: Any, b: Any, other: Any) -> Any:
    """Whether [a, a+size) and [b, b+other) have no byte in common."""
    return (a + size <= b) | (b + other <= a)


_MMAP = frozenset({OUT_OF_MEMORY, CANNOT_MAP, CONFLICT, CRASH})
_BSD = Contract(large="believed", last_words=_MMAP)
_LINUX = Contract(large="probed", last_words=_MMAP | {LOCKED, DENIED})

CONTRACTS: dict[str, Contract] = {
    "android": _LINUX,
    "darwin": Contract(flag_if_refused=True, last_words=frozenset({OUT_OF_MEMORY, CANNOT_MAP, CRASH})),
    "dragonfly": Contract(large="believed", fixed="always", last_words=_MMAP),
    "freebsd": _BSD,
    "linux": _LINUX,
    "nacl": Contract(large="believed", believes_all=True, last_words=_MMAP),
    "netbsd": _BSD,
    "openbsd": _BSD,
    "plan9": Contract(
        alignment=0x1000, gives_nothing=True, fixed="never", map_asks=False, flag_if_refused=True
    ),
    "solaris": _BSD,
    "windows": Contract(
        alignment=64 << 10,
        fixed="never",
        flag_if_refused=True,
        last_words=frozenset({CANNOT_MAP, NOT_RELEASED, NOT_COMMITTED}),
    ),
}
