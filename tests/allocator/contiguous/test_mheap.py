"""The page heap: first fit by length, best fit of long runs, splitting, joining, and growing (mheap.go)."""

from __future__ import annotations

import pytest
from scripted import Scripted

from allocator.common.throw import Throw
from allocator.contiguous.mspan import FREE, IN_USE
from allocator.contiguous.runtime import Runtime

MB = 1 << 20
PAGE = 8192


def free_runs(rt: Runtime) -> list[tuple[int, int]]:
    """Address from the arena's beginning and length in pages of every free run."""
    spans, begin = rt.spans, rt.heap.bitmap
    runs = [(spans.base[s] - begin, spans.npages[s]) for s in range(len(spans)) if spans.state[s] == FREE]
    return sorted(runs)


def large(rt: Runtime, npages: int) -> int:
    """A large object of that many pages, at its distance from the arena's beginning."""
    return rt.malloc(npages * PAGE) - rt.heap.bitmap


def test_the_heap_grows_by_a_megabyte(some_rt: Runtime) -> None:
    assert large(some_rt, 5) == 0
    assert free_runs(some_rt) == [(5 * PAGE, 123)]
    assert some_rt.stats.heap_sys == MB


def test_more_than_a_megabyte_is_rounded_to_64_kb(some_rt: Runtime) -> None:
    assert large(some_rt, 129) == 0
    assert some_rt.stats.heap_sys == MB + 64 * 1024
    assert free_runs(some_rt) == [(129 * PAGE, 7)]


def test_what_is_new_joins_what_was_left(some_rt: Runtime) -> None:
    large(some_rt, 120)
    assert large(some_rt, 20) == 120 * PAGE
    assert free_runs(some_rt) == [(140 * PAGE, 116)]


def test_freed_runs_are_joined_on_both_sides(some_rt: Runtime) -> None:
    rt = some_rt
    objects = [rt.malloc(10 * PAGE) for _ in range(5)]
    begin = rt.heap.bitmap
    rt.collect([objects[0], objects[2], objects[4]])
    assert free_runs(rt)[:2] == [(10 * PAGE, 10), (30 * PAGE, 10)]
    rt.collect([objects[0], objects[4]])
    assert free_runs(rt)[0] == (10 * PAGE, 30)
    assert rt.malloc(25 * PAGE) == begin + 10 * PAGE
    assert free_runs(rt)[0] == (35 * PAGE, 5)


def test_the_shortest_run_that_is_long_enough(some_rt: Runtime) -> None:
    rt = some_rt
    objects = [rt.malloc(n * PAGE) for n in (20, 5, 8, 5, 12, 5)]
    rt.collect(objects[1::2])
    # Runs of 20, 8 and 12 pages between those that are kept.
    assert rt.malloc(9 * PAGE) == objects[4]
    assert rt.malloc(8 * PAGE) == objects[2]


def test_the_run_freed_last_comes_first(some_rt: Runtime) -> None:
    """Of one length the list is a stack; sweeping goes through spans the newest first."""
    rt = some_rt
    objects = [rt.malloc(n * PAGE) for n in (6, 5, 6, 5, 6, 5)]
    rt.collect(objects[1::2])
    assert [rt.malloc(6 * PAGE) for _ in range(3)] == [objects[0], objects[2], objects[4]]


def test_best_fit_of_long_runs_is_the_lowest_of_the_shortest(some_rt: Runtime) -> None:
    rt = some_rt
    objects = [rt.malloc(n * PAGE) for n in (300, 5, 200, 5, 200, 5, 250, 5)]
    rt.collect(objects[1::2])
    assert rt.malloc(199 * PAGE) == objects[2]
    assert rt.malloc(199 * PAGE) == objects[4]
    assert rt.malloc(199 * PAGE) == objects[6]


def test_used_memory_needs_zeroing_and_fresh_does_not(some_rt: Runtime) -> None:
    rt = some_rt
    rt.malloc(5 * PAGE)
    (tail,) = [s for s in range(len(rt.spans)) if rt.spans.state[s] == FREE]
    assert rt.spans.needzero[tail] == 0
    rt.collect([])
    (whole,) = [s for s in range(len(rt.spans)) if rt.spans.state[s] == FREE]
    assert rt.spans.needzero[whole] == 1  # of both runs the one that needs it decides


def test_records_are_used_again(some_rt: Runtime) -> None:
    rt = some_rt
    for _ in range(200):
        rt.malloc(50 * PAGE)
        rt.collect([])
    assert len(rt.spans) < 10


def test_no_memory_but_64_kb(scripting) -> None:
    """A megabyte is refused, and the heap is content with what the object needs, in units of 64 KB.

    A run so short is on its own list, where allocSpanLocked does not look again.
    """
    system = Scripted()
    rt, _ = scripting("linux/386", system)
    heap = rt.heap
    heap.arena_used = heap.arena_end - 3 * 64 * 1024 - PAGE  # the reservation is nearly used up
    system.reserve = lambda v, n: 0
    with pytest.raises(Throw, match="out of memory"):
        rt.malloc(100_000)
    assert rt.stats.heap_sys == 2 * 64 * 1024
    assert rt.printed == []


def test_out_of_memory_says_how_much(scripting) -> None:
    system = Scripted()
    rt, _ = scripting("linux/386", system)
    rt.malloc(8)
    system.reserve = lambda v, n: 0
    with pytest.raises(Throw) as death:
        rt.malloc(700 * MB)
    assert death.value.words == "out of memory"
    assert rt.printed == [f"runtime: out of memory: cannot allocate {700 * MB}-byte block ({MB} in use)"]


def test_the_reservation_grows_at_its_end(scripting) -> None:
    system = Scripted()
    rt, _ = scripting("linux/386", system)
    end = rt.heap.arena_end
    rt.malloc(600 * MB)
    assert system.asked("R")[-1][1:] == (end, 768 * MB, end)
    assert rt.heap.arena_end == end + 768 * MB


def test_a_reservation_elsewhere_moves_the_arena(scripting) -> None:
    """32-bit takes what it is given, even below: arena_used goes down, and that is golang/go#20259."""
    system = Scripted()
    system.reserve = lambda v, n: 0x90000000
    rt, _ = scripting("linux/386", system)
    high = rt.malloc(8)
    system.reserve = lambda v, n: 0x10000000
    low = rt.malloc(600 * MB)
    assert low == 0x10000000 and rt.heap.arena_used == low + 600 * MB
    rt.collect([low])
    with pytest.raises(Throw, match="heapBitsForSpan: base out of range"):
        for _ in range(200):
            rt.malloc(100 * PAGE)
    assert high > rt.heap.arena_used


def test_memory_outside_the_range_is_given_back(scripting) -> None:
    """64-bit on the ladder can use 4 GB from its arena_start on."""
    system = Scripted()
    system.reserve = lambda v, n: 0 if n > 1 << 30 else 0x10000000
    rt, _ = scripting("linux/amd64", system)
    system.reserve = lambda v, n: 0x200000000000
    system.alloc = lambda n: 0x7000000 if n > 100 * MB else None
    with pytest.raises(Throw, match="out of memory"):
        rt.malloc(700 * MB)
    start = rt.heap.arena_start
    line = (
        f"runtime: memory allocated by OS (0x7000000) not in usable range [{start:#x},{start + (4 << 30):#x})"
    )
    assert rt.printed[0] == line
    assert system.asked("O")[0][1] == 0x200000000000


def test_bitmap_and_spans_are_mapped_ahead(some_rt: Runtime) -> None:
    rt = some_rt
    config, heap = rt.config, rt.heap
    rt.malloc(300 * PAGE)
    used = heap.arena_used - heap.arena_start
    assert heap.bitmap_mapped >= used // config.heap_bitmap_scale
    assert heap.bitmap_mapped % max(8192, config.phys_page_size) == 0
    assert heap.spans_len >= used // PAGE
    assert heap.spans_len * config.ptr_size % config.phys_page_size == 0


def test_lookups_know_the_ends_of_objects(some_rt: Runtime) -> None:
    rt = some_rt
    p = rt.malloc(100_000)
    s = rt.heap.lookup_maybe(p)
    assert rt.spans.state[s] == IN_USE
    assert rt.heap.lookup_maybe(p + 99_999) == s
    assert rt.heap.lookup_maybe(p + 100_000) == -1  # after what was asked for, but within its pages
    assert rt.heap.lookup_maybe(p - 1) == -1
    assert rt.heap.lookup_maybe(rt.heap.arena_used) == -1
