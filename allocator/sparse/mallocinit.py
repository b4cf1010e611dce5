"""mallocinit: the checks, the heap's tables, and where it is to grow (malloc.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.sparse.config import Config
    from allocator.sparse.heap_core import HeapCore

AWAY_FROM_IMAGE = 256 << 10
NAME = "heap reservation"


def mallocinit(core: HeapCore) -> None:
    """From nothing to a heap that has hints, and no memory yet. Throws as mallocinit does."""
    config = core.config
    check(config)
    core.init_heap()
    core.mcache0 = core.new_mcache()
    if config.sbrk_platform:
        return
    if config.ptr_size == 8:
        core.arenas.add_hints()
    else:
        _stake_out(core)


def check(config: Config) -> None:
    """The checks that come before anything is asked of the system."""
    sizes = config.size_classes.class_to_size
    if not 0 <= config.tiny_size_class < len(sizes) or sizes[config.tiny_size_class] != config.tiny_size:
        raise Throw("bad TinySizeClass")
    words = config.heap_arena_bytes // (8 * config.ptr_size * config.ptr_size)
    if words & (words - 1):
        raise Throw("heapArenaBitmapWords not a power of 2")
    _check_page_sizes(config)
    for pages, words_of, name in (
        (config.pages_per_span_root, "bad pagesPerSpanRoot", "pagesPerSpanRoot"),
        (config.pages_per_reclaimer_chunk, "bad pagesPerReclaimerChunk", "pagesPerReclaimerChunk"),
    ):
        if config.pages_per_arena % pages:
            line = f"pagesPerArena ({config.pages_per_arena}) is not divisible by {name} ({pages})"
            raise Throw(words_of, line)
    if config.headers:
        _check_headers(config)
    if config.min_tag_bits > config.tag_bits:
        raise Throw("tagBits too small")


def _check_page_sizes(config: Config) -> None:
    page, huge = config.phys_page_size, config.phys_huge_page_size
    if page == 0:
        raise Throw("failed to get system page size")
    if page > config.max_phys_page_size:
        line = f"system page size ({page}) is larger than maximum page size ({config.max_phys_page_size})"
        raise Throw("bad system page size", line)
    if page < config.min_phys_page_size:
        line = f"system page size ({page}) is smaller than minimum page size ({config.min_phys_page_size})"
        raise Throw("bad system page size", line)
    if page & (page - 1):
        raise Throw("bad system page size", f"system page size ({page}) must be a power of 2")
    if huge & (huge - 1):
        raise Throw("bad system huge page size", f"system huge page size ({huge}) must be a power of 2")


def _check_headers(config: Config) -> None:
    classes = config.size_classes
    least = config.min_size_for_malloc_header
    if least not in classes.class_to_size:
        raise Throw("min size of malloc header is not a size class boundary")
    up_to = classes.class_to_size.index(least)
    if max(classes.class_to_allocnpages[: up_to + 1]) > 1:
        raise Throw("expected all size classes up to min size for malloc header to fit in one-page spans")
    if least // config.ptr_size > 8 * config.ptr_size:
        raise Throw("max pointer/scan bitmap size for headerless objects is too large")


def _stake_out(core: HeapCore) -> None:
    """The 32-bit start: room for all arenas' records, then one large reservation right above the program.

    So the heap stays contiguous as long as possible.
    """
    config = core.config
    arenas = core.arenas
    size = config.sizeof["heapArena"] << config.arena_bits
    meta = core.mem.sys_reserve(0, size, NAME)
    if meta:
        arenas.meta = meta
        arenas.heap_arena_alloc.init(meta, size, True)
    p = max(config.data_end, core.mem.os.sbrk0())
    if arenas.heap_arena_alloc.next <= p < arenas.heap_arena_alloc.end:
        p = arenas.heap_arena_alloc.end
    arena = config.heap_arena_bytes
    # A little above the program, since not every system reports the right break.
    p = (p + AWAY_FROM_IMAGE + arena - 1) & -arena & config.uintptr_mask
    for arena_size in config.ladder:
        v, got = core.mem.sys_reserve_aligned(p, arena_size, arena, NAME)
        arenas.attempts.append((p, arena_size + arena, v))
        if v:
            arenas.arena.init(v, got, False)
            p = arenas.arena.end
            break
    arenas.add_hint(p)
    if config.user_arenas:
        arenas.add_hint(p, user=True)
