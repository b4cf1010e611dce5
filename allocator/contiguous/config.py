"""All that differs between platforms, as one frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from allocator.common.sizeclasses import SizeClasses


@dataclass(frozen=True)
class Config:
    """What a machine is booted from. Sizes are bytes unless a name says otherwise.

    Names follow the runtime's constants without their leading underscore.
    """

    platform: str
    goos: str
    ptr_size: int
    big_endian: bool
    cache_line_size: int
    phys_page_size: int
    data_end: int  # firstmoduledata.end: where the 32-bit path asks for its reservation

    page_shift: int
    heap_map_total_bits: int
    heap_map_bits: int
    max_mem: int
    max_arena32: int
    heap_bitmap_scale: int  # bytes of heap that one byte of the heap bitmap describes
    min_phys_page_size: int
    fix_alloc_chunk: int
    max_mheap_list: int
    heap_alloc_chunk: int
    grow_unit: int  # mheap.grow rounds what it needs to this
    bitmap_chunk: int  # mapBits asks for bitmap in pieces of this
    max_gomaxprocs: int  # Ps that there can be; each has an mcache
    tiny_size: int
    tiny_size_class: int
    max_small_size: int
    stack_cache_size: int
    num_stack_orders: int
    stack_cache: bool  # whether small stacks are kept for reuse
    fixed_stack: int
    fin_block_size: int
    gc_bits_chunk: int
    max_oblet_bytes: int

    sweep_block_entries: int
    sweep_buf_init_spine_cap: int
    default_heap_minimum: int
    sweep_min_heap_distance: int
    buck_hash_size: int

    # What mallocinit computes before it asks. First the one reservation of 64-bit machines, and where it is
    # asked for, in order; then the ladder of 32-bit ones, with the tables in front of each arena.
    hints: tuple[int, ...]
    arena_size: int
    bitmap_size: int
    spans_size: int
    reservation_size: int
    ladder: tuple[int, ...]
    ladder_reservations: tuple[int, ...]
    ladder_bitmap_size: int
    ladder_spans_size: int
    ladder_hint: int

    sizeof_mspan: int
    sizeof_mcache: int
    sizeof_specialfinalizer: int
    sizeof_specialprofile: int
    sizeof_defer: int
    sizeof_finalizer: int
    sizeof_bucket: int
    sizeof_mem_record: int
    gc_bits_header: int
    min_defer_alloc: int
    min_defer_args: int

    size_classes: SizeClasses

    @cached_property
    def page_size(self) -> int:
        """The allocator's page, 8192 in this generation."""
        return 1 << self.page_shift

    @cached_property
    def uintptr_mask(self) -> int:
        """The largest uintptr."""
        return (1 << (8 * self.ptr_size)) - 1

    @cached_property
    def is_64bit(self) -> bool:
        """Whether mallocinit takes the one big reservation first."""
        return self.ptr_size == 8
