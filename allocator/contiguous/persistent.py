"""persistentalloc: small pieces of memory that are never given back (malloc.go).

Pieces are cut from chunks of 256 KB, one chunk for each P and a global one for
code that runs without a P. A request of 64 KB or more goes to the OS at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.contiguous.core import Core

CHUNK = 256 << 10
MAX_BLOCK = 64 << 10  # Windows reserves address space in units of 64 KB
DEFAULT_ALIGN = 8

GLOBAL = "G"
FROM_OS = "S"


class PersistentAlloc:
    """The chunks. A slot names one: `G` the global chunk, `P0`, `P1` … one P's own."""

    __slots__ = ("chunks", "rt")

    def __init__(self, rt: Core) -> None:
        self.rt = rt
        self.chunks: dict[str, tuple[int, int]] = {}  # slot: base, offset of the first free byte

    def alloc(self, size: int, align: int, stat: str, slot: str) -> tuple[int, str]:
        """Cuts size bytes at a multiple of align, charged to the counter `stat`.

        Returns the address and the slot that it came from (`S` where the OS was asked). Throws
        as persistentalloc1 does.
        """
        if size == 0:
            raise Throw("persistentalloc: size == 0")
        if align:
            if align & (align - 1):
                raise Throw("persistentalloc: align is not a power of 2")
            if align > self.rt.config.page_size:
                raise Throw("persistentalloc: align is too large")
        else:
            align = DEFAULT_ALIGN
        rt = self.rt
        if size >= MAX_BLOCK:
            return rt.sys_alloc(size, stat), FROM_OS
        base, off = self.chunks.get(slot, (0, 0))
        off = (off + align - 1) & -align
        if off + size > CHUNK or not base:
            base = rt.sys_alloc(CHUNK, "other_sys")
            if not base:
                raise Throw("runtime: cannot allocate memory")
            off = 0
        self.chunks[slot] = base, off + size
        if stat != "other_sys":
            rt.stat_inc(stat, size)
            rt.stat_dec("other_sys", size)
        return base + off, slot
