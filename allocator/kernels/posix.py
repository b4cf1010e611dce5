"""mmap and munmap over the address space, as Unix kernels have them in common.

mmap answers as the runtime's assembly hands it on: an address, or an errno as a
small number, so `p < 4096` means what it means in mem_*.go.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from allocator.common.throw import Throw
from allocator.kernels.address_space import MAPPED, RESERVED, AddressSpace, Range
from allocator.kernels.machine import Machine
from allocator.kernels.system import Answer, Errno, System

EAGAIN = 11
ENOMEM = 12
EINVAL = 22

# A store to a bad address while the runtime allocates: sigpanic's canpanic says no.
CRASH = "unexpected signal during runtime execution"


class Posix(System):
    """An operating system whose helpers stand on mmap, munmap and madvise."""

    # The kernel's habits where the machine does not say otherwise.
    top_down = True
    taken_hint: Literal["anywhere", "above", "below"] = "anywhere"  # where to look then
    # RLIMIT_AS is compared with the sum even where MAP_FIXED replaces what was counted already.
    limit_counts_replaced = True
    # Most assembly stores to a bad address when munmap fails; when madvise does, that of these GOARCHes.
    unmap_failure_crashes = True
    advise_failure_crashes: ClassVar[frozenset[str]] = frozenset()
    fixed_out_of_range = EINVAL
    limits = frozenset({"ulimit_v"})
    # Bytes that a process has mapped beside its image before its first instruction: stack, vdso.
    beside_image = 0

    def __init__(
        self,
        machine: Machine,
        *,
        goarch: str = "",
        ptr_size: int = 8,
        phys_page_size: int | None = None,
        huge_page_size: int = 0,
    ) -> None:
        """A process on `machine`.

        `phys_page_size` is what its runtime believes, `huge_page_size` sys.HugePageSize, 0 where
        the architecture has none (bytes).
        """
        super().__init__()
        self.machine = machine
        self.goarch = goarch
        self.ptr_size = ptr_size
        self.huge_page_size = huge_page_size
        self.phys_page_size = phys_page_size or machine.page_size
        self.page = machine.page_size
        # What the program itself takes of the address space before its runtime asks for anything.
        guessed = machine.image_size is None and machine.image_bytes > 0
        self.program_bytes = machine.image_bytes + (self.beside_image if guessed else 0)
        self.end = min(machine.end, 1 << 8 * ptr_size)
        self.space = AddressSpace(machine.occupied)
        self.overwritten: list[Range] = []
        down = self.top_down if machine.top_down is None else machine.top_down
        self._top_down = down
        self._base = self._search_base(down) if machine.mmap_base is None else machine.mmap_base

    def _search_base(self, top_down: bool) -> int:
        """Where the kernel starts to look for room when nothing says where."""
        return self.end if top_down else self.machine.low

    # What the kernel does.

    def _mmap(self, v: int, n: int, kind: int, fixed: bool = False, forced: Answer | None = None) -> int:
        """mmap of anonymous private memory: an address, or an errno below 4096."""
        if forced is not None and isinstance(forced, Errno):
            return forced.number
        page = self.page
        size = (n + page - 1) & -page
        if not n:
            return EINVAL
        if size >> 8 * self.ptr_size:
            return ENOMEM
        if fixed:
            if v & (page - 1):
                return EINVAL
            if v < self.machine.low or v + size > self.end:
                return self.fixed_out_of_range
            at = v
        elif forced is not None:
            at = forced & -page
        else:
            found = self._pick(v, size)
            if found is None:
                return ENOMEM
            at = found
        refusal = self._refusal(at, size, kind)
        if refusal:
            return refusal
        if fixed:
            self._note_overwritten(at, at + size)
        self.space.place(at, at + size, kind)
        return at

    def _pick(self, v: int, size: int) -> int | None:
        """Where a mapping of `size` goes that asks for v (0: anywhere)."""
        if v >= self.page and self.machine.hints_honoured:
            hint = self._round_hint(v)
            if hint + size <= self.end and self.space.is_free(hint, hint + size):
                return hint
            found = None
            if self.taken_hint == "above":
                found = self.space.find_up(size, hint, self.end, self.page)
            elif self.taken_hint == "below":
                found = self.space.find_down(size, min(hint + size, self._base), self.machine.low, self.page)
            if found is not None:
                return found
        return self._pick_anywhere(size)

    def _round_hint(self, v: int) -> int:
        return max(v & -self.page, self.machine.low)

    def _pick_anywhere(self, size: int) -> int | None:
        if self._top_down:
            return self.space.find_down(size, self._base, self.machine.low, self.page)
        return self.space.find_up(size, self._base, self.end, self.page)

    def _refusal(self, at: int, size: int, kind: int) -> int:
        """The errno with which limits forbid this mapping, or 0."""
        limit = self.machine.ulimit_v
        if limit is not None:
            over = self._own_bytes() + self.program_bytes + size - limit
            if over > 0 and not self.limit_counts_replaced:
                over -= sum(end - start for start, end, _ in self.space.pieces(at, at + size))
            if over > 0:
                return ENOMEM
        return 0

    def _refusal_of_access(self, at: int, size: int, kind: int) -> int:
        """The errno with which limits forbid that [at, at+size) becomes of this kind, or 0."""
        return 0

    def advise(self, v: int, n: int, advice: str) -> None:
        """madvise of mapped [v, v+n) under the advice's C name; most advice changes no mapping."""

    def _own_bytes(self) -> int:
        """All that the runtime has mapped or reserved so far."""
        return self.space.held

    def _note_overwritten(self, start: int, end: int) -> None:
        """Remembers foreign mappings that a MAP_FIXED replaces without a word."""
        for piece_start, piece_end, kind in self.space.pieces(start, end):
            if not kind:
                self.overwritten.append(Range(piece_start, piece_end))

    def _munmap(self, v: int, n: int) -> int:
        """munmap: 0 or an errno."""
        size = (n + self.page - 1) & -self.page
        if v & (self.page - 1) or not n or v + size > self.end:
            return EINVAL
        self.space.clear(v, v + size)
        return 0

    def _unmap(self, v: int, n: int, forced: Answer | None = None) -> None:
        """munmap as the runtime calls it: a failure crashes on purpose, on most systems."""
        failed = True if isinstance(forced, Errno) else self._munmap(v, n) != 0
        if failed and self.unmap_failure_crashes:
            raise Throw(CRASH)

    # What mem_*.go does, where the systems agree.

    def sys_alloc(self, n: int, stat: str) -> int:
        p = self._mmap(0, n, MAPPED, forced=self.planned("sysAlloc", 0, n))
        return p if p >= 4096 else 0

    def sys_free(self, v: int, n: int) -> None:
        self._unmap(v, n, self.planned("sysFree", v, n))

    def unused_at(self, v: int, n: int) -> Answer:
        # MADV_FREE changes no mapping.
        forced = self.planned("sysUnused", v, n)
        return v if forced is None else forced

    def judge_unused(self, v: int, n: int, answer: Answer) -> None:
        if isinstance(answer, Errno) and self.goarch in self.advise_failure_crashes:
            raise Throw(CRASH)

    def sys_fault(self, v: int, n: int) -> None:
        # The answer is not looked at.
        self._mmap(v, n, RESERVED, fixed=True, forced=self.planned("sysFault", v, n))

    def _reserve(self, v: int, n: int) -> int:
        """mmap without access, which settles a sysReserve; 0 when refused."""
        p = self._mmap(v, n, RESERVED, forced=self.planned("sysReserve", v, n))
        return p if p >= 4096 else 0
