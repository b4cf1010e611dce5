"""Windows: VirtualAlloc and VirtualFree.

Address space is handed out in allocations that begin at multiples of 64 KB, and a
later call must stay within one of them: a commit or a decommit across two
neighbours fails, however well they fit together. Committed pages count against one
limit for the whole machine; before Windows 8.1 so do the page tables of what is
only reserved (golang/go#5402).
"""

from __future__ import annotations

from allocator.kernels.address_space import MAPPED, TAKEN, AddressSpace
from allocator.kernels.contracts import Contract
from allocator.kernels.kernel import SimulatedKernel
from allocator.kernels.machine import Machine
from allocator.kernels.system import Answer, Errno

ALLOCATION_GRANULARITY = 64 << 10

NOT_ENOUGH_MEMORY = Errno(8)
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


class Windows(SimulatedKernel):
    """Reserving, committing, decommitting, releasing."""

    name = "windows"
    refusal = COMMITMENT_LIMIT
    limits = frozenset({"commit_limit"})
    contract = Contract(
        alignment=ALLOCATION_GRANULARITY,
        refusals=(COMMITMENT_LIMIT.number, INVALID_PARAMETER.number, NOT_ENOUGH_MEMORY.number),
    )

    def __init__(self, machine: Machine, *, ptr_size: int = 8, logs: bool = True) -> None:
        """A process on `machine`. Each allocation is a kind of its own, so that neighbours stay apart."""
        super().__init__(machine, ptr_size, logs)
        self.committed = AddressSpace()
        self._serial = TAKEN
        self._page_tables = 0

    # The system calls.

    def virtual_alloc(
        self, v: int, n: int, *, reserve: bool, commit: bool, forced: Answer | None = None
    ) -> Answer:
        """VirtualAlloc of n bytes at v (0: anywhere): the address, or an error.

        `forced` replaces what it would do: an error, or the address of an allocation.
        """
        if forced is None and self.plan is not None:
            helper = "sysUsed" if not reserve else "sysAlloc" if commit else "sysReserve"
            forced = self.plan(helper, v, n)
        if reserve:
            answer, what = self._reserve(v, n, commit, forced), "reserve,commit" if commit else "reserve"
        else:
            answer, what = self._commit(v, n, forced), "commit"
        if self.logs:
            self.note("VirtualAlloc", v, n, what, answer)
        return answer

    def virtual_free(self, v: int, n: int, *, release: bool, forced: Answer | None = None) -> Answer:
        """VirtualFree: 0, or an error. It decommits [v, v+n), or releases the allocation that begins at v."""
        if forced is None and self.plan is not None:
            forced = self.plan("sysFree" if release else "sysUnused", v, n)
        if release and isinstance(forced, Errno):
            answer: Answer = forced
        else:
            answer = (self._release(v) if release else self._decommit(v, n, forced)) or 0
        self.note("VirtualFree", v, n, "release" if release else "decommit", answer)
        return answer

    # How they are answered.

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
        base = m.low if m.mmap_base is None else max(m.low, m.mmap_base)
        return self.space.find_up(size, base, self.end, ALLOCATION_GRANULARITY)

    def _pages(self, v: int, n: int) -> tuple[int, int]:
        page = self.machine.page_size
        return v & -page, v + n + page - 1 & -page

    def _commit(self, v: int, n: int, forced: Answer | None = None) -> Answer:
        """VirtualAlloc(MEM_COMMIT) within one allocation: the first page's address."""
        if isinstance(forced, Errno):
            return forced
        start, end = self._pages(v, n)
        allocation = self.space.at(start)
        if allocation is None or allocation[2] == TAKEN or end > allocation[1]:
            return INVALID_ADDRESS
        if self.machine.commit_limit is not None:
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
