"""linearAlloc: a reserved region that is used from its beginning to its end (malloc.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.sparse.core import Core


class LinearAlloc:
    """[next, end) is still free, up to `mapped` it is Ready where `map_memory` says so.

    Before `init` it is empty and has nothing to give.
    """

    __slots__ = ("core", "end", "map_memory", "mapped", "next")

    def __init__(self, core: Core) -> None:
        self.core = core
        self.next = self.mapped = self.end = 0
        self.map_memory = False

    def init(self, base: int, size: int, map_memory: bool) -> None:
        """Takes over the reservation [base, base+size)."""
        if base + size > self.core.config.uintptr_mask:
            size -= 1  # the end would wrap to 0
        self.next = self.mapped = base
        self.end = base + size
        self.map_memory = map_memory

    def alloc(self, size: int, align: int, stat: str, name: str) -> int:
        """`size` bytes at a multiple of `align`, 0 where the region has no room (linearAlloc.alloc)."""
        core = self.core
        p = (self.next + align - 1) & -align
        if p + size > self.end:
            return 0
        self.next = p + size
        page = core.config.phys_page_size
        page_end = (self.next - 1 + page - 1) & -page
        if page_end > self.mapped:
            if self.map_memory:
                n = page_end - self.mapped
                core.mem.sys_map(self.mapped, n, stat, name)
                core.mem.sys_used(self.mapped, n, n)
            self.mapped = page_end
        return p
