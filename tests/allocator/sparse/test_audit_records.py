"""The audit of records and counts: each of their invariants is heard when it is broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from allocator.sparse.heap import Heap
from allocator.sparse.mspan import DEAD
from tests.support.sparse_heap import busy, small


def mcache_uncounted(rt: Heap) -> None:
    rt.cachealloc.inuse -= rt.cachealloc.size


def hint_lost(rt: Heap) -> None:
    rt.arenas.hints.pop()


def finalizer_uncounted(rt: Heap) -> None:
    rt.specials.allocs["finalizer"].inuse += 1


def record_free_twice(rt: Heap) -> None:
    rt.specials.allocs["profile"].free_list += [8, 8]


def record_of_two(rt: Heap) -> None:
    rt.arenas.hints[0].record = rt.arenas.hints[1].record


def block_of_two(rt: Heap) -> None:
    one, other = [s for c in rt.central for s in (*c.partial, *c.full) if s.blocks and s.blocks[-1]][:2]
    one.blocks[-1] = other.blocks[-1]


def block_free_and_used(rt: Heap) -> None:
    used = next(s for c in rt.central for s in (*c.partial, *c.full) if s.blocks and s.blocks[-1])
    rt.span_set_blocks.stack.nodes.append(used.blocks[-1])


def spine_too_short(rt: Heap) -> None:
    next(s for c in rt.central for s in (*c.partial, *c.full) if s.blocks).spine_cap = 0


def pool_of_another_order(rt: Heap) -> None:
    pool = rt.stack_heap.pool
    pool[0], pool[1] = pool[1], pool[0]
    rt.stack_alloc(2048)


def stack_that_is_none(rt: Heap) -> None:
    rt.ps[0].mcache.stacks[0][0] = small(rt).base


def stack_free_twice(rt: Heap) -> None:
    stacks = rt.ps[0].mcache.stacks[0]
    stacks.append(stacks[0])


def large_stack_in_a_wrong_list(rt: Heap) -> None:
    s = rt.heap.span_of(rt.stack_alloc(1 << 16))
    assert s is not None
    rt.stack_heap.large[9].insert(s)


def chunk_ready_and_used(rt: Heap) -> None:
    rt.user_arenas.ready.insert(rt.user_arenas.chunks.pop())


def chunk_that_does_not_fault(rt: Heap) -> None:
    next(iter(rt.user_arenas.quarantine)).spanclass = 0


def chunk_dead(rt: Heap) -> None:
    next(iter(rt.user_arenas.chunks)).state = DEAD


def chunk_overfull(rt: Heap) -> None:
    s = next(iter(rt.user_arenas.chunks))
    s.user_arena_free = s.limit, s.base


def chunk_to_reuse_unused(rt: Heap) -> None:
    rt.user_arenas.reuse.append(small(rt))


def sweepgen_odd(rt: Heap) -> None:
    rt.heap.sweepgen += 1


def sweepgen_unknown(rt: Heap) -> None:
    small(rt).sweepgen += 2


def sweep_forgotten(rt: Heap) -> None:
    small(rt).sweepgen = rt.heap.sweepgen - 2


def mark_unknown(rt: Heap) -> None:
    s = small(rt)
    s.mark_bits = s.allocated()
    rt.heap.marked.clear()


def small_object_uncounted(rt: Heap) -> None:
    rt.heap_stats.small_allocs[small(rt).sizeclass] += 1


def large_object_uncounted(rt: Heap) -> None:
    rt.heap_stats.large_frees += 1


def large_bytes_uncounted(rt: Heap) -> None:
    rt.heap_stats.large_alloc += 8192


def bytes_uncounted(rt: Heap) -> None:
    rt.pacer.total_free += 16


RECORD_BREAKS: list[tuple[str, Callable[[Heap], None]]] = [
    ("fixed records", mcache_uncounted),
    ("fixed records", hint_lost),
    ("fixed records", finalizer_uncounted),
    ("fixed records", record_free_twice),
    ("fixed records", record_of_two),
    ("span set blocks", block_of_two),
    ("span set blocks", block_free_and_used),
    ("span set blocks", spine_too_short),
    ("free stacks", pool_of_another_order),
    ("free stacks", stack_that_is_none),
    ("free stacks", stack_free_twice),
    ("free stacks", large_stack_in_a_wrong_list),
    ("user arenas", chunk_ready_and_used),
    ("user arenas", chunk_that_does_not_fault),
    ("user arenas", chunk_dead),
    ("user arenas", chunk_overfull),
    ("user arenas", chunk_to_reuse_unused),
    ("sweeping", sweepgen_odd),
    ("sweeping", sweepgen_unknown),
    ("sweeping", sweep_forgotten),
    ("sweeping", mark_unknown),
    ("object counts", small_object_uncounted),
    ("object counts", large_object_uncounted),
    ("object counts", large_bytes_uncounted),
    ("object counts", bytes_uncounted),
]


@pytest.mark.parametrize(
    ("name", "break_it"), RECORD_BREAKS, ids=[break_it.__name__ for _, break_it in RECORD_BREAKS]
)
def test_what_is_broken_is_heard(name: str, break_it: Callable[[Heap], None]) -> None:
    rt = busy()
    break_it(rt)
    assert name in {violation.name for violation in rt.audit()}
