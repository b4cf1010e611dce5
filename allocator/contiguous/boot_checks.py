"""What must hold of a machine that mallocinit has just made (malloc.go, mheap.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from allocator.interface import BootCheck

if TYPE_CHECKING:
    from allocator.contiguous.core import Core


def boot_checks(rt: Core) -> Iterator[BootCheck]:
    """What must hold of a machine that mallocinit has just made (malloc.go, mheap.go)."""
    yield from _of_parts(rt)
    yield from _of_reservation(rt)
    config = rt.config
    yield BootCheck(
        "boot-class-table",
        tuple(rt.stats.size_by_class) == config.size_classes.class_to_size,
        f"memstats.by_size has {len(rt.stats.size_by_class)} sizes, class_to_size "
        f"{len(config.size_classes.class_to_size)}",
    )
    yield BootCheck(
        "boot-first-mcache",
        len(rt.caches) == 1 and rt.cachealloc.inuse == config.sizeof_mcache,
        f"{rt.cachealloc.inuse} bytes of mcaches in use, one is {config.sizeof_mcache}",
    )


def _of_parts(rt: Core) -> Iterator[BootCheck]:
    """Where the parts lie, and what they describe."""
    config, heap = rt.config, rt.heap
    page = config.page_size
    bitmap_size, _, _ = _regions(rt)
    start = heap.bitmap
    yield BootCheck(
        "boot-page-rounding",
        all(x % page == 0 for x in (heap.spans_start, start, heap.arena_used)),
        f"spans {heap.spans_start:#x}, bitmap's end {start:#x}, arena_used {heap.arena_used:#x}; "
        f"pages of {page}",
    )
    yield BootCheck(
        "boot-region-order",
        heap.spans_start < start - bitmap_size < start <= heap.arena_used <= heap.arena_end,
        f"spans {heap.spans_start:#x}, bitmap {start - bitmap_size:#x} to {start:#x}, "
        f"arena to {heap.arena_end:#x}",
    )
    described = bitmap_size * config.heap_bitmap_scale
    reach = _reach(rt)
    yield BootCheck(
        "boot-bitmap-covers-arena",
        described >= min(reach, config.uintptr_mask + 1) - page,
        f"the bitmap describes {described} bytes from {heap.arena_start:#x}; "
        f"the arena ends {reach} from there",
    )
    covered = heap.spans_cap * page
    yield BootCheck(
        "boot-spans-cover-arena",
        covered >= reach - page,
        f"{heap.spans_cap} entries for {covered} bytes; the arena ends {reach} from its start",
    )


def _of_reservation(rt: Core) -> Iterator[BootCheck]:
    """What was asked for, what was granted, and whether it is what the parts need."""
    config, heap = rt.config, rt.heap
    page = config.page_size
    attempt = rt.attempts[-1]
    bitmap_size, spans_size, arena_size = _regions(rt)
    reach = _reach(rt)
    yield BootCheck(
        "boot-reservation-holds-parts",
        attempt.size >= bitmap_size + spans_size + arena_size + page,
        f"{attempt.size} reserved for {bitmap_size} + {spans_size} + {arena_size} + {page}",
    )
    yield BootCheck(
        "boot-used-within-reserved",
        attempt.answer <= heap.spans_start
        and heap.arena_used <= heap.arena_end == attempt.answer + attempt.size,
        f"arena_used {heap.arena_used:#x}, arena_end {heap.arena_end:#x}, "
        f"reservation {attempt.answer:#x} + {attempt.size}",
    )
    yield BootCheck(
        "boot-hint-answered",
        attempt.answer != 0 and (attempt.answer == attempt.hint or not config.hints or attempt.reserved),
        f"asked for {attempt.hint:#x}, got {attempt.answer:#x}",
    )
    yield BootCheck(
        "boot-within-address-bits",
        not config.is_64bit
        or len(config.hints) < len(rt.attempts)
        or reach <= (1 << config.heap_map_total_bits) + page,
        f"the arena reaches {reach} bytes; _MHeapMap_TotalBits is {config.heap_map_total_bits}",
    )


def _reach(rt: Core) -> int:
    """How far the arena's end is from its start, as the runtime computes it."""
    return (rt.heap.arena_end - rt.heap.arena_start) & rt.config.uintptr_mask


def _regions(rt: Core) -> tuple[int, int, int]:
    """Bitmap, spans and arena of the reservation that mallocinit got, in bytes."""
    config = rt.config
    hinted = len(config.hints) if config.is_64bit else 0
    tries = len(rt.attempts)
    if config.is_64bit and tries <= hinted:
        return config.bitmap_size, config.spans_size, config.arena_size
    arena = config.ladder[tries - hinted - 1]
    return config.ladder_bitmap_size, config.ladder_spans_size, arena
