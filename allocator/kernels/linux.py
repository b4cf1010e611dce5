"""Linux: mem_linux.go over what mm/mmap.c, mm/madvise.c and mm/mincore.c answer.

A 64-bit runtime reserves nothing: it probes 64 KB at the hint and leaves the rest to
sysMap, which therefore must cope with neighbours. vm.max_map_count is counted in
intervals of like protection and like huge-page advice, as the kernel splits and
merges its mappings (golang/go#12233).
"""

from __future__ import annotations

from functools import cached_property

from allocator.common.throw import Exit, Throw
from allocator.kernels.address_space import MAPPED, RESERVED
from allocator.kernels.posix import EAGAIN, ENOMEM, Posix
from allocator.kernels.system import Answer, Errno

EACCES = 13
PROBE = 64 << 10

# Advice is part of a mapping's kind: two neighbours that differ in it are two mappings.
NO_HUGE_PAGES = 4
HUGE_PAGES = 8
ADVICE = NO_HUGE_PAGES | HUGE_PAGES


class Linux(Posix):
    """mem_linux.go, for 32 and 64 bits."""

    name = "linux"
    limit_counts_replaced = False
    # execve makes a stack of 132 KB; vvar and vdso have 32 KB (12 to 24 on kernels before 6.13).
    beside_image = (132 + 32) << 10
    limits = frozenset(
        {"ulimit_v", "rlimit_data", "memlock_limit", "max_map_count", "ram_and_swap", "commit_limit"}
    )
    fixed_out_of_range = ENOMEM

    @cached_property
    def boundless(self) -> bool:
        """Whether this machine refuses no mapping for its size."""
        m = self.machine
        limits = (m.ulimit_v, m.rlimit_data, m.memlock_limit, m.ram_and_swap, m.commit_limit)
        return all(limit is None for limit in limits)

    def _search_base(self, top_down: bool) -> int:
        # mmap_base() keeps at least 128 MB for the stack; the old layout starts at a third.
        if top_down:
            return self.end - (128 << 20)
        return -(-(self.end // 3) // self.page) * self.page

    def _pick_anywhere(self, size: int) -> int | None:
        at = super()._pick_anywhere(size)
        if at is None and self._top_down:
            # arch_get_unmapped_area_topdown tries upward before it gives up.
            return self.space.find_up(size, self._search_base(False), self.end, self.page)
        return at

    @property
    def map_count(self) -> int:
        """The process's mappings, which vm.max_map_count limits."""
        return len(self.space) + self.machine.image_maps

    def _refusal(self, at: int, size: int, kind: int) -> int:
        m = self.machine
        if m.max_map_count is not None and self.map_count > m.max_map_count:
            return ENOMEM
        if m.memlock_limit is not None and self._own_bytes() + size > m.memlock_limit:
            return EAGAIN
        refusal = super()._refusal(at, size, kind)
        if refusal:
            return refusal
        if kind & MAPPED:
            return self._refusal_of_memory(at, size)
        return 0

    def _refusal_of_memory(self, at: int, size: int) -> int:
        """What speaks against `size` writable bytes: RLIMIT_DATA and overcommit."""
        m = self.machine
        if m.rlimit_data is not None:
            used = self._writable_bytes() + m.image_data
            # may_expand_vm is asked again without what MAP_FIXED replaces, whatever that was.
            replaced = sum(end - start for start, end, _ in self.space.pieces(at, at + size))
            if used + size - replaced > m.rlimit_data:
                return ENOMEM
        if m.overcommit == 0 and m.ram_and_swap is not None and size > m.ram_and_swap:
            return ENOMEM
        if m.overcommit == 2 and m.commit_limit is not None:
            pieces = self.space.pieces(at, at + size)
            returned = sum(end - start for start, end, kind in pieces if kind & MAPPED)
            if m.committed + self._writable_bytes() - returned + size > m.commit_limit:
                return ENOMEM
        return 0

    def _writable_bytes(self) -> int:
        return sum(size for kind, size in self.space.totals().items() if kind & MAPPED)

    def _munmap(self, v: int, n: int) -> int:
        limit = self.machine.max_map_count
        if limit is not None and self.map_count >= limit:
            at = self.space.at(v)
            if at is not None and at[0] < v and v + n < at[1]:
                return ENOMEM  # it would split one mapping in two
        return super()._munmap(v, n)

    def _all_unmapped(self, v: int, n: int) -> bool:
        """addrspace_free: whether mincore calls every page of [v, v+n) unmapped.

        The runtime asks at each phys_page_size from v; the kernel refuses to look (EINVAL)
        where that is not a multiple of its own page, which counts as unmapped.
        """
        step, page = self.phys_page_size, self.page
        if step < page:
            first = v
            while first & (page - 1):
                first += step
                if first >= v + page:
                    return True
            step = page
        elif v & (page - 1):
            return True
        else:
            first = v
        for start, end, _ in self.space.pieces(first, v + n):
            asked = first + -(-(start - first) // step) * step
            if asked < end:
                return False
        return True

    def _mmap_fixed(self, v: int, n: int, kind: int, forced: Answer | None) -> int:
        """mmap_fixed: insists with MAP_FIXED where the kernel ignored a hint without need."""
        p = self._mmap(v, n, kind, forced=forced)
        if p != v and self._all_unmapped(v, n):
            if p > 4096:
                self._unmap(p, n)
            p = self._mmap(v, n, kind, fixed=True, forced=forced)
        return p

    def sys_alloc(self, n: int, stat: str) -> int:
        p = self._mmap(0, n, MAPPED, forced=self.planned("sysAlloc", 0, n))
        if p >= 4096:
            return p
        if p == EACCES:
            self.printed.append("runtime: mmap: access denied")
            raise Exit("runtime: mmap: access denied")
        if p == EAGAIN:
            line = "runtime: mmap: too much locked memory (check 'ulimit -l')."
            self.printed.append(line)
            raise Exit(line)
        return 0

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
                self._advise(head, 2 * huge, NO_HUGE_PAGES)
            else:
                if head:
                    self._advise(head, huge, NO_HUGE_PAGES)
                if tail and tail != head:
                    self._advise(tail, huge, NO_HUGE_PAGES)
        # MADV_DONTNEED changes no mapping.
        return v

    def judge_unused(self, v: int, n: int, answer: Answer) -> None:
        # The answers of madvise are not looked at, only the arguments are.
        if (v | n) & (self.phys_page_size - 1):
            raise Throw("unaligned sysUnused")

    def used_at(self, v: int, n: int) -> Answer:
        forced = self.planned("sysUsed", v, n)
        huge = self.huge_page_size
        if huge and forced is None:
            start, end = -(-v // huge) * huge, (v + n) // huge * huge
            if start < end:
                self._advise(start, end - start, HUGE_PAGES)
        return v

    def _refusal_of_access(self, at: int, size: int, kind: int) -> int:
        return self._refusal_of_memory(at, size) if kind & MAPPED else 0

    def advise(self, v: int, n: int, advice: str) -> None:
        kind = {"MADV_HUGEPAGE": HUGE_PAGES, "MADV_NOHUGEPAGE": NO_HUGE_PAGES}.get(advice)
        if kind is not None:
            self._advise(v, n, kind)

    def _advise(self, v: int, n: int, advice: int) -> None:
        """madvise(MADV_HUGEPAGE or MADV_NOHUGEPAGE): changes the kind of what is mapped there."""
        limit = self.machine.max_map_count
        for start, end, kind in self.space.pieces(v, v + n):
            new = kind & ~ADVICE | advice
            if not kind or new == kind:
                continue
            if limit is not None and self.map_count >= limit and self._splits(start, end, new):
                return  # split_vma refuses, and madvise ends there
            self.space.place(start, end, new)

    def _splits(self, start: int, end: int, kind: int) -> bool:
        """Whether giving [start, end) this kind makes more mappings than there were."""
        before, after = self.space.at(start - 1), self.space.at(end)
        old = self.space.at(start)
        assert old is not None
        more = 0
        if old[0] < start:
            more += 1
        elif before is not None and before[2] == kind:
            more -= 1
        if end < old[1]:
            more += 1
        elif after is not None and after[2] == kind:
            more -= 1
        return more > 0

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        if self.ptr_size == 8 and n > 1 << 32:
            forced = self.planned("sysReserve", v, n)
            p = self._mmap_fixed(v, PROBE, RESERVED, forced)
            if p != v:
                if p >= 4096:
                    self._unmap(p, PROBE)
                return 0, None
            self._unmap(p, PROBE)
            return v, False
        p = self._reserve(v, n)
        return (p, True) if p else (0, None)

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        # Where no size is limited, what lengthens a mapping into free space is given as it is asked for.
        if (
            n
            and self.boundless
            and self.plan is None
            and not (v | n) & (self.page - 1)
            and v + n <= self.end
            and (reserved or self.machine.hints_honoured)
            and (self.machine.max_map_count is None or self.map_count <= self.machine.max_map_count)
            and self.space.lengthen(v, v + n, MAPPED)
        ):
            return v
        forced = self.planned("sysMap", v, n)
        if reserved:
            p = self._mmap(v, n, MAPPED, fixed=True, forced=forced)
        else:
            p = self._mmap_fixed(v, n, MAPPED, forced)
        return p if p >= 4096 else Errno(p)

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        if answer == v:
            return
        p = answer.number if isinstance(answer, Errno) else answer
        if p == ENOMEM:
            raise Throw("runtime: out of memory")
        if reserved:
            raise Throw("runtime: cannot map pages in arena address space")
        self.printed.append(f"runtime: address space conflict: map({v:#x}) = {p:#x}")
        raise Throw("runtime: address space conflict")
