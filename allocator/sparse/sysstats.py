"""The counters that memory from the system is charged to (sysMemStat, mstats.go, mgcpacer.go)."""

from __future__ import annotations

from allocator.common.throw import Throw

# sysMemStats of mstats.go, and gcController's own that sysMap is charged to.
NAMES = (
    "stacks_sys",
    "mspan_sys",
    "mcache_sys",
    "buckhash_sys",
    "gc_misc_sys",
    "other_sys",
    "heap_released",
    "heap_free",
    "heap_in_use",
)


class SysStats:
    """Bytes by counter, and how much of all is Ready (gcController.mappedReady)."""

    __slots__ = ("bytes", "mapped_ready")

    def __init__(self) -> None:
        self.bytes: dict[str, int] = dict.fromkeys(NAMES, 0)
        self.mapped_ready = 0

    def add(self, stat: str, n: int) -> None:
        """Charges n bytes, which may be negative (sysMemStat.add). Throws below zero."""
        value = self.bytes[stat] + n
        if value < 0:
            raise Throw("sysMemStat overflow", f"runtime: val={value} n={n}")
        self.bytes[stat] = value
