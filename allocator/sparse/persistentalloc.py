"""persistentalloc: small pieces of memory that are never given back (malloc.go).

Pieces are cut from chunks of 256 KB, one chunk for each P and a global one for code that runs
without a P. The first word of a chunk links it to the others. A request of 64 KB or more goes to
the system at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.sparse.core import Core

MAX_BLOCK = 64 << 10  # Windows reserves address space in units of 64 KB
DEFAULT_ALIGN = 8
NAME = "immortal metadata"


class PersistentAlloc:
    """The chunks, by owner: a P's number, or None for the global one; `all_chunks` are those ever made.

    `large` are the pieces that the system gave on their own: address and bytes.
    """

    __slots__ = ("all_chunks", "chunks", "core", "large")

    def __init__(self, core: Core) -> None:
        self.core = core
        self.chunks: dict[int | None, tuple[int, int]] = {}  # owner: base, offset of the first free byte
        self.all_chunks: list[int] = []
        self.large: list[tuple[int, int]] = []

    def alloc(self, size: int, align: int, stat: str) -> int:
        """An address of `size` bytes at a multiple of `align` (0: 8), charged to the counter `stat`.

        0 where a large request is refused by the system; a refused chunk is a throw.
        """
        core = self.core
        config = core.config
        if size == 0:
            raise Throw("persistentalloc: size == 0")
        asked = align
        if align:
            if align & (align - 1):
                raise Throw("persistentalloc: align is not a power of 2")
            if align > config.page_size:
                raise Throw("persistentalloc: align is too large")
        else:
            align = DEFAULT_ALIGN
        v = self._alloc(size, align, stat)
        if core.steps is not None:
            core.steps.persistent(size, asked, stat, v)
        return v

    def at_hand(self, size: int, align: int) -> bool:
        """Whether `alloc` could give that without asking the system."""
        base, off = self.chunks.get(self.core.current_p, (0, 0))
        align = align or DEFAULT_ALIGN
        end = (off + align - 1 & -align) + size
        return bool(base) and size < MAX_BLOCK and end <= self.core.config.persistent_chunk_size

    def renew_at_once(self) -> bool:
        """Begins the chunk that is due, if the system gives it at once; else nothing changes."""
        core = self.core
        base = core.mem.sys_alloc_at_once(core.config.persistent_chunk_size, "other_sys", NAME)
        if base:
            self.all_chunks.append(base)
            self.chunks[core.current_p] = base, core.config.ptr_size
        return bool(base)

    def room(self, size: int) -> int:
        """How many pieces of that size `alloc` would give, usually aligned, without asking the system."""
        base, off = self.chunks.get(self.core.current_p, (0, 0))
        if not base or size >= MAX_BLOCK:
            return 0
        each = size + DEFAULT_ALIGN - 1 & -DEFAULT_ALIGN
        off = off + DEFAULT_ALIGN - 1 & -DEFAULT_ALIGN
        return (self.core.config.persistent_chunk_size - off + each - size) // each

    def alloc_several(self, size: int, n: int, stat: str) -> int:
        """What n calls of `alloc` give, for which there is `room`, side by side: the address of the first."""
        first = self._alloc(size, DEFAULT_ALIGN, stat)
        if n > 1:
            base, off = self.chunks[self.core.current_p]
            each = size + DEFAULT_ALIGN - 1 & -DEFAULT_ALIGN
            self.chunks[self.core.current_p] = base, off + each * (n - 1)
            self.core.stats.add(stat, size * (n - 1))
            self.core.stats.add("other_sys", -size * (n - 1))
        return first

    def _alloc(self, size: int, align: int, stat: str) -> int:
        core = self.core
        config = core.config
        if size >= MAX_BLOCK:
            v = core.mem.sys_alloc(size, stat, NAME)
            if v:
                self.large.append((v, size))
            return v
        owner = core.current_p
        base, off = self.chunks.get(owner, (0, 0))
        off = (off + align - 1) & -align
        if off + size > config.persistent_chunk_size or not base:
            base = core.mem.sys_alloc(config.persistent_chunk_size, "other_sys", NAME)
            if not base:
                raise Throw("runtime: cannot allocate memory")
            self.all_chunks.append(base)
            off = (config.ptr_size + align - 1) & -align
        self.chunks[owner] = base, off + size
        if stat != "other_sys":
            core.stats.add(stat, size)
            core.stats.add("other_sys", -size)
        return base + off
