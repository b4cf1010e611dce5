"""Which helpers a system has, and the kernel that they ask."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from allocator.kernels import new_kernel
from allocator.kernels.machine import Machine
from allocator.sparse.config import Config
from allocator.sparse.memory_of_system import MemoryOfSystem

# GOOS -> the helpers' module and class.
FAMILIES = {
    "aix": ("mem_unix", "MemAix"),
    "android": ("mem_linux", "MemLinux"),
    "darwin": ("mem_unix", "MemDarwin"),
    "dragonfly": ("mem_unix", "MemBsd"),
    "freebsd": ("mem_unix", "MemBsd"),
    "illumos": ("mem_unix", "MemSolaris"),
    "ios": ("mem_unix", "MemDarwin"),
    "js": ("mem_sbrk", "MemSbrk"),
    "linux": ("mem_linux", "MemLinux"),
    "netbsd": ("mem_unix", "MemBsd"),
    "openbsd": ("mem_unix", "MemBsd"),
    "plan9": ("mem_sbrk", "MemSbrk"),
    "solaris": ("mem_unix", "MemSolaris"),
    "wasip1": ("mem_sbrk", "MemSbrk"),
    "windows": ("mem_windows", "MemWindows"),
}


def kernel_of(config: Config, machine: Machine) -> Any:
    """The kernel of a system on a machine, as later systems are."""
    page = config.phys_page_size or machine.page_size
    start = (config.data_end + page - 1) // page * page
    kernel: Any = new_kernel(config.goos, machine, ptr_size=config.ptr_size, start=start)
    if hasattr(kernel, "reservations_count"):
        kernel.reservations_count = False
    return kernel


def memory_of(config: Config, kernel: Any) -> MemoryOfSystem:
    """The helpers of a system over a kernel, simulated or recorded."""
    module, name = FAMILIES[config.goos]
    made = getattr(import_module(f"allocator.sparse.{module}"), name)(config, kernel)
    return cast(MemoryOfSystem, made)
