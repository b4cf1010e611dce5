"""The memory behind the page allocator: summaries, scavenge index, chunks (mpagealloc_{32,64}bit.go).

On 64-bit each level of the summaries is a reservation as large as the whole address space needs it,
of which growth maps what it needs. The scavenge index is reserved the same way, but the runtime does
not check whether that succeeded: if it did not, its entries lie from address 0 on, and growth maps
them there. On 32-bit all is small: one reservation for all levels, mapped at once, and an index that is a
variable of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from allocator.common.throw import Killed, Throw

if TYPE_CHECKING:
    from allocator.sparse.core import Core

SUM_BYTES = 8  # sizeof pallocSum
SCAV_BYTES = 8  # sizeof atomicScavChunkData
STAT = "gc_misc_sys"


def subtract(need: tuple[int, int], have: tuple[int, int]) -> tuple[int, int]:
    """The part of `need` outside `have`; a throw where that is two pieces (addrRange.subtract)."""
    base, limit = need
    lo, hi = have
    if lo <= base and limit <= hi:
        return base, base
    if base < lo and hi < limit:
        raise Throw("bad prune")
    if hi < limit and base < hi:
        return hi, limit
    if base < lo and lo < limit:
        return base, lo
    return need


class InUse(Protocol):
    """The heap's addresses so far, as sorted ranges of offset addresses."""

    bases: list[int]
    limits: list[int]
    capacity: int
    reserve: Callable[[int], None]

    def succ(self, addr: int) -> int:
        """The place of the first range that begins above addr."""
        ...


class SummaryMemory:
    """Where summaries, scavenge index and chunks lie, and what is mapped of them.

    Addresses of the heap are offset addresses here: counted from the beginning of the arena map.
    `summary` has the address of each level, `lengths` how many of its entries may be read, which only
    grows. `index` is the scavenge index's address (0 where its reservation failed unnoticed),
    `index_min` and `index_max` bound its mapped entries (bytes, where it is one of bits).
    `mapped_ready` counts the bytes that growth mapped (summaryMappedReady). `tables` has the address
    of each table of chunks by the first part of a chunk's number, `mapped` the pieces (address, bytes,
    purpose) of the reservations that are mapped.
    """

    __slots__ = (
        "_grown_to", "_index_shift", "core", "huge_pages", "index", "index_failed", "index_max",
        "index_min", "lengths", "mapped", "mapped_ready", "summary", "tables",
    )  # fmt: skip

    def __init__(self, core: Core) -> None:
        self.core = core
        self.summary: list[int] = []
        self.lengths = [0] * core.config.summary_levels
        self.index = 0
        self.index_failed = False
        self.index_min = self.index_max = 0
        self.mapped_ready = 0
        self.tables: dict[int, int] = {}
        self.mapped: list[tuple[int, int, str]] = []
        self.huge_pages = False  # chunkHugePages
        self._grown_to = -1  # where the last growth ended
        config = core.config
        self._index_shift = config.log_palloc_chunk_bytes + (3 if config.scav_index_of_bits else 0)

    @property
    def is_32bit(self) -> bool:
        """Whether the summaries are one small piece (pageAlloc32Bit): wasm counts as 32-bit here."""
        return self.core.config.summary_levels < 5

    def entries(self, level: int) -> int:
        """How many summaries the level has for the whole address space."""
        config = self.core.config
        return 1 << (config.heap_addr_bits - config.level_shift[level])

    def reservation(self, level: int) -> int:
        """Bytes reserved for the level; on 32-bit it shares them with the other levels."""
        page = self.core.config.phys_page_size
        size = self.entries(level) * SUM_BYTES
        return size if self.is_32bit else (size + page - 1) & -page

    def _map(self, v: int, n: int, name: str) -> None:
        mem = self.core.mem
        mem.sys_map(v, n, STAT, name)
        mem.sys_used(v, n, n)
        self.mapped.append((v, n, name))
        self.mapped_ready += n

    @property
    def index_bytes(self) -> int:
        """What the whole scavenge index takes."""
        config = self.core.config
        chunks = 1 << (config.heap_addr_bits - config.log_palloc_chunk_bytes)
        return chunks // 8 if config.scav_index_of_bits else chunks * SCAV_BYTES

    def in_use(self, entries: int) -> None:
        """Room for so many ranges in use (addrRanges): what was there before is left behind."""
        ptr_size = self.core.config.ptr_size
        self.core.persistent.alloc(2 * ptr_size * entries, ptr_size, STAT)

    def reserve(self) -> None:
        """pageAlloc.sysInit, then scavengeIndex.sysInit."""
        if self.is_32bit:
            self._init_small()
            return
        core = self.core
        page = core.config.phys_page_size
        for level in range(core.config.summary_levels):
            size = (self.entries(level) * SUM_BYTES + page - 1) & -page
            r = core.mem.sys_reserve(0, size, "page summary")
            if not r:
                raise Throw("failed to reserve page summary memory")
            self.summary.append(r)
        self.index = core.mem.sys_reserve(0, self.index_bytes, "scavenge index")
        self.index_failed = not self.index

    def _init_small(self) -> None:
        core = self.core
        page = core.config.phys_page_size
        sizes = [self.entries(level) * SUM_BYTES for level in range(core.config.summary_levels)]
        total = (sum(sizes) + page - 1) & -page
        r = core.mem.sys_reserve(0, total, "page summary")
        if not r:
            raise Throw("failed to reserve page summary memory")
        self._map(r, total, "page summary")
        for size in sizes:
            self.summary.append(r)
            r += size
        if not core.config.scav_index_of_bits:
            self.index_min = 1  # the heap never gets the 0th chunk
            self.index_max = self.index_bytes // SCAV_BYTES

    # Growth.

    def grow(self, base: int, limit: int, in_use: InUse) -> None:
        """pageAlloc.sysGrow and scavengeIndex.sysGrow for the new heap memory [base, limit).

        `in_use` has the heap's memory before it. Addresses are multiples of palloc_chunk_bytes.
        """
        chunk = self.core.config.palloc_chunk_bytes
        if base % chunk or limit % chunk:
            address = self.core.config.address
            raise Throw(
                "sysGrow bounds not aligned to pallocChunkBytes",
                f"runtime: base = {address(base):#x}, limit = {address(limit):#x}",
            )
        if base == self._grown_to and in_use.bases[-1] < base:
            self._grow_on(base, limit)
        else:
            self._grow_summaries(base, limit, in_use)
            if not self.is_32bit:
                self._grow_index(base, limit)
        self._grown_to = limit

    def ready_up_to(self, limit: int) -> int:
        """Up to where the heap, which ends at `limit`, can grow on without memory for summaries and index.

        Where the latest growth was another, `limit`.
        """
        if limit != self._grown_to:
            return limit
        config = self.core.config
        if self.is_32bit:
            return 1 << config.heap_addr_bits
        page = config.phys_page_size
        ready = self.index_max << self._index_shift
        for level, bits in enumerate(config.level_bits):
            shift = config.level_shift[level] + bits
            end = ((limit - 1 >> shift) + 1 << bits) * SUM_BYTES
            ready = min(ready, (end + page - 1 & -page) // SUM_BYTES >> bits << shift)
        return ready

    def _grow_on(self, base: int, limit: int) -> None:
        """The same where the heap's last range goes on after its latest growth: only new blocks count."""
        config = self.core.config
        narrow = self.is_32bit
        page = config.phys_page_size
        level_shift, level_bits = config.level_shift, config.level_bits
        # Where a level has no new block, those above it have none.
        first = len(level_shift)
        while first:
            shift = level_shift[first - 1] + level_bits[first - 1]
            if limit - 1 >> shift == base - 1 >> shift:
                break
            first -= 1
        for level in range(first, len(level_shift)):
            bits = level_bits[level]
            shift = level_shift[level] + bits
            blocks, known = (limit - 1 >> shift) + 1, (base - 1 >> shift) + 1
            self.lengths[level] = max(self.lengths[level], blocks << bits)
            if not narrow:
                have, need = ((n << bits) * SUM_BYTES + page - 1 & -page for n in (known, blocks))
                if need > have:
                    self._map(self.summary[level] + have, need - have, "page alloc")
        if not narrow and limit > self.index_max << self._index_shift:
            self._grow_index(base, limit)

    def summary_range(self, level: int, base: int, limit: int) -> tuple[int, int]:
        """The summaries [from, to) of a level that describe heap memory [base, limit).

        Whole blocks of siblings, as their parent is computed from all (addrsToSummaryRange,
        blockAlignSummaryRange).
        """
        config = self.core.config
        shift = config.level_shift[level]
        siblings = 1 << config.level_bits[level]
        first, end = base >> shift, (limit - 1 >> shift) + 1
        return first & -siblings, (end + siblings - 1) & -siblings

    def _summary_memory(self, level: int, base: int, limit: int) -> tuple[int, int]:
        """The pages of the level's reservation that hold these summaries."""
        page = self.core.config.phys_page_size
        first, end = self.summary_range(level, base, limit)
        at = self.summary[level]
        return at + (first * SUM_BYTES & -page), at + ((end * SUM_BYTES + page - 1) & -page)

    def _grow_summaries(self, base: int, limit: int, in_use: InUse) -> None:
        succ = in_use.succ(base)
        for level in range(self.core.config.summary_levels):
            self.lengths[level] = max(self.lengths[level], self.summary_range(level, base, limit)[1])
            if self.is_32bit:
                continue
            need = self._summary_memory(level, base, limit)
            for i in (succ - 1, succ):
                if 0 <= i < len(in_use.bases):
                    have = self._summary_memory(level, in_use.bases[i], in_use.limits[i])
                    need = subtract(need, have)
            size = need[1] - need[0]
            if size:
                self._map(need[0], size, "page alloc")

    def _grow_index(self, base: int, limit: int) -> None:
        """Maps the entries from the lowest chunk of the heap to the highest, whatever lies between."""
        config = self.core.config
        bits = config.scav_index_of_bits
        unit = 1 if bits else SCAV_BYTES
        step = config.phys_page_size // unit
        have_min, have_max = self.index_min, self.index_max
        first, end = base >> config.log_palloc_chunk_bytes, limit >> config.log_palloc_chunk_bytes
        if bits:
            first, end = first // 8, (end + 7) // 8
        need_min, need_max = first & -step, (end + step - 1) & -step
        if need_max < have_min:
            need_max = have_min
        if need_min > have_max and (have_max or config.scav_index_from_zero):
            need_min = have_max
        need = subtract(
            (self.index + need_min * unit, self.index + need_max * unit),
            (self.index + have_min * unit, self.index + have_max * unit),
        )
        size = need[1] - need[0]
        if not size:
            return
        self._map(need[0], size, "scavenge index")
        if self.core.mem.os.overwrote_program:
            raise Killed("SIGSEGV")
        unset = not (have_min if config.scav_index_zero_is_unset else have_max)
        if unset or need_min < have_min:
            self.index_min = need_min
        self.index_max = max(have_max, need_max)

    # Chunks.

    @property
    def table_bytes(self) -> int:
        """A table of chunks: their bits of allocated and of scavenged pages."""
        config = self.core.config
        return config.sizeof["pallocData"] << config.palloc_chunks_l2_bits

    def chunks(self, first: int, end: int) -> None:
        """Tables for the chunks first to end; a throw where the system has no memory for one."""
        shift = self.core.config.palloc_chunks_l2_bits
        for l1 in range(first >> shift, (end - 1 >> shift) + 1):
            if l1 not in self.tables:
                self.tables[l1] = self._new_table()

    def known_up_to(self, limit: int) -> int:
        """Up to where the tables reach that there are, for a heap that ends at `limit`."""
        config = self.core.config
        shift = config.log_palloc_chunk_bytes + config.palloc_chunks_l2_bits
        return (limit - 1 >> shift) + 1 << shift

    def _new_table(self) -> int:
        mem = self.core.mem
        size = self.table_bytes
        r = mem.sys_alloc(size, STAT, "page alloc index")
        if not r:
            raise Throw("pageAlloc: out of memory")
        if self.core.config.metadata_without_huge_pages:
            if self.huge_pages:
                mem.sys_huge_page(r, size)
            else:
                mem.sys_no_huge_page(r, size)
        return r

    def enable_huge_pages(self, in_use: InUse) -> None:
        """pageAlloc.enableChunkHugePages: the last table of each range is left out, as in Go."""
        if self.huge_pages:
            return
        self.huge_pages = True
        in_use.reserve(in_use.capacity)  # Go copies the ranges, and never gives the copy back
        config = self.core.config
        shift = config.log_palloc_chunk_bytes + config.palloc_chunks_l2_bits
        for base, limit in zip(in_use.bases, in_use.limits, strict=True):
            for l1 in range(base >> shift, limit - 1 >> shift):
                self.core.mem.sys_huge_page(self.tables[l1], self.table_bytes)
