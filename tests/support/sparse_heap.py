"""A whole heap of today on a simulated linux, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from allocator.kernels import new_kernel
from allocator.sparse.heap import Heap
from allocator.sparse.mem_linux import MemLinux
from archcalc.calculator.figures import compute
from archcalc.machines import sparse
from archcalc.machines.computer import machine_of
from archcalc.profiles import platforms

SEED = 0x123456789ABCDEF0


def heap(platform: str = "linux/amd64", go: str = "1.27", **start: Any) -> Heap:
    """A heap that has started, without anything that a program allocates before main."""
    figures = compute(platforms.load(platform, go=go), go=go)
    profile = figures.profile
    machine = profile.machine
    config = sparse.config(figures, int(machine["phys_page_size"]), int(machine["data_end"]))
    computer = replace(machine_of(profile), rlimit_data=start.pop("rlimit_data", None))
    kernel: Any = new_kernel(profile.goos, computer, ptr_size=config.ptr_size)
    mem_profile_rate = start.pop("mem_profile_rate", 0)
    rt = Heap(config, MemLinux(config, kernel), seed=SEED, mem_profile_rate=mem_profile_rate)
    rt.start_heap(**start)
    return rt
