"""Memory of the operating system in its four states (mem.go).

Addresses are None, Reserved, Prepared or Ready. sysReserve makes them Reserved, sysMap Prepared,
sysUsed Ready; sysAlloc goes there at once. sysUnused leads back to Prepared, sysFault to Reserved,
sysFree to None. What each means to a system is in its `mem_*.py`; here are the counters, and
aligned reservations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.sparse.sysstats import SysStats

if TYPE_CHECKING:
    from allocator.sparse.config import Config
    from allocator.sparse.memory_of_system import MemoryOfSystem

ALIGNED_RETRIES = 100


class Mem:
    """The helpers over one system. Addresses and sizes are bytes; an address of 0 is a refusal.

    `stat` names a counter of SysStats, `name` what a mapping is called where the system keeps names.
    """

    __slots__ = ("config", "mask", "os", "stats")

    def __init__(self, config: Config, os: MemoryOfSystem, stats: SysStats) -> None:
        self.config = config
        self.os = os
        self.stats = stats
        self.mask = config.uintptr_mask

    def sys_alloc(self, n: int, stat: str, name: str) -> int:
        """Zeroed memory, Ready; it is charged even where the system has none (sysAlloc)."""
        self.stats.add(stat, n)
        self.stats.mapped_ready += n
        return self.os.alloc(n, name)

    def sys_alloc_at_once(self, n: int, stat: str, name: str) -> int:
        """The same where the system is sure to have it; else 0, and nothing changes."""
        v = self.os.alloc_at_once(n, name)
        if v:
            self.stats.add(stat, n)
            self.stats.mapped_ready += n
        return v

    def sys_free(self, v: int, n: int, stat: str) -> None:
        """Makes memory None, whatever it was (sysFree)."""
        self.stats.add(stat, -n)
        self.stats.mapped_ready -= n
        self.os.free(v, n)

    def sys_unused(self, v: int, n: int) -> None:
        """Ready to Prepared: the contents are not needed (sysUnused)."""
        self.stats.mapped_ready -= n
        self.os.unused(v, n)

    def sys_used(self, v: int, n: int, prepared: int) -> None:
        """Prepared to Ready; `prepared` of the n bytes were not Ready before (sysUsed)."""
        self.stats.mapped_ready += prepared
        self.os.used(v, n)

    def sys_huge_page(self, v: int, n: int) -> None:
        """Huge pages are welcome here (sysHugePage)."""
        self.os.huge_page(v, n)

    def sys_no_huge_page(self, v: int, n: int) -> None:
        """Huge pages are not welcome here (sysNoHugePage)."""
        self.os.no_huge_page(v, n)

    def sys_huge_page_collapse(self, v: int, n: int) -> None:
        """Makes huge pages now (sysHugePageCollapse)."""
        self.os.huge_page_collapse(v, n)

    def sys_fault(self, v: int, n: int) -> None:
        """Ready or Prepared to Reserved: access faults (sysFault)."""
        self.stats.mapped_ready -= n
        self.os.fault(v, n)

    def sys_reserve(self, v: int, n: int, name: str) -> int:
        """None to Reserved, at v if the system will (sysReserve)."""
        return self.os.reserve(v, n, name)

    def sys_unreserve(self, v: int, n: int) -> None:
        """Reserved to None (sysUnreserve)."""
        self.os.free(v, n)

    def sys_map(self, v: int, n: int, stat: str, name: str) -> None:
        """Reserved to Prepared (sysMap)."""
        self.stats.add(stat, n)
        self.os.map(v, n, name)

    def sys_map_at_once(self, v: int, n: int, stat: str, name: str) -> bool:
        """The same where the system is sure to grant it; else False, and nothing changes."""
        if not self.os.map_at_once(v, n, name):
            return False
        self.stats.add(stat, n)
        return True

    def need_zero_after_sys_unused(self) -> bool:
        """Whether pages that were Unused may come back dirty (needZeroAfterSysUnused)."""
        return not self.config.zeroed_when_scavenged or self.os.unused_may_keep

    def sys_reserve_aligned(self, v: int, size: int, align: int, name: str) -> tuple[int, int]:
        """A reservation at a multiple of `align`: its address and size, (0, 0) when refused.

        It asks for align bytes more. Where the answer happens to be aligned, it keeps them;
        else it gives head and tail back, or on windows reserves again what lies between
        (sysReserveAligned).
        """
        mask = self.mask
        if self.config.sbrk_platform:
            if v:
                raise Throw("unexpected heap arena hint on sbrk platform")
            return self.os.reserve_aligned_sbrk(size, align)
        retries = 0
        while True:
            p = self.sys_reserve(v, (size + align) & mask, name)
            if not p:
                return 0, 0
            if not p & (align - 1):
                return p, size + align
            aligned = (p + align - 1) & -align
            if self.config.goos != "windows":
                break
            # Windows only releases whole reservations, so another thread may take the range in between.
            self.sys_unreserve(p, size + align)
            again = self.sys_reserve(aligned, size, name)
            if again == aligned:
                return again, size
            if again:
                self.sys_unreserve(again, size)
            retries += 1
            if retries == ALIGNED_RETRIES:
                raise Throw("failed to allocate aligned heap memory; too many retries")
        end = aligned + size
        self.os.free(p, aligned - p)
        if p + size + align > end:
            self.os.free(end, p + size + align - end)
        return aligned, size
