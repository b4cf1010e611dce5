"""Operating-system memory: one policy a system over one simulated address space."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from allocator.kernels.machine import Machine
from allocator.kernels.system import System

if TYPE_CHECKING:
    from allocator.kernels.posix import Posix

# GOOS -> where its policy stands. A module is imported when a machine of that GOOS is booted.
POSIX = {
    "aix": ("aix", "Aix"),
    "android": ("android", "Android"),
    "darwin": ("darwin", "Darwin"),
    "dragonfly": ("dragonfly", "Dragonfly"),
    "freebsd": ("bsd", "FreeBSD"),
    "illumos": ("solaris", "Solaris"),
    "ios": ("darwin", "Darwin"),
    "linux": ("linux", "Linux"),
    "nacl": ("nacl", "Nacl"),
    "netbsd": ("bsd", "NetBSD"),
    "openbsd": ("bsd", "OpenBSD"),
    "solaris": ("solaris", "Solaris"),
}
# Systems of which only the break can be moved.
BREAKS = ("js", "plan9", "wasip1")
# Systems that only a later Go runs on: kernels without the helpers of 7aefdfded.
LATER = frozenset(("aix", "illumos", "ios", "js", "wasip1"))
GOOSES = (*sorted({*POSIX, *BREAKS, "windows"} - LATER),)


def new_system(
    goos: str,
    machine: Machine,
    *,
    ptr_size: int,
    goarch: str = "",
    phys_page_size: int | None = None,
    huge_page_size: int = 0,
) -> System:
    """The OS memory of `goos` (one of GOOSES or LATER, else KeyError) on `machine`.

    `ptr_size` is sys.PtrSize, `huge_page_size` sys.HugePageSize, both in bytes; `goarch` matters
    only where the assembly of two architectures differs. `phys_page_size` is what the runtime
    believes, where that is not the machine's page.
    """
    if goos == "windows":
        from allocator.kernels.windows import Windows

        return Windows(machine, ptr_size=ptr_size)
    if goos in BREAKS:
        from allocator.kernels.plan9 import Plan9

        return Plan9(machine, ptr_size=ptr_size)
    module, name = POSIX[goos]
    policy = cast("type[Posix]", getattr(import_module(f"allocator.kernels.{module}"), name))
    return policy(
        machine,
        goarch=goarch,
        ptr_size=ptr_size,
        phys_page_size=phys_page_size,
        huge_page_size=huge_page_size,
    )
