"""mallocinit: the checks, the reservation of the arena, and the heap's first state (malloc.go).

On 64-bit one reservation holds spans, bitmap and the whole arena; it is asked
for at up to 128 hints. On 32-bit, and on 64-bit when every hint is refused, a
ladder of smaller reservations follows, at the end of the data segment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.common.uintptr import Word, printint
from allocator.contiguous.mheap import MHeap
from allocator.interface import Attempt

if TYPE_CHECKING:
    from allocator.contiguous.core import Core

DEFER_POOLS = 5  # len(p{}.deferpool)


def mallocinit(rt: Core) -> None:
    """Sets up mallocinit's heap; only its first mcache is still missing.

    Leaves every attempt in rt.attempts. Throws as mallocinit does.
    """
    _check_tables(rt)
    _check_page_size(rt)
    config = rt.config
    word = Word(config.ptr_size)
    page_size = config.page_size
    p = bitmap_size = spans_size = size = 0
    reserved = False

    if config.is_64bit:
        bitmap_size, spans_size, size = config.bitmap_size, config.spans_size, config.reservation_size
        for hint in config.hints:
            p, reserved = _reserve(rt, hint, size, reserved)
            if p:
                break

    if not p:
        bitmap_size, spans_size = config.ladder_bitmap_size, config.ladder_spans_size
        for size in config.ladder_reservations:
            p, reserved = _reserve(rt, config.ladder_hint, size, reserved)
            if p:
                break
        if not p:
            raise Throw("runtime: cannot reserve arena virtual address space")

    p1 = word.round(p, page_size)
    begin = word.add(p1, spans_size + bitmap_size)
    arena_start = begin if config.is_64bit else 0
    if arena_start & (page_size - 1):
        rt.printed.append(
            f"bad pagesize {p:#x} {p1:#x} {spans_size:#x} {bitmap_size:#x} {page_size:#x} "
            f"start {arena_start:#x}"
        )
        raise Throw("misrounded allocation in mallocinit")
    heap = MHeap(rt, p1, spans_size)
    heap.bitmap = begin
    heap.arena_start = arena_start
    heap.arena_end = word.add(p, size)
    heap.arena_used = begin
    heap.arena_reserved = reserved
    rt.install_heap(heap)


def _reserve(rt: Core, hint: int, size: int, before: bool) -> tuple[int, bool]:
    p, flag = rt.sys_reserve(hint, size)
    # A system that refuses may leave the flag of the previous attempt unchanged.
    reserved = before if flag is None else flag
    rt.attempts.append(Attempt(hint, size, p, reserved))
    return p, reserved


def _check_tables(rt: Core) -> None:
    config = rt.config
    sizes = config.size_classes.class_to_size
    if not 0 <= config.tiny_size_class < len(sizes) or sizes[config.tiny_size_class] != config.tiny_size:
        raise Throw("bad TinySizeClass")
    _test_defer_sizes(rt)
    rt.stats.size_by_class[:] = sizes


def _test_defer_sizes(rt: Core) -> None:
    """testdefersizes: argument sizes of one defer class must be of one malloc class."""
    config = rt.config
    expected = [-1] * DEFER_POOLS
    i = 0
    while True:
        if i <= config.min_defer_args:
            defer_class, total = 0, config.min_defer_alloc
        else:
            defer_class = (i - config.min_defer_args + 15) // 16
            total = config.sizeof_defer + i
        if defer_class >= DEFER_POOLS:
            return
        size = config.size_classes.round_up_size(total, config.uintptr_mask)
        if expected[defer_class] < 0:
            expected[defer_class] = size
        elif expected[defer_class] != size:
            rt.printed.append(f"bad defer size class: i={i} siz={size} defersc={defer_class}")
            raise Throw("bad defer size class")
        i += 1


def _check_page_size(rt: Core) -> None:
    phys, least = rt.config.phys_page_size, rt.config.min_phys_page_size
    if phys == 0:
        raise Throw("failed to get system page size")
    if phys < least:
        rt.printed.append(f"system page size ({printint(phys)}) is smaller than minimum page size ({least})")
        raise Throw("bad system page size")
    if phys & (phys - 1):
        rt.printed.append(f"system page size ({printint(phys)}) must be a power of 2")
        raise Throw("bad system page size")
