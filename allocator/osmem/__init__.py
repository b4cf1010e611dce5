"""Operating-system memory: one policy a system over one simulated address space."""

from __future__ import annotations

from allocator.osmem.machine import Machine
from allocator.osmem.system import System


def new_system(
    goos: str,
    machine: Machine,
    *,
    ptr_size: int,
    phys_page_size: int | None = None,
    huge_page_size: int = 0,
) -> System:
    """The OS memory of GOOS `goos` on `machine`; raises KeyError for a GOOS that is not modelled.

    `ptr_size` is sys.PtrSize, `huge_page_size` sys.HugePageSize, both in bytes.
    `phys_page_size` is what the runtime believes, where that is not the machine's page.
    """
    from allocator.osmem.linux import Linux

    return {"linux": Linux}[goos](machine, ptr_size, phys_page_size, huge_page_size)
