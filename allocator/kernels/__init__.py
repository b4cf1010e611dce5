"""Simulated kernels: one for each system, over one simulated address space."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from allocator.kernels.kernel import SimulatedKernel
from allocator.kernels.machine import Machine

# GOOS -> where its kernel stands. A module is imported when a machine of that GOOS is booted.
KERNELS = {
    "aix": ("aix", "Aix"),
    "android": ("linux", "Linux"),
    "darwin": ("darwin", "Darwin"),
    "dragonfly": ("bsd", "HeapAreaKept"),
    "freebsd": ("bsd", "HeapAreaKept"),
    "illumos": ("solaris", "Solaris"),
    "ios": ("darwin", "Darwin"),
    "linux": ("linux", "Linux"),
    "nacl": ("nacl", "Nacl"),
    "netbsd": ("bsd", "NetBSD"),
    "openbsd": ("bsd", "OpenBSD"),
    "solaris": ("solaris", "Solaris"),
    "windows": ("windows", "Windows"),
}
# Systems of which only the break can be moved.
BREAKS = ("js", "plan9", "wasip1")


def new_kernel(
    goos: str, machine: Machine, *, ptr_size: int, start: int = 0, logs: bool = True
) -> SimulatedKernel:
    """The kernel of `goos` (one of KERNELS or BREAKS, else KeyError) with one process on `machine`.

    `ptr_size` is the process's word in bytes, `start` where its break stands, of systems that have
    nothing else. Without `logs` it keeps no list of its calls.
    """
    if goos in BREAKS:
        from allocator.kernels.brk import Break

        return Break(machine, start, ptr_size=ptr_size, logs=logs)
    module, name = KERNELS[goos]
    kind = getattr(import_module(f"allocator.kernels.{module}"), name)
    return cast(SimulatedKernel, kind(machine, ptr_size=ptr_size, logs=logs))
