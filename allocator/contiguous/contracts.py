"""What the helpers of mem_*.go of January 2017 make of a kernel's promises, one for each GOOS.

The kernels have their own contracts (`allocator.kernels.contracts`). What is added here is what a yes or
a no of the helpers is worth to mallocinit and mheap: whether a reservation is one, whether a mapping
insists on its address, and the words with which a process may end.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from allocator.contiguous.mem_bsd import LARGE
from allocator.kernels.brk import Break
from allocator.kernels.contracts import Contract
from allocator.kernels.kernel import SimulatedKernel
from allocator.kernels.posix import Posix
from allocator.kernels.windows import Windows

OUT_OF_MEMORY = "runtime: out of memory"
CANNOT_MAP = "runtime: cannot map pages in arena address space"
CONFLICT = "runtime: address space conflict"
LOCKED = "runtime: mmap: too much locked memory (check 'ulimit -l')."
DENIED = "runtime: mmap: access denied"
NOT_RELEASED = "runtime: failed to release pages"
NOT_COMMITTED = "runtime: failed to commit pages"
CRASH = "unexpected signal during runtime execution"


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpersContract(Contract):
    """The promises of a system's helpers: those of its kernel, and their own. Sizes are bytes."""

    # What a reservation larger than LARGE is on 64 bits: granted (reserved), tried in a small part and
    # left free (probed), or assumed (believed). `believes_all`: so it is for every size.
    large: Literal["reserved", "probed", "believed"] = "reserved"
    believes_all: bool = False
    gives_nothing: bool = False  # whether a request of 0 bytes gets an address, too
    # Which sysMap replaces whatever is there (MAP_FIXED): of what was reserved, every, or none.
    fixed: Literal["reserved", "always", "never"] = "reserved"
    map_asks: bool = True  # whether sysMap asks the kernel at all
    flag_if_refused: bool | None = None  # what a refused sysReserve leaves of its caller's flag
    last_words: frozenset[str] = frozenset()  # with which a refused call may end the process

    def believes(self, size: Any, ptr_size: int) -> Literal["reserved", "probed", "believed"]:
        """What a granted reservation of that size is worth."""
        if self.believes_all:
            return "believed"
        return self.large if self.large != "reserved" and ptr_size == 8 and size > LARGE else "reserved"

    def is_fixed(self, reserved: bool) -> bool:
        """Whether sysMap with that flag insists on its address."""
        return self.fixed == "always" or (self.fixed == "reserved" and reserved)


def _over(kernel: type[SimulatedKernel], **helpers: Any) -> HelpersContract:
    """The helpers' promises over those of a kernel."""
    return HelpersContract(**{**asdict(kernel.contract), **helpers})


_MMAP = frozenset({OUT_OF_MEMORY, CANNOT_MAP, CONFLICT, CRASH})
_BSD = _over(Posix, large="believed", last_words=_MMAP)
_LINUX = _over(Posix, large="probed", last_words=_MMAP | {LOCKED, DENIED})

CONTRACTS: dict[str, HelpersContract] = {
    "android": _LINUX,
    "darwin": _over(Posix, flag_if_refused=True, last_words=frozenset({OUT_OF_MEMORY, CANNOT_MAP, CRASH})),
    "dragonfly": _over(Posix, large="believed", fixed="always", last_words=_MMAP),
    "freebsd": _BSD,
    "linux": _LINUX,
    "nacl": _over(Posix, large="believed", believes_all=True, last_words=_MMAP),
    "netbsd": _BSD,
    "openbsd": _BSD,
    # mem_plan9.go rounds the break itself, to pages of its own.
    "plan9": _over(
        Break, alignment=0x1000, gives_nothing=True, fixed="never", map_asks=False, flag_if_refused=True
    ),
    "solaris": _BSD,
    "windows": _over(
        Windows,
        fixed="never",
        flag_if_refused=True,
        last_words=frozenset({CANNOT_MAP, NOT_RELEASED, NOT_COMMITTED}),
    ),
}
