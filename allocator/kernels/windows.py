"""Windows: mem_windows.go over VirtualAlloc and VirtualFree.

Address space is handed out in allocations that begin at multiples of 64 KB, and a
later call must stay within one of them: a commit or a decommit across two
neighbours fails, however well they fit together. Committed pages count against one
limit for the whole machine; before Windows 8.1 so do the page tables of what is
only reserved (golang/go#5402).
"""

from __future__ import annotations

from collections.abc import Callable

from allocator.common.throw import Throw
from allocator.kernels.address_space import MAPPED, TAKEN, AddressSpace
from allocator.kernels.machine import Machine
from allocator.kernels.system import Answer, Errno, System

ALLOCATION_GRANULARITY = 64 << 10
SMALLEST_PIECE = 4096  # where the runtime's halving stops

NOT_ENOUGH_MEMORY = Errno(8)
INVALID_PARAMETER = Errno(87)
INVALID_ADDRESS = Errno(487)
COMMITMENT_LIMIT = Errno(1455)


def page_table_commit(start: int, n: int, ptr_size: int, page_size: int = 4096) -> int:
    """Bytes of page tables that map [start, start+n) on x86: 512 entries of 8 bytes a table.

    On 64 bits the tables of all levels below the topmost; on 32 bits (PAE) the lowest only,
    since a process has its four page directories from the start.
    """
    if n <= 0:
        return 0
    tables = 0
    covered = page_size * (page_size // 8)
    for _ in range(3 if ptr_size == 8 else 1):
        tables += (start + n - 1) // covered - start // covered + 1
        covered *= page_size // 8
    return tables * page_size


class Windows(System):
    """mem_windows.go: reserve, commit, decommit."""

    name = "windows"
    counts_failed_alloc = True
    refusal = COMMITMENT_LIMIT
    limits = frozenset({"commit_limit"})

    def __init__(self, machine: Machine, *, ptr_size: int = 8) -> None:
        """A process on `machine`."""
        super().__init__()
        self.machine = machine
        self.ptr_size = ptr_size
        self.end = min(machine.end, 1 << 8 * ptr_size)
        # Each allocation is a kind of its own, so that neighbours stay apart.
        self.space = AddressSpace(machine.occupied)
        self.committed = AddressSpace()
        self._serial = TAKEN
        self._page_tables = 0

    # What the kernel does.

    @property
    def commit_charge(self) -> int:
        """Bytes that this process has of the machine's commit limit."""
        return self.committed.total(MAPPED) + self._page_tables

    def _over_limit(self, more: int) -> bool:
        limit = self.machine.commit_limit
        return limit is not None and self.machine.committed + self.commit_charge + more > limit

    def _reserve(self, v: int, n: int, commit: bool, forced: Answer | None = None) -> Answer:
        """VirtualAlloc(MEM_RESERVE): the base of the new allocation."""
        page = self.machine.page_size
        if isinstance(forced, Errno):
            return forced
        if not n:
            return INVALID_PARAMETER
        if forced is not None:
            if v and v != forced:
                return INVALID_ADDRESS
            v = forced
        if v:
            base = v & -ALLOCATION_GRANULARITY
            end = -(-(v + n) // page) * page
            honoured = self.machine.hints_honoured or forced is not None
            if not honoured or base < self.machine.low or end > self.end or not self.space.is_free(base, end):
                return INVALID_ADDRESS
        else:
            size = -(-n // page) * page
            found = self._find(size)
            if found is None:
                return NOT_ENOUGH_MEMORY
            base, end = found, found + size
        tables = page_table_commit(base, end - base, self.ptr_size, page)
        tables = tables if self.machine.page_tables_charged else 0
        if self._over_limit(tables + (end - base if commit else 0)):
            return COMMITMENT_LIMIT
        self._page_tables += tables
        self._serial += 1
        self.space.place(base, end, self._serial)
        if commit:
            self.committed.place(base, end, MAPPED)
        return base

    def _find(self, size: int) -> int | None:
        """Where the kernel puts an allocation that may go anywhere."""
        m = self.machine
        if m.top_down:
            top = self.end if m.mmap_base is None else m.mmap_base
            return self.space.find_down(size, top, m.low, ALLOCATION_GRANULARITY)
        base = m.low if m.mmap_base is None else m.mmap_base
        return self.space.find_up(size, base, self.end, ALLOCATION_GRANULARITY)

    def _pages(self, v: int, n: int) -> tuple[int, int]:
        page = self.machine.page_size
        return v // page * page, -(-(v + n) // page) * page

    def _commit(self, v: int, n: int, forced: Answer | None = None) -> Answer:
        """VirtualAlloc(MEM_COMMIT) within one allocation: the first page's address."""
        if isinstance(forced, Errno):
            return forced
        start, end = self._pages(v, n)
        allocation = self.space.at(start)
        if allocation is None or allocation[2] == TAKEN or end > allocation[1]:
            return INVALID_ADDRESS
        held = sum(e - s for s, e, _ in self.committed.pieces(start, end))
        if self._over_limit(end - start - held):
            return COMMITMENT_LIMIT
        self.committed.place(start, end, MAPPED)
        return start

    def _decommit(self, v: int, n: int, forced: Answer | None = None) -> Errno | None:
        """VirtualFree(MEM_DECOMMIT) within one allocation."""
        if isinstance(forced, Errno):
            return forced
        start, end = self._pages(v, n)
        allocation = self.space.at(start)
        if allocation is None or allocation[2] == TAKEN:
            return INVALID_ADDRESS
        if end > allocation[1]:
            return INVALID_PARAMETER
        self.committed.clear(start, end)
        return None

    def _release(self, v: int) -> Errno | None:
        """VirtualFree(MEM_RELEASE): a whole allocation, named by its base."""
        allocation = self.space.at(v)
        if allocation is None or allocation[2] == TAKEN or allocation[0] != v:
            return INVALID_ADDRESS
        start, end, _ = allocation
        if self.machine.page_tables_charged:
            self._page_tables -= page_table_commit(start, end - start, self.ptr_size, self.machine.page_size)
        self.committed.clear(start, end)
        self.space.clear(start, end)
        return None

    # What mem_windows.go does.

    def sys_alloc(self, n: int, stat: str) -> int:
        p = self._reserve(0, n, True, self.planned("sysAlloc", 0, n))
        return 0 if isinstance(p, Errno) else p

    def sys_free(self, v: int, n: int) -> None:
        forced = self.planned("sysFree", v, n)
        failed = forced if isinstance(forced, Errno) else self._release(v)
        if failed is not None:
            self._print_failure("VirtualFree", n, failed)
            raise Throw("runtime: failed to release pages")

    def unused_at(self, v: int, n: int) -> Answer:
        return self._piecewise(v, n, self._decommit, self.planned("sysUnused", v, n))

    def judge_unused(self, v: int, n: int, answer: Answer) -> None:
        if isinstance(answer, Errno):
            self._print_failure("VirtualFree", n % SMALLEST_PIECE, answer)
            raise Throw("runtime: failed to decommit pages")

    def sys_fault(self, v: int, n: int) -> None:
        self.judge_unused(v, n, self._piecewise(v, n, self._decommit, self.planned("sysFault", v, n)))

    def used_at(self, v: int, n: int) -> Answer:
        return self._piecewise(v, n, self._commit, self.planned("sysUsed", v, n))

    def judge_used(self, v: int, n: int, answer: Answer) -> None:
        if isinstance(answer, Errno):
            self._print_failure("VirtualAlloc", n % SMALLEST_PIECE, answer)
            raise Throw("runtime: failed to commit pages")

    @staticmethod
    def _piecewise(
        v: int, n: int, call: Callable[[int, int, Answer | None], Answer | None], forced: Answer | None
    ) -> Answer:
        """The halving of sysUnused and sysUsed: ever smaller pieces, each within one allocation.

        v is a multiple of SMALLEST_PIECE. Returns v, or the error that the last and smallest
        piece met; the runtime prints as that piece's size what the halving left, which for whole
        pages is 0.
        """
        start, left = v, n
        while left > 0:
            small = left
            answer: Answer | None = INVALID_PARAMETER
            while small >= SMALLEST_PIECE:
                answer = call(start, small, forced)
                if not isinstance(answer, Errno):
                    break
                small = small // 2 & -SMALLEST_PIECE
            if small < SMALLEST_PIECE:
                assert isinstance(answer, Errno)
                return answer
            start += small
            left -= small
        return v

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        forced = self.planned("sysReserve", v, n)
        p = self._reserve(v, n, False, forced)
        if isinstance(p, Errno):
            p = self._reserve(0, n, False, forced)
        return 0 if isinstance(p, Errno) else p, True

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        return self._commit(v, n, self.planned("sysMap", v, n))

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        if answer != v:
            self._print_failure("VirtualAlloc", n, answer if isinstance(answer, Errno) else Errno(0))
            raise Throw("runtime: cannot map pages in arena address space")

    def _print_failure(self, call: str, n: int, error: Errno) -> None:
        self.printed.append(f"runtime: {call} of {n} bytes failed with errno={error.number}")
