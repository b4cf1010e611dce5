"""Configurations and an idle memory for tests of the sparse machine's parts."""

from __future__ import annotations

from typing import Any

from allocator.common.sizeclasses import compute
from allocator.sparse.addr_ranges import AddrRanges
from allocator.sparse.config import Config

SIXTY_FOUR: dict[str, Any] = {
    "platform": "linux/amd64",
    "goos": "linux",
    "goarch": "amd64",
    "ptr_size": 8,
    "big_endian": False,
    "phys_page_size": 4096,
    "phys_huge_page_size": 2 << 20,
    "data_end": 0x600000,
    "min_phys_page_size": 4096,
    "max_phys_page_size": 512 << 10,
    "max_phys_huge_page_size": 4 << 20,
    "heap_addr_bits": 48,
    "log_heap_arena_bytes": 26,
    "arena_l1_bits": 0,
    "arena_l2_bits": 22,
    "arena_base_offset": 0xFFFF800000000000,
    "max_alloc": 1 << 48,
    "min_legal_pointer": 4096,
    "pages_per_span_root": 512,
    "pages_per_reclaimer_chunk": 512,
    "user_arena_chunk_bytes": 8 << 20,
    "persistent_chunk_size": 256 << 10,
    "fix_alloc_chunk": 16 << 10,
    "min_heap_for_metadata_huge_pages": 1 << 30,
    "tag_bits": 19,
    "min_tag_bits": 9,
    "addr_bits": 48,
    "tag_align_bits": 3,
    "page_shift": 13,
    "log_palloc_chunk_pages": 9,
    "palloc_chunks_l1_bits": 13,
    "summary_levels": 5,
    "summary_level_bits": 3,
    "page_cache_pages": 64,
    "max_pages_per_phys_page": 64,
    "scav_chunk_hi_occ_pages": 496,
    "scavenge_percent": 1,
    "size_classes": compute(sixteen_from=16),
    "tiny_size": 16,
    "tiny_size_class": 2,
    "max_small_size": 32768,
    "min_size_for_malloc_header": 512,
    "malloc_header_size": 8,
    "max_oblet_bytes": 128 << 10,
    "span_set_block_entries": 512,
    "span_set_init_spine_cap": 256,
    "gc_bits_chunk_bytes": 64 << 10,
    "gc_bits_header_bytes": 16,
    "default_heap_minimum": 4 << 20,
    "sweep_min_heap_distance": 1 << 20,
    "buck_hash_size": 179999,
    "workbuf_alloc": 32 << 10,
    "workbuf_size": 2048,
    "stack_cache_size": 32 << 10,
    "num_stack_orders": 4,
    "fixed_stack": 2048,
    "sizeof": {"mspan": 160, "mcache": 1840, "spanSetBlock": 4096 + 16},
    "sbrk_platform": False,
    "phys_page_aligned_stacks": False,
    "heap_bits_in_arena": False,
    "headers": True,
    "inline_mark_bits": True,
    "span_spmc": True,
    "randomized_heap_base": False,
    "names_mappings": True,
    "scav_index_of_bits": False,
    "scav_index_from_zero": False,
    "metadata_without_huge_pages": True,
    "used_advises_huge_pages": False,
    "unused_falls_back": True,
    "fault_by_mprotect": True,
    "zeroed_when_scavenged": True,
}

THIRTY_TWO: dict[str, Any] = SIXTY_FOUR | {
    "platform": "linux/386",
    "goarch": "386",
    "ptr_size": 4,
    "heap_addr_bits": 32,
    "log_heap_arena_bytes": 22,
    "arena_l2_bits": 10,
    "arena_base_offset": 0,
    "max_alloc": (1 << 32) - 1,
    "palloc_chunks_l1_bits": 0,
    "summary_levels": 4,
    "min_size_for_malloc_header": 128,
}


def config(base: dict[str, Any] = SIXTY_FOUR, **changes: Any) -> Config:
    """A configuration like linux/amd64's under 1.27, or like `base`, with changes."""
    return Config(**base | changes)


class NoTables:
    """Memory for summaries and chunks that is always there; `asked` has what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    def in_use(self, entries: int) -> None:
        self.asked.append(("in use", entries, 0))

    def reserve(self) -> None:
        self.asked.append(("reserve", 0, 0))

    def grow(self, base: int, limit: int, in_use: AddrRanges) -> None:
        self.asked.append(("grow", base, limit))

    def chunks(self, first: int, end: int) -> None:
        self.asked.append(("chunks", first, end))
