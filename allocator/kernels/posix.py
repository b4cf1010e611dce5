"""mmap and its kin over the address space, as Unix kernels have them in common."""

from __future__ import annotations

from typing import Literal

from allocator.kernels.address_space import ACCESS, MAPPED, RESERVED, Range
from allocator.kernels.calls import DONTNEED, FREE, FREE_REUSABLE
from allocator.kernels.contracts import Contract
from allocator.kernels.kernel import SimulatedKernel
from allocator.kernels.machine import Machine
from allocator.kernels.system import Answer, Errno

EPERM = 1
EBADF = 9
EAGAIN = 11  # this and EACCES have words of their own where mem_linux.go and mem_aix.go ask for memory
ENOMEM = 12
EACCES = 13
EINVAL = 22
GIVING_BACK = (FREE, DONTNEED, FREE_REUSABLE)


class Posix(SimulatedKernel):
    """A kernel with mmap, munmap, madvise and mprotect. Addresses and sizes in bytes."""

    # The kernel's habits where the machine does not say otherwise.
    top_down = True
    taken_hint: Literal["anywhere", "above", "below"] = "anywhere"  # where to look then
    # RLIMIT_AS is compared with the sum even where MAP_FIXED replaces what was counted already.
    limit_counts_replaced = True
    fixed_out_of_range = EINVAL
    limits = frozenset({"ulimit_v"})
    contract = Contract(refusals=(ENOMEM, EPERM, EAGAIN, EACCES))
    # Bytes that a process has mapped beside its image before its first instruction: stack, vdso.
    beside_image = 0

    def __init__(self, machine: Machine, *, ptr_size: int = 8, logs: bool = True) -> None:
        """A process on `machine`, whose word has `ptr_size` bytes."""
        super().__init__(machine, ptr_size, logs)
        self.page = machine.page_size
        guessed = machine.image_size is None and machine.image_bytes > 0
        self._program_bytes = machine.image_bytes + (self.beside_image if guessed else 0)
        down = self.top_down if machine.top_down is None else machine.top_down
        self._top_down = down
        base = self._search_base(down) if machine.mmap_base is None else machine.mmap_base
        self._base = base if down else max(base, machine.low)

    @property
    def program_bytes(self) -> int:
        """What the program itself takes of the address space before its runtime asks for anything."""
        return self._program_bytes

    @property
    def map_count(self) -> int:
        """The process's mappings, with those that stand nowhere in its address space."""
        return len(self.space) + self.machine.image_maps

    # The system calls.

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False, forced: Answer | None = None) -> Answer:
        """Anonymous private memory at v (0: anywhere), readable and writable or without access.

        `forced` replaces the kernel's own choice: a refusal, or the address of the memory
        (MAP_FIXED excepted).
        """
        if forced is None and self.plan is not None:
            forced = self.plan("sysMap" if fixed else "sysAlloc" if access else "sysReserve", v, n)
        answer = self._map(v, n, MAPPED if access else RESERVED, fixed, forced)
        self.note("map", v, n, "rw" if access else "-", answer, fixed)
        return answer

    def munmap(self, v: int, n: int) -> Answer:
        """0 or an errno."""
        answer = self._planned("sysFree", v, n) or self._unmap(v, n)
        self.note("unmap", v, n, "", answer)
        return answer

    def madvise(self, v: int, n: int, advice: str) -> Answer:
        """0 or an errno; `advice` is its C name."""
        refused = self._planned("sysUnused", v, n) if advice in GIVING_BACK else None
        answer = refused or self._advise(v, n, advice)
        self.note("advise", v, n, advice, answer)
        return answer

    def mprotect(self, v: int, n: int, access: bool) -> Answer:
        """0 or an errno."""
        refused = self._planned("sysMap" if access else "sysFault", v, n)
        answer = refused or self._protect(v, n, MAPPED if access else RESERVED)
        self.note("protect", v, n, "rw" if access else "-", answer)
        return answer

    def brk(self) -> int:
        """Where the process's break is, without moving it."""
        p = -(-self.machine.data_end // self.page) * self.page
        self.note("brk", 0, 0, "", p)
        return p

    def _planned(self, helper: str, v: int, n: int) -> Errno | None:
        """The refusal that a plan has for a call that takes no memory."""
        answer = None if self.plan is None else self.plan(helper, v, n)
        return answer if isinstance(answer, Errno) else None

    # How they are answered.

    def _search_base(self, top_down: bool) -> int:
        """Where the kernel starts to look for room when nothing says where."""
        return self.end if top_down else self.machine.low

    def _map(self, v: int, n: int, kind: int, fixed: bool, forced: Answer | None) -> Answer:
        if isinstance(forced, Errno):
            return forced
        page = self.page
        size = (n + page - 1) & -page
        if not n:
            return Errno(EINVAL)
        if size >> 8 * self.ptr_size:
            return Errno(ENOMEM)
        if fixed:
            if v & (page - 1):
                return Errno(EINVAL)
            if v < self.machine.low or v + size > self.end:
                return Errno(self.fixed_out_of_range)
            at = v
        elif forced is not None:
            at = forced & -page
        else:
            found = self._pick(v, size)
            if found is None:
                return Errno(ENOMEM)
            at = found
        refusal = self._refusal(at, size, kind)
        if refusal:
            return Errno(refusal)
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
            over = self._own_bytes() + self._program_bytes + size - limit
            if over > 0 and not self.limit_counts_replaced:
                over -= sum(end - start for start, end, _ in self.space.pieces(at, at + size))
            if over > 0:
                return ENOMEM
        return 0

    def _refusal_of_access(self, at: int, size: int, kind: int) -> int:
        """The errno with which limits refuse to turn [at, at+size) into this kind, or 0."""
        return 0

    def _own_bytes(self) -> int:
        """All that the runtime has mapped or reserved so far."""
        return self.space.held

    def _note_overwritten(self, start: int, end: int) -> None:
        """Remembers foreign mappings that a MAP_FIXED silently replaces."""
        for piece_start, piece_end, kind in self.space.pieces(start, end):
            if not kind:
                self.overwritten.append(Range(piece_start, piece_end))

    def _unmap(self, v: int, n: int) -> Answer:
        size = (n + self.page - 1) & -self.page
        if v & (self.page - 1) or not n or v + size > self.end:
            return Errno(EINVAL)
        self.space.clear(v, v + size)
        return 0

    def _advise(self, v: int, n: int, advice: str) -> Answer:
        """Most advice changes no mapping; where something is not mapped, the rest is advised all the same."""
        if v & (self.page - 1):
            return Errno(EINVAL)
        size = -(-n // self.page) * self.page
        at = self.space.at(v)
        whole = at is not None and v + size <= at[1]
        if not whole:
            whole = sum(end - start for start, end, _ in self.space.pieces(v, v + size)) == size
        self._take_advice(v, size, advice)
        return 0 if whole else Errno(ENOMEM)

    def _take_advice(self, v: int, n: int, advice: str) -> None:
        """What advice changes of the mappings in [v, v+n)."""

    def _protect(self, v: int, n: int, kind: int) -> Answer:
        if v & (self.page - 1):
            return Errno(EINVAL)
        size = -(-n // self.page) * self.page
        pieces = self.space.pieces(v, v + size)
        if sum(end - start for start, end, _ in pieces) != size:
            return Errno(ENOMEM)
        # Memory that becomes writable is charged like a new mapping, what was writable not again.
        refusal = self._refusal_of_access(v, size, kind)
        if refusal:
            return Errno(refusal)
        for start, end, had in pieces:
            self.space.place(start, end, had & ~ACCESS | kind)
        return 0
