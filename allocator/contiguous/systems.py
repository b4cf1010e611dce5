"""Which helpers a system has, and the kernel that they ask."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from allocator.kernels import new_kernel
from allocator.kernels.machine import Machine

if TYPE_CHECKING:
    from allocator.contiguous.mem import System

# GOOS -> where its helpers stand. A module is imported when a machine of that GOOS is booted.
HELPERS = {
    "android": ("mem_linux", "MemLinux"),
    "darwin": ("mem_darwin", "MemDarwin"),
    "dragonfly": ("mem_bsd", "MemBsd"),
    "freebsd": ("mem_bsd", "MemBsd"),
    "linux": ("mem_linux", "MemLinux"),
    "nacl": ("mem_bsd", "MemBsd"),
    "netbsd": ("mem_bsd", "MemBsd"),
    "openbsd": ("mem_bsd", "MemBsd"),
    "plan9": ("mem_plan9", "MemPlan9"),
    "solaris": ("mem_bsd", "MemBsd"),
    "windows": ("mem_windows", "MemWindows"),
}
GOOSES = (*HELPERS,)


def new_system(
    goos: str,
    machine: Machine,
    *,
    ptr_size: int,
    goarch: str = "",
    phys_page_size: int | None = None,
    huge_page_size: int = 0,
) -> System:
    """The OS helpers of `goos` (one of GOOSES, else KeyError) over its kernel on `machine`.

    `ptr_size` is sys.PtrSize, `huge_page_size` sys.HugePageSize, both in bytes; `goarch` matters
    only where the assembly of two architectures differs. `phys_page_size` is what the runtime
    believes, where that is not the machine's page.
    """
    module, name = HELPERS[goos]
    helpers = getattr(import_module(f"allocator.contiguous.{module}"), name)
    if goos == "plan9":
        from allocator.contiguous.mem_plan9 import first_bloc

        start = first_bloc(machine, ptr_size)
        return cast("System", helpers(new_kernel(goos, machine, ptr_size=ptr_size, start=start, logs=False)))
    kernel = new_kernel(goos, machine, ptr_size=ptr_size, logs=False)
    if goos == "windows":
        return cast("System", helpers(kernel))
    said = {"goarch": goarch, "phys_page_size": phys_page_size or 0, "huge_page_size": huge_page_size}
    return cast("System", helpers(kernel, goos, **said))
