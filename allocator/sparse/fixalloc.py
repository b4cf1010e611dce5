"""fixalloc: free lists of off-heap records of one size (mfixalloc.go)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.sparse.persistentalloc import DEFAULT_ALIGN

if TYPE_CHECKING:
    from allocator.sparse.core import Core

LINK_WORDS = 1  # sizeof mlink: a free record holds the next one's address


class FixAlloc:
    """Records of `size` bytes cut from chunks of 16 KB; freed ones are used again, last freed first.

    A chunk is as many records as fit, so that it has no tail. `first` is called for records that were never
    handed out before, by the address of the first and how many lie side by side there; it answers how
    many of them it takes note of, at least one. `inuse` is in bytes.
    """

    __slots__ = ("chunk", "core", "first", "free_list", "inuse", "nalloc", "nchunk", "size", "stat")

    def __init__(
        self, core: Core, size: int, stat: str, first: Callable[[int, int], int] | None = None
    ) -> None:
        chunk = core.config.fix_alloc_chunk
        if size > chunk:
            raise Throw("runtime: fixalloc size too large")
        self.core = core
        self.size = max(size, LINK_WORDS * core.config.ptr_size)
        self.stat = stat
        self.first = first
        self.nalloc = chunk // self.size * self.size
        self.free_list: list[int] = []
        self.chunk = 0
        self.nchunk = 0
        self.inuse = 0

    def alloc(self) -> int:
        """The address of a record (fixalloc.alloc)."""
        v, _ = self._alloc(1)
        if self.core.steps is not None:
            self.core.steps.fixed(self, v)
        return v

    def alloc_run(self, most: int) -> tuple[int, int]:
        """One record or several side by side, as `alloc` gives them: the first one's address, how many."""
        return self._alloc(most) if self.core.steps is None else (self.alloc(), 1)

    def _alloc(self, most: int) -> tuple[int, int]:
        if self.free_list:
            self.inuse += self.size
            return self.free_list.pop(), 1
        if self.nchunk < self.size:
            self.chunk = self.core.persistent.alloc(self.nalloc, 0, self.stat)
            self.nchunk = self.nalloc
        v = self.chunk
        n = min(most, self.nchunk // self.size)
        if self.first is not None:
            n = self.first(v, n)
        self.chunk += n * self.size
        self.nchunk -= n * self.size
        self.inuse += n * self.size
        return v, n

    def alloc_new(self, n: int) -> list[tuple[int, int]]:
        """n records that were never handed out, as `alloc` gives them: the first one's address, how many.

        Those that were freed are gone, and there is room for as many in what was asked of the system. Nobody
        else is told of them.
        """
        size = self.size
        self.inuse += n * size
        runs: list[tuple[int, int]] = []
        v, have = self.chunk, self.nchunk // size
        while have < n:
            if have:
                runs.append((v, have))
                n -= have
            per_chunk = self.nalloc // size
            chunks = -(-n // per_chunk) if self.nalloc % DEFAULT_ALIGN == 0 else 1
            v, have = self.core.persistent.alloc_several(self.nalloc, chunks, self.stat), chunks * per_chunk
            if runs and runs[-1][0] + runs[-1][1] * size == v:
                v, more = runs.pop()
                n, have = n + more, have + more
        runs.append((v, n))
        self.chunk, self.nchunk = v + n * size, (have - n) * size
        return runs

    def free(self, p: int) -> None:
        """Puts a record back (fixalloc.free)."""
        self.inuse -= self.size
        self.free_list.append(p)
        if self.core.steps is not None:
            self.core.steps.unfixed(self, p)
