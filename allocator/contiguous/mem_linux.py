"""mem_linux.go, of linux and android.

A 64-bit runtime reserves nothing: it probes 64 KB at the hint and leaves the rest to sysMap, which
therefore must cope with neighbours.
"""

from __future__ import annotations

from allocator.common.throw import Exit, Throw
from allocator.contiguous.mem import as_word
from allocator.contiguous.mem_bsd import LARGE, MemBsd
from allocator.kernels.calls import HUGEPAGE, NOHUGEPAGE
from allocator.kernels.linux import Linux
from allocator.kernels.posix import EACCES, EAGAIN
from allocator.kernels.system import Answer, Errno

PROBE = 64 << 10


class MemLinux(MemBsd):
    """The helpers of linux, for 32 and 64 bits."""

    kernel: Linux

    minds_huge_pages = True

    def all_unmapped(self, v: int, n: int) -> bool:
        """addrspace_free: whether mincore calls every page of [v, v+n) unmapped, where an error counts so."""
        return not self.kernel.mincore(v, n, self.phys_page_size)

    def mmap_fixed(self, v: int, n: int, access: bool, forced: Answer | None) -> int:
        """mmap_fixed: insists with MAP_FIXED where the kernel ignored a hint without need."""
        p = self.mmap(v, n, access, forced=forced)
        return p if p == v else self._insisted(p, v, n, access, forced)

    def _insisted(self, p: int, v: int, n: int, access: bool, forced: Answer | None) -> int:
        """What mmap_fixed makes of an answer p that is not the hint v."""
        if self.all_unmapped(v, n):
            if p > 4096:
                self.unmap(p, n)
            p = self.mmap(v, n, access, True, forced)
        return p

    def sys_alloc(self, n: int, stat: str) -> int:
        p = self.mmap(0, n, True, forced=self.planned("sysAlloc", 0, n))
        if p >= 4096:
            return p
        if p == EACCES:
            self._exit("runtime: mmap: access denied")
        if p == EAGAIN:
            self._exit("runtime: mmap: too much locked memory (check 'ulimit -l').")
        return 0

    def _exit(self, line: str) -> None:
        self.printed.append(line)
        raise Exit(line)

    def unused_at(self, v: int, n: int) -> Answer:
        forced = self.planned("sysUnused", v, n)
        if forced is not None:
            return forced
        huge = self.huge_page_size
        if huge:
            end = v + n
            head = v & -huge if v % huge else 0
            tail = (end - 1) & -huge if end % huge else 0
            if head and head + huge == tail:
                self.kernel.madvise(head, 2 * huge, NOHUGEPAGE)
            else:
                if head:
                    self.kernel.madvise(head, huge, NOHUGEPAGE)
                if tail and tail != head:
                    self.kernel.madvise(tail, huge, NOHUGEPAGE)
        # MADV_DONTNEED changes no mapping.
        return v

    def judge_unused(self, v: int, n: int, answer: Answer) -> None:
        # The answers of madvise are ignored; only the arguments are checked.
        if (v | n) & (self.phys_page_size - 1):
            raise Throw("unaligned sysUnused")

    def used_at(self, v: int, n: int) -> Answer:
        forced = self.planned("sysUsed", v, n)
        huge = self.huge_page_size
        if huge and forced is None:
            start, end = -(-v // huge) * huge, (v + n) // huge * huge
            if start < end:
                self.kernel.madvise(start, end - start, HUGEPAGE)
        return v

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        if self.ptr_size == 8 and n > LARGE:
            p = self.mmap_fixed(v, PROBE, False, self.planned("sysReserve", v, n))
            if p != v:
                if p >= 4096:
                    self.unmap(p, PROBE)
                return 0, None
            self.unmap(p, PROBE)
            return v, False
        p = self.reserve(v, n)
        return (p, True) if p else (0, None)

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        forced = None if self.plan is None else self.plan("sysMap", v, n)
        # mmap_fixed, too, begins with this call, and nearly every time it is all.
        answer = self.kernel.mmap(v, n, True, reserved, forced)
        if answer == v:
            return v
        p = as_word(answer)
        if not reserved:
            p = self._insisted(p, v, n, True, forced)
        return p if p >= 4096 else Errno(p)
