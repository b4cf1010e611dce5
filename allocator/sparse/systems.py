"""Which helpers a system has, and the kernel that they ask."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from allocator.kernels.machine import Machine
from allocator.sparse.config import Config
from allocator.sparse.memory_of_system import MemoryOfSystem

# GOOS -> the helpers' module and class; the kernel's family.
FAMILIES = {
    "aix": ("mem_unix", "MemAix", "unix"),
    "android": ("mem_linux", "MemLinux", "unix"),
    "darwin": ("mem_unix", "MemDarwin", "unix"),
    "dragonfly": ("mem_unix", "MemBsd", "unix"),
    "freebsd": ("mem_unix", "MemBsd", "unix"),
    "illumos": ("mem_unix", "MemSolaris", "unix"),
    "ios": ("mem_unix", "MemDarwin", "unix"),
    "js": ("mem_sbrk", "MemSbrk", "break"),
    "linux": ("mem_linux", "MemLinux", "unix"),
    "netbsd": ("mem_unix", "MemBsd", "unix"),
    "openbsd": ("mem_unix", "MemBsd", "unix"),
    "plan9": ("mem_sbrk", "MemSbrk", "break"),
    "solaris": ("mem_unix", "MemSolaris", "unix"),
    "wasip1": ("mem_sbrk", "MemSbrk", "break"),
    "windows": ("mem_windows", "MemWindows", "nt"),
}


def kernel_of(config: Config, machine: Machine) -> Any:
    """The kernel of a system on a machine, behind its plain calls."""
    from allocator.kernels import new_system
    from allocator.kernels.calls import Break, Nt, Unix

    goos = config.goos
    family = FAMILIES[goos][2]
    if family == "break":
        page = config.phys_page_size
        return Break(machine, (config.data_end + page - 1) // page * page)
    system = new_system(goos, machine, ptr_size=config.ptr_size, goarch=config.goarch)
    if hasattr(system, "reservations_count"):
        system.reservations_count = False
    return (Nt if family == "nt" else Unix)(cast(Any, system))


def memory_of(config: Config, kernel: Any) -> MemoryOfSystem:
    """The helpers of a system over a kernel, simulated or recorded."""
    module, name, _ = FAMILIES[config.goos]
    made = getattr(import_module(f"allocator.sparse.{module}"), name)(config, kernel)
    return cast(MemoryOfSystem, made)
