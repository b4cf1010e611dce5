"""All that differs between platforms and between releases of today's runtime, as one frozen record.

Two kinds of fields. Figures come from the constants and structs of package runtime
and its internal packages, under Go's own names in snake_case. Switches say which of
two ways a release goes; each is named for the idea, not for the release, and the
comment says what it changes. Nothing else in the machine knows of releases.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from allocator.common.sizeclasses import SizeClasses


@dataclass(frozen=True, kw_only=True, eq=False)
class Config:
    """What a machine of today is booted from. Sizes are bytes unless a name says otherwise."""

    platform: str
    goos: str
    goarch: str
    ptr_size: int

    # What the machine below tells the runtime (osinit, the linker).
    phys_page_size: int  # physPageSize: what the auxiliary vector or its like says
    phys_huge_page_size: int  # physHugePageSize: 0 where the kernel reports none
    data_end: int  # firstmoduledata.end: where the 32-bit path looks for room
    min_phys_page_size: int
    max_phys_page_size: int
    max_phys_huge_page_size: int

    # Addresses and arenas (malloc.go).
    heap_addr_bits: int
    log_heap_arena_bytes: int
    arena_l1_bits: int
    arena_l2_bits: int
    arena_base_offset: int
    max_alloc: int
    pages_per_span_root: int
    pages_per_reclaimer_chunk: int
    user_arena_chunk_bytes: int
    persistent_chunk_size: int
    fix_alloc_chunk: int
    min_heap_for_metadata_huge_pages: int
    tag_bits: int  # tagptr: bits for the count of a lock-free list's head
    min_tag_bits: int
    tag_align_bits: int  # tagptr: low bits of a node's address that are not kept

    # Where the heap asks for room, in the order of asking (malloc.go).
    hints: tuple[int, ...]  # of the heap, on 64 bits; none where their base is random
    user_arena_hints: tuple[int, ...]
    ladder: tuple[int, ...]  # what a 32-bit start reserves for arenas: the first of these that it gets
    random_address_bits: int  # of a random base, the bits of an address that it lies in
    random_prefix: int  # and the bits that differ from hint to hint: those that randHeapBasePrefixMask clears
    usual_base: int  # the first hint, if it were not drawn

    # The page allocator (mpagealloc.go, mpallocbits.go, mpagecache.go, mgcscavenge.go).
    page_shift: int
    log_palloc_chunk_pages: int
    palloc_chunks_l1_bits: int
    summary_levels: int
    summary_level_bits: int
    max_pages_per_phys_page: int
    scav_chunk_hi_occ_pages: int

    # Objects (malloc.go, mbitmap.go).
    size_classes: SizeClasses
    tiny_size: int
    tiny_size_class: int
    max_small_size: int
    min_size_for_malloc_header: int
    malloc_header_size: int

    # Span sets, mark bits, pacing (mspanset.go, mheap.go, mgcpacer.go).
    cache_line_size: int  # internal/cpu's CacheLinePadSize: what spines and blocks are aligned to
    span_set_block_entries: int
    span_set_init_spine_cap: int
    gc_bits_chunk_bytes: int
    gc_bits_header_bytes: int
    default_heap_minimum: int
    sweep_min_heap_distance: int
    buck_hash_size: int

    # Stacks (stack.go, malloc.go).
    stack_cache_size: int
    num_stack_orders: int
    fixed_stack: int
    stack_min: int  # bytes that a goroutine asks for
    stack_system: int  # what the system puts onto stacks (windows, plan9, ios)

    # sizeof, by the struct's Go name: mspan, mcache, heapArena, spanSetBlock, special …
    sizeof: dict[str, int]

    # Switches: what a system or a port is like.
    race: bool  # raceenabled: built with -race; here that changes where the heap may lie, and nothing else
    sbrk_platform: bool  # isSbrkPlatform: the heap grows by moving the break only (plan9, wasm)
    phys_page_aligned_stacks: bool  # physPageAlignedStacks: stacks begin at physical pages (openbsd)

    # Switches: what changed from release to release, of the start.
    crash_stack: bool  # schedinit takes a stack to crash on
    profile_stacks: bool  # each M has two arrays for the stacks of profiles
    early_debug: bool  # GODEBUG is known before the first M is set up
    weak_m: bool  # each M has a weak pointer to itself
    padded_m: bool  # an M is padded to 2 KB
    span_queue_mask: bool  # a third mask of Ps: those with queues of spans
    scans_modules: bool  # the list of modules has pointers, although they do not lie in the heap
    timers_lock: bool  # a timer has a lock of its own
    timers_draw: bool  # and a random number, for the order of those at one time
    traceable_sudogs: bool  # what a sudog points at is there twice
    cpu_options: int  # what internal/cpu lists first of what GODEBUG can switch off, on x86

    # Switches: what changed from release to release, of the heap.
    headers: bool  # objects above min_size_for_malloc_header keep their type in a header
    inline_mark_bits: bool  # small spans with pointers carry mark bits and owner in their last 128 bytes
    randomized_heap_base: bool  # hints and the first growth begin at an address drawn at random
    scav_index_of_bits: bool  # the scavenge index has a bit for each chunk; otherwise a record of 8 bytes
    scav_index_from_zero: bool  # its first growth maps all from the index's beginning
    scav_index_zero_is_unset: bool  # a lower bound of 0 counts as one that was never set
    user_arenas: bool  # the later half of the hints is kept for user arenas
    lists_user_arenas: bool  # arenas of user arenas are registered in a list of their own
    metadata_without_huge_pages: bool  # arena map and chunks are advised NOHUGEPAGE when made
    used_advises_huge_pages: bool  # sysUsed advises HUGEPAGE, sysUnused NOHUGEPAGE at broken edges
    unused_falls_back: bool  # where madvise fails, sysUnused maps again
    fault_by_mprotect: bool  # sysFault protects instead of mapping without access
    samples_below_zero: bool  # the heap profile takes an object when its count falls below 0; else at 0
    unrolls_gc_programs: bool  # a large object's GC program is unrolled into a span of its own
    one_word_is_pointer: (
        bool  # spans of 8-byte objects with pointers have all heap bits set when they are made
    )
    huge_pages_debug: bool  # GODEBUG has disablethp
    names_mappings: bool  # linux is told what mappings are for, unless GODEBUG has decoratemappings=0
    updates_procs: bool  # a goroutine waits to change GOMAXPROCS, unless GODEBUG has updatemaxprocs=0
    bsd_debug: bool  # GODEBUG's madvdontneed counts on the BSDs, too
    counts_slices_of_pointers: bool  # heapScan counts all of a small slice of pointers; before, its first one
    limit_by_nelems: bool  # mspan.limit is after the last object; before, heap bits counted for objects
    pack_checks: bool  # taggedPointerPack checks whether an address fits; before, only lfstack.push did
    traces_all_spans: bool  # an execution trace has all spans and stacks; before, none made while it was busy
    traces_tiny: bool  # and objects in blocks for tiny ones that are open; before, those with new blocks
    zeroed_when_scavenged: bool  # pages that were released count as zero where the system says so

    @property
    def is_64bit(self) -> bool:
        """Whether pointers have 64 bits."""
        return self.ptr_size == 8

    @cached_property
    def page_size(self) -> int:
        """The allocator's page (gc.PageSize), 8192."""
        return 1 << self.page_shift

    @cached_property
    def uintptr_mask(self) -> int:
        """The largest uintptr."""
        return (1 << (8 * self.ptr_size)) - 1

    @cached_property
    def heap_arena_bytes(self) -> int:
        """heapArenaBytes: the unit in which the heap takes address space."""
        return 1 << self.log_heap_arena_bytes

    @cached_property
    def pages_per_arena(self) -> int:
        """pagesPerArena."""
        return self.heap_arena_bytes >> self.page_shift

    @cached_property
    def arena_bits(self) -> int:
        """arenaBits: bits of an arena's number."""
        return self.arena_l1_bits + self.arena_l2_bits

    @cached_property
    def palloc_chunk_pages(self) -> int:
        """pallocChunkPages: pages that one leaf of the summaries describes."""
        return 1 << self.log_palloc_chunk_pages

    @cached_property
    def log_palloc_chunk_bytes(self) -> int:
        """logPallocChunkBytes."""
        return self.log_palloc_chunk_pages + self.page_shift

    @cached_property
    def palloc_chunk_bytes(self) -> int:
        """pallocChunkBytes: the heap grows by multiples of it."""
        return 1 << self.log_palloc_chunk_bytes

    @cached_property
    def palloc_chunks_l2_bits(self) -> int:
        """pallocChunksL2Bits."""
        return self.heap_addr_bits - self.log_palloc_chunk_bytes - self.palloc_chunks_l1_bits

    @cached_property
    def summary_l0_bits(self) -> int:
        """summaryL0Bits: what the other levels leave of an address's bits."""
        below = (self.summary_levels - 1) * self.summary_level_bits
        return self.heap_addr_bits - self.log_palloc_chunk_bytes - below

    @cached_property
    def level_bits(self) -> tuple[int, ...]:
        """levelBits: the radix of each level of the summaries, in bits."""
        return (self.summary_l0_bits, *(self.summary_levels - 1) * (self.summary_level_bits,))

    @cached_property
    def level_shift(self) -> tuple[int, ...]:
        """levelShift: an address shifted right by it is an index into the level."""
        return tuple(
            self.heap_addr_bits - self.summary_l0_bits - level * self.summary_level_bits
            for level in range(self.summary_levels)
        )

    @cached_property
    def level_log_pages(self) -> tuple[int, ...]:
        """levelLogPages: log2 of the pages that one summary of the level stands for."""
        return tuple(
            self.log_palloc_chunk_pages + (self.summary_levels - 1 - level) * self.summary_level_bits
            for level in range(self.summary_levels)
        )

    def offset(self, p: int) -> int:
        """p counted from the beginning of the arena map (offAddr): such addresses compare as numbers."""
        return (p - self.arena_base_offset) & self.uintptr_mask

    def address(self, off: int) -> int:
        """The address of an offset address."""
        return (off + self.arena_base_offset) & self.uintptr_mask

    def arena_index(self, p: int) -> int:
        """arenaIndex: the number of the arena that holds p, an address."""
        return ((p - self.arena_base_offset) & self.uintptr_mask) >> self.log_heap_arena_bytes

    def arena_base(self, i: int) -> int:
        """arenaBase: where the arena with number i begins."""
        return ((i << self.log_heap_arena_bytes) + self.arena_base_offset) & self.uintptr_mask

    def chunk_index(self, p: int) -> int:
        """chunkIndex: the number of the page allocator's chunk that holds p, an address."""
        return ((p - self.arena_base_offset) & self.uintptr_mask) >> self.log_palloc_chunk_bytes

    def chunk_base(self, i: int) -> int:
        """chunkBase: where the chunk with number i begins."""
        return ((i << self.log_palloc_chunk_bytes) + self.arena_base_offset) & self.uintptr_mask
