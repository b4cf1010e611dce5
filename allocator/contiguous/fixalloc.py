"""fixalloc: free lists of off-heap records of one size (mfixalloc.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.contiguous.own_records import RECORD_FREED, RECORD_TAKEN

if TYPE_CHECKING:
    from allocator.contiguous.core import Core


class FixAlloc:
    """Records of `size` bytes cut from 16 KB chunks; freed ones are used again, last freed first.

    `inuse` is in bytes. `free_list` holds addresses, its end being the head of Go's list.
    """

    __slots__ = ("chunk", "free_list", "inuse", "nchunk", "rt", "size", "stat")

    def __init__(self, rt: Core, size: int, stat: str) -> None:
        self.rt = rt
        self.size = size
        self.stat = stat
        self.free_list: list[int] = []
        self.chunk = 0
        self.nchunk = 0
        self.inuse = 0

    def alloc(self) -> int:
        """The address of a record (fixalloc.alloc)."""
        if self.size == 0:
            self.rt.printed.append("runtime: use of FixAlloc_Alloc before FixAlloc_Init")
            raise Throw("runtime: internal error")
        if self.free_list:
            self.inuse += self.size
            return self.free_list.pop()
        v = self._reach()
        self._take()
        return v

    def free(self, p: int) -> None:
        """Puts a record back (fixalloc.free)."""
        self.inuse -= self.size
        self.free_list.append(p)

    def _reach(self) -> int:
        if self.nchunk < self.size:
            chunk = self.rt.config.fix_alloc_chunk
            self.chunk = self.rt.persistent_alloc(chunk, 0, self.stat)
            self.nchunk = chunk
        return self.chunk

    def _take(self) -> None:
        self.chunk += self.size
        self.nchunk -= self.size
        self.inuse += self.size


class SpanAlloc(FixAlloc):
    """The allocator of span records: hands out places in the span columns, not addresses.

    A record that is new is entered into allspans, whose backing grows by itself (recordspan).
    """

    __slots__ = ("allspans_at", "allspans_cap")

    def __init__(self, rt: Core, size: int, stat: str) -> None:
        super().__init__(rt, size, stat)
        self.allspans_at = 0
        self.allspans_cap = 0

    def alloc(self) -> int:
        """A span record, as its place in the columns."""
        return self.alloc_for(0, 0)

    def alloc_for(self, base: int, npages: int) -> int:
        """A span record taken for a run of pages ((*mspan).init)."""
        rt = self.rt
        spans = rt.spans
        if self.free_list:
            self.inuse += self.size
            s = self.free_list.pop()
            spans.init(s, base, npages)
        else:
            count = spans.count
            size = self.size
            if self.nchunk < size or count >= self.allspans_cap:
                self.provide(count)
            v = self.chunk
            s = spans.record(v)
            self.chunk = v + size
            self.nchunk -= size
            self.inuse += size
            # A zeroed record is as init leaves it.
            spans.base[s] = base
            spans.npages[s] = npages
        log = rt.log
        if log is not None:
            log.append(RECORD_TAKEN % spans.self_addr[s])
        return s

    def free(self, s: int) -> None:
        """Puts the record s back."""
        rt = self.rt
        log = rt.log
        if log is not None:
            log.append(RECORD_FREED % rt.spans.self_addr[s])
        self.inuse -= self.size
        self.free_list.append(s)

    def provide(self, count: int) -> int:
        """Provides memory for a new record, and a place in allspans after `count` others (recordspan)."""
        v = self._reach()
        self._room_for(count)
        return v

    def _room_for(self, count: int) -> None:
        rt = self.rt
        if count < self.allspans_cap:
            return
        ptr_size = rt.config.ptr_size
        cap = max(64 * 1024 // ptr_size, self.allspans_cap * 3 // 2)
        at = rt.sys_alloc(cap * ptr_size, "other_sys")
        if not at:
            raise Throw("runtime: cannot allocate memory")
        old_at, old_cap = self.allspans_at, self.allspans_cap
        self.allspans_at, self.allspans_cap = at, cap
        if count:
            rt.sys_free(old_at, old_cap * ptr_size, "other_sys")
