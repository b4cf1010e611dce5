"""The collector: phases, when cycles start, what they keep, and the pacer's sums.

Expected numbers are worked out here from what mgc.go says of them, a line a step.
"""

from __future__ import annotations

import random

import pytest

from allocator.common.throw import BadRequest, Throw
from allocator.common.types import Type
from allocator.contiguous.gc import MARK, MARK_TERMINATION, OFF
from allocator.contiguous.mspan import IN_USE
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot

PAGE = 8192
MB = 1 << 20
MAX = (1 << 64) - 1

PAIR = Type.of_words("pair", "pp", 8)
LINK = Type.of_words("link", "p..", 8)


def large_objects(rt: Runtime) -> set[int]:
    """Where the large objects in use lie."""
    spans = rt.spans
    return {spans.base[s] for s in range(len(spans)) if spans.state[s] == IN_USE and not spans.sizeclass[s]}


def objects(rt: Runtime) -> set[int]:
    """The addresses of all allocated blocks."""
    rt.sync_caches()
    spans = rt.spans
    found = set()
    for s in rt.in_use():
        mask = rt.allocated_mask(s)
        found |= {spans.base[s] + i * spans.elemsize[s] for i in range(spans.nelems[s]) if mask >> i & 1}
    return found


# gcinit and setGCPercent.


@pytest.mark.parametrize(
    ("gogc", "minimum", "goal"),
    [
        # heapminimum = 4 MB * GOGC / 100; triggerRatio 7/8, but no more than GOGC/100;
        # next_gc = trigger / (1 + ratio) * (1 + GOGC/100).
        (100, 4 << 20, int((4 << 20) / 1.875 * 2)),
        (200, 8 << 20, int((8 << 20) / 1.875 * 3)),
        (50, 2 << 20, int((2 << 20) / 1.5 * 1.5)),
        (10, (4 << 20) * 10 // 100, int((4 << 20) * 10 // 100 / 1.1 * 1.1)),
        (0, 0, 0),
        (-1, MAX // 100 - (4 << 20) // 100, MAX),
        (-7, MAX // 100 - (4 << 20) // 100, MAX),
    ],
)
def test_gcinit_sets_trigger_and_goal(gogc: int, minimum: int, goal: int) -> None:
    rt = boot("linux/amd64", gogc=gogc)
    assert rt.gc.heap_minimum == minimum
    assert rt.stats.gc_trigger == minimum
    assert rt.stats.next_gc == goal
    assert rt.gc.trigger_ratio == min(7 / 8, max(gogc, -1) / 100)


def test_set_percent_returns_the_old_one_and_lowers_the_ratio_only() -> None:
    rt = boot("linux/amd64", gogc=100)
    assert rt.gc.set_percent(30) == 100
    assert rt.gc.trigger_ratio == 0.3
    assert rt.gc.set_percent(400) == 30
    assert rt.gc.trigger_ratio == 0.3
    assert rt.gc.heap_minimum == 16 << 20
    assert rt.gc.set_percent(-1) == 400
    assert rt.gc.gcpercent == -1


# When a cycle starts.


def test_the_object_that_reaches_the_trigger_starts_a_cycle() -> None:
    """heap_live counts whole pages: 4 MB are 64 objects of 64 KB, and the last of them sees it."""
    rt = boot("linux/amd64", gogc=100)
    for i in range(63):
        rt.malloc(64 << 10)
        assert (rt.stats.numgc, rt.stats.heap_live) == (0, (i + 1) << 16)
    rt.malloc(64 << 10)
    assert rt.stats.numgc == 1
    assert rt.stats.numforcedgc == 0
    assert rt.gc.phase == OFF


def test_small_objects_count_by_the_span_when_it_is_cached() -> None:
    """A fresh span of 1024-byte objects is live as a whole, so the trigger comes with the first of a span."""
    rt = boot("linux/amd64", gogc=100)
    starts = []
    for i in range(5000):
        before = rt.stats.numgc
        rt.malloc(1024)
        if rt.stats.numgc > before:
            starts.append(i)
            break
    # 512 spans of 8 KB are 4 MB: the first object of the 512th, whose number counts from 0.
    assert starts == [511 * 8]


def test_nothing_starts_with_gogc_off_or_before_gcenable() -> None:
    off = boot("linux/amd64", gogc=-1)
    early = boot("linux/amd64", gogc=100)
    early.stats.enablegc = False
    for rt in (off, early):
        for _ in range(200):
            rt.malloc(64 << 10)
        assert rt.stats.numgc == 0
    early.stats.enablegc = True
    early.malloc(64 << 10)
    assert early.stats.numgc == 1


def test_an_object_from_the_cache_does_not_look_at_the_trigger() -> None:
    """shouldhelpgc is set by a refill or a large object only."""
    rt = boot("linux/amd64", gogc=100)
    rt.malloc(48)
    rt.stats.heap_live = 1 << 40
    for _ in range(169):  # a page has 170 of them
        rt.malloc(48)
    assert rt.stats.numgc == 0
    rt.malloc(48)
    assert rt.stats.numgc == 1


# What a cycle leaves behind.


def test_trigger_and_goal_after_a_forced_cycle() -> None:
    """gcMark: trigger = marked * (1 + ratio), at least the minimum and live + 1 MB; goal = marked * 2."""
    rt = boot("linux/amd64", gogc=100)
    rt.gc.set_percent(-1)
    kept = [rt.malloc(MB) for _ in range(10)]
    for _ in range(6):
        rt.malloc(MB)
    rt.gc.set_percent(100)
    rt.collect(kept)
    stats = rt.stats
    assert stats.heap_marked == stats.heap_live == 10 * MB
    assert rt.gc.trigger_ratio == -0.01  # which is what GOGC=off left it at
    assert stats.gc_trigger == 11 * MB
    assert stats.next_gc == 20 * MB
    rt.gc.trigger_ratio = 0.5
    rt.collect(kept)
    assert (stats.gc_trigger, stats.next_gc) == (15 * MB, 20 * MB)
    rt.gc.trigger_ratio = 1.25
    rt.collect(kept)
    assert (stats.gc_trigger, stats.next_gc) == (int(10 * MB * 2.25), int(10 * MB * 2.25))
    rt.collect(kept[:1])
    assert (stats.gc_trigger, stats.next_gc) == (4 * MB, 4 * MB)


def test_a_background_cycle_moves_the_trigger_ratio() -> None:
    """endCycle without assist time: error = goal - growth; half of it is added, 0.95 of the goal at most."""
    rt = boot("linux/amd64", gogc=100)
    kept = [rt.malloc(MB) for _ in range(3)]
    rt.begin_mark(kept)
    # Below the minimum, startCycle pretends that marked = trigger / (1 + 7/8).
    marked = int((4 << 20) / 1.875)
    assert rt.stats.heap_marked == marked
    assert rt.stats.next_gc == max(marked * 2, 3 * MB + MB)
    rt.finish_mark()
    growth = 3 * MB / marked - 1
    assert rt.gc.trigger_ratio == pytest.approx(min(0.875 + 0.5 * (1.0 - growth), 0.95), abs=1e-12)
    assert 0.875 < rt.gc.trigger_ratio <= 0.95
    assert rt.stats.heap_marked == 3 * MB


def test_the_trigger_ratio_never_falls_below_zero() -> None:
    rt = boot("linux/amd64", gogc=100)
    kept = [rt.malloc(MB)]
    rt.begin_mark(kept)
    rt.stats.heap_live = 1 << 40
    rt.finish_mark()
    assert rt.gc.trigger_ratio == 0.0


def test_a_trigger_with_the_sign_bit_is_the_end() -> None:
    rt = boot("linux/amd64", gogc=100)
    rt.gc.bytes_marked = 1 << 62
    rt.gc.trigger_ratio = 1.5
    with pytest.raises(Throw, match=r"^gc_trigger underflow$"):
        rt.gc._account()
    assert rt.printed[-1].startswith(f"next_gc={rt.stats.next_gc} bytesMarked={1 << 62} heap_live=")


def test_a_cycle_zeroes_scan_and_debt() -> None:
    rt = boot("linux/amd64", gogc=100)
    kept = [rt.malloc(16, PAIR) for _ in range(50)]
    rt.caches[0].assist_bytes = -5
    rt.begin_mark(kept)
    assert rt.caches[0].assist_bytes == 0
    rt.finish_mark()
    # 50 pairs: both words of each are scanned.
    assert rt.stats.heap_scan == 50 * 16
    assert rt.stats.heap_live == 50 * 16


# Phases, and what allocation does in them.


def test_phases_are_reported_in_order() -> None:
    rt = boot("linux/amd64", gogc=100, record=True)
    kept = rt.malloc(100)
    assert rt.log is not None
    rt.log.clear()
    rt.collect([kept], mode="background")
    kinds = [line for line in rt.log if line.split()[0] in "Pyugz"]
    assert [line.split()[0] for line in kinds] == ["y", "P", "P", "u", "P", "g", "z"]
    assert [line for line in kinds if line[0] == "P"] == ["P 1", "P 2", "P 0"]
    rt.log.clear()
    rt.collect([kept], mode="block")
    assert [line for line in rt.log if line[0] == "P"] == ["P 2", "P 0"]


def test_allocating_in_mark_termination_is_the_end() -> None:
    rt = boot("linux/amd64")
    rt.gc.set_phase(MARK_TERMINATION)
    with pytest.raises(Throw, match=r"^mallocgc called with gcphase == _GCmarktermination$"):
        rt.malloc(10)


def test_what_is_allocated_while_marking_survives() -> None:
    rt = boot("linux/amd64", gogc=100)
    dead = [rt.malloc(n) for n in (100, 3000, 50_000)]
    kept = rt.malloc(64)
    rt.begin_mark([kept])
    rt.gc.bg_scan_credit = 1 << 40  # nobody has to assist
    new = [rt.malloc(100), rt.malloc(3000), rt.malloc(50_000), rt.malloc(16, PAIR)]
    assert rt.gc.phase == MARK
    rt.finish_mark()
    while rt.sweepone() >= 0:
        pass
    alive = objects(rt)
    assert set(new) | {kept} <= alive
    assert not set(dead) & alive


def test_black_objects_are_counted_as_marked() -> None:
    """gcmarknewobject adds the block's size and, with pointers, how much of it scanning would read."""
    rt = boot("linux/amd64", gogc=100)
    rt.begin_mark([])
    rt.gc.bg_scan_credit = 1 << 40  # the background worker has done plenty
    rt.malloc(24, LINK)  # class 32, scanned up to its last pointer
    assert (rt.gc.bytes_marked, rt.gc.scan_work) == (32, 8)
    rt.malloc(100)
    assert (rt.gc.bytes_marked, rt.gc.scan_work) == (32 + 112, 8)
    rt.malloc(50_000)
    assert rt.gc.bytes_marked == 32 + 112 + 7 * PAGE
    rt.finish_mark()
    assert rt.stats.heap_live == 32 + 112 + 7 * PAGE


def test_the_tiny_block_in_use_is_marked_when_marking_starts() -> None:
    rt = boot("linux/amd64", gogc=100)
    v = rt.malloc(3)
    rt.begin_mark([])
    assert rt.gc.bytes_marked == 16
    rt.finish_mark()
    while rt.sweepone() >= 0:
        pass
    assert v in objects(rt)
    # Its cache has forgotten it, so the next collection takes it.
    rt.collect([])
    assert v not in objects(rt)


# Assists.


def test_an_assist_scans_64_kb_at_least_and_is_credited_for_it() -> None:
    """gcAssistAlloc: debt is bytes; work = ratio * debt, raised to 64 KB; credit = 1 + bytes/work * done."""
    rt = boot("linux/amd64", gogc=100)
    kept = [rt.malloc(8192, rt.pointer_type) for _ in range(100)]
    rt.begin_mark(kept)
    stats, gc, cache = rt.stats, rt.gc, rt.caches[0]
    work = 99 * 8192  # of the last object the page heap has not heard yet
    distance = stats.next_gc - stats.heap_live
    assert gc.assist_work_per_byte == work / distance
    assert gc.assist_bytes_per_work == distance / work
    per_work = gc.assist_bytes_per_work
    before = gc.scan_work
    rt.malloc(2048)
    done = gc.scan_work - before
    assert 65536 <= done <= work + 8192
    assert cache.assist_bytes == -2048 + 1 + int(per_work * done)


def test_an_assist_takes_the_background_s_credit_first() -> None:
    rt = boot("linux/amd64", gogc=100)
    kept = [rt.malloc(8192, rt.pointer_type) for _ in range(100)]
    rt.begin_mark(kept)
    gc, cache = rt.gc, rt.caches[0]
    gc.bg_scan_credit = 200_000
    per_work = gc.assist_bytes_per_work
    rt.malloc(2048)
    assert gc.scan_work == 0
    assert gc.bg_scan_credit == 200_000 - 65536
    assert cache.assist_bytes == -2048 + int(per_work * 65536)


def test_less_credit_than_needed_is_taken_whole_and_the_rest_is_scanned() -> None:
    rt = boot("linux/amd64", gogc=100)
    kept = [rt.malloc(8192, rt.pointer_type) for _ in range(100)]
    rt.begin_mark(kept)
    gc, cache = rt.gc, rt.caches[0]
    gc.bg_scan_credit = 1000
    per_work = gc.assist_bytes_per_work
    rt.malloc(2048)
    assert gc.bg_scan_credit == 0
    assert gc.scan_work >= 65536 - 1000
    assert cache.assist_bytes == -2048 + (1 + int(per_work * 1000)) + (1 + int(per_work * gc.scan_work))


def test_with_credit_left_nobody_assists() -> None:
    rt = boot("linux/amd64", gogc=100)
    kept = [rt.malloc(8192, rt.pointer_type) for _ in range(100)]
    rt.begin_mark(kept)
    rt.caches[0].assist_bytes = 10_000
    rt.malloc(2048)
    # What malloc charges beyond the request is the rounding: none here.
    assert (rt.gc.scan_work, rt.caches[0].assist_bytes) == (0, 10_000 - 2048)
    rt.malloc(2050)
    assert rt.caches[0].assist_bytes == 10_000 - 2048 - 2304


def test_the_assist_that_finds_nothing_left_ends_the_cycle() -> None:
    rt = boot("linux/amd64", gogc=100)
    kept = [rt.malloc(16, PAIR) for _ in range(10)]
    rt.begin_mark(kept)
    v = rt.malloc(100)
    assert rt.gc.phase == OFF
    assert rt.stats.numgc == 1
    # Gone to the end of the cycle before it got its memory: it is new in the next.
    assert rt.stats.heap_marked == 160
    assert v in objects(rt)


# What survives.


@pytest.mark.parametrize("mode", ["block", "force", "background"])
@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386", "linux/mips64", "windows/amd64"])
def test_what_is_given_as_alive_survives_and_nothing_else(platform: str, mode: str) -> None:
    rt = boot(platform, gogc=1000)  # no cycle of its own
    rng = random.Random(3)
    types = [
        Type.of_words(str(i), words, rt.config.ptr_size)
        for i, words in enumerate(("p", "p.", "..p.", "p" * 9))
    ]
    everything = []
    for _ in range(3000):
        typ = rng.choice((None, *types))
        everything.append(
            rt.malloc(typ.size, typ) if typ else rt.malloc(rng.choice((16, 90, 700, 5000, 40_000)))
        )
    live = {v for v in everything if rng.random() < 0.5}
    assert rt.stats.numgc == 0
    rt.collect(live, mode=mode)
    assert rt.stats.numgc == 1
    assert rt.stats.numforcedgc == (mode != "background")
    while rt.sweepone() >= 0:
        pass
    assert objects(rt) == live
    rt.collect(True)
    assert objects(rt) == live


def test_interior_addresses_and_zerobase_keep_what_they_should() -> None:
    rt = boot("linux/amd64")
    a, b, c = rt.malloc(100), rt.malloc(100_000), rt.malloc(100)
    rt.collect([a + 60, b + 77_777, rt.zerobase])
    assert objects(rt) == {a, b}
    assert c not in objects(rt)


def test_what_is_not_an_object_cannot_be_alive() -> None:
    rt = boot("linux/amd64")
    v = rt.malloc(100)
    for wrong in (0x10, rt.heap.arena_used + 8, v + 100_000):
        with pytest.raises(BadRequest, match="is not an object of this heap"):
            rt.collect([wrong])
    with pytest.raises(BadRequest, match="is free, so it cannot be alive"):
        rt.collect([v + 112])
    with pytest.raises(BadRequest, match="either live objects or roots"):
        rt.collect()
    with pytest.raises(BadRequest, match="mode 'soft'"):
        rt.collect([], mode="soft")


@pytest.mark.parametrize("mode", ["block", "background"])
def test_a_given_live_set_and_roots_that_reach_it_leave_the_same_heap(mode: str) -> None:
    """A graph of random links: what a search from the roots reaches is what survives."""

    def build() -> tuple[Runtime, list[int], dict[int, list[int]]]:
        rt = boot("linux/amd64", gogc=100)
        rng = random.Random(11)
        record = Type.of_words("record", "pp.p", 8)
        nodes = [rt.malloc(32, record) for _ in range(400)]
        nodes += [rt.malloc(40_960, rt.pointer_type) for _ in range(10)]
        links: dict[int, list[int]] = {v: [] for v in nodes}
        for v in nodes:
            for slot in (0, 8, 24) if rng.random() < 0.7 else ():
                target = rng.choice(nodes)
                inside = rng.choice((0, 0, 9))  # a pointer into the object holds it as well
                rt.store(v + slot, target + inside)
                links[v].append(target)
            # A word that is not a pointer by its type keeps nothing alive, nor does nil.
            if v in nodes[:400]:
                rt.store(v + 16, rng.choice(nodes))
        return rt, nodes, links

    by_roots, nodes, links = build()
    roots = nodes[:3]
    reached, todo = set(), list(roots)
    while todo:
        v = todo.pop()
        if v not in reached:
            reached.add(v)
            todo += links[v]
    assert 10 < len(reached) < len(nodes)
    by_roots.collect(roots=roots, mode=mode)
    while by_roots.sweepone() >= 0:
        pass
    assert objects(by_roots) == reached
    told, _, _ = build()
    told.collect(reached, mode=mode)
    while told.sweepone() >= 0:
        pass
    assert objects(told) == reached
    for name in ("heap_live", "heap_marked", "heap_scan", "gc_trigger", "next_gc", "heap_inuse"):
        assert getattr(told.stats, name) == getattr(by_roots.stats, name), name


def test_freed_memory_reads_as_zero_when_it_is_used_again() -> None:
    rt = boot("linux/amd64")
    a = rt.malloc(16, PAIR)
    kept = rt.malloc(16, PAIR)
    rt.store(a, kept)
    rt.collect(roots=[kept])
    b = rt.malloc(16, PAIR)
    assert b == a
    assert rt.load(b) == 0


def test_pointers_into_unused_memory_are_the_end() -> None:
    """heapBitsForObject with debug.invalidptr, which is on by default."""
    rt = boot("linux/amd64")
    a = rt.malloc(16, PAIR)
    b = rt.malloc(50_000)
    rt.collect([a])
    rt.store(a, b)
    with pytest.raises(Throw, match=r"^found bad pointer in Go heap \(incorrect use of unsafe or cgo\?\)$"):
        rt.collect(roots=[a])
    assert f"runtime: pointer {b:#x} to unallocated span" in rt.printed[-1]


def test_a_pointer_after_the_last_object_is_the_end_too() -> None:
    rt = boot("linux/amd64")
    a = rt.malloc(16, PAIR)
    b = rt.malloc(48)  # 170 of them leave 32 bytes at the span's end
    rt.store(a, (b & -PAGE) + PAGE - 8)
    with pytest.raises(Throw, match="found bad pointer in Go heap"):
        rt.collect(roots=[a])
    assert "to unused region of span" in rt.printed[-1]


def test_with_invalidptr_off_bad_pointers_keep_nothing() -> None:
    rt = boot("linux/amd64")
    rt.debug_invalidptr = False
    a = rt.malloc(16, PAIR)
    b = rt.malloc(50_000)
    rt.collect([a])
    rt.store(a, b)
    rt.collect(roots=[a])
    assert objects(rt) == {a}


def test_pointers_to_stacks_and_outside_the_arena_keep_nothing() -> None:
    rt = boot("linux/amd64")
    a = rt.malloc(16, PAIR)
    rt.store(a, rt.stack_alloc(32768))
    rt.store(a + 8, 0x1234)
    rt.collect(roots=[a])
    assert objects(rt) == {a}


# Modes and sweeping.


def test_block_sweeps_all_at_once_and_force_leaves_it() -> None:
    for mode, swept in (("block", True), ("force", False), ("background", False)):
        rt = boot("linux/amd64", gogc=100)
        for _ in range(20):
            rt.malloc(50_000)
        rt.collect([], mode=mode)
        assert bool(rt.heap.sweepdone) is swept
        assert (large_objects(rt) == set()) is swept
        assert rt.heap.sweepgen == 2


def test_sweeping_is_spread_over_what_may_be_allocated_before_the_next_trigger() -> None:
    """gcSweep: ratio = pages in use / (trigger - live - 1 MB), a page at least below the line."""
    rt = boot("linux/amd64", gogc=100)
    kept = [rt.malloc(MB) for _ in range(2)]
    dying = [rt.malloc(MB // 2) for _ in range(2)]
    rt.collect(kept, mode="force")
    pages = rt.heap.pages_in_use
    assert pages == (2 * MB + len(dying) * MB // 2) // PAGE
    assert rt.stats.gc_trigger == 4 * MB
    assert rt.sweeper.pages_per_byte == pages / (4 * MB - 2 * MB - MB)


def test_the_sweep_ratio_s_distance_is_a_page_at_least() -> None:
    rt = boot("linux/amd64", gogc=5)
    kept = [rt.malloc(64 << 10) for _ in range(2)]
    rt.collect(kept, mode="force")
    # trigger = max(4 MB * 5%, live + 1 MB * 5%), which is less than a megabyte away
    assert rt.sweeper.pages_per_byte == rt.heap.pages_in_use / PAGE


# heap_live.


def test_heap_live_counts_spans_as_they_are_cached_and_takes_back_what_was_not_used() -> None:
    rt = boot("linux/amd64")
    stats = rt.stats
    kept = [rt.malloc(1024) for _ in range(3)]
    assert stats.heap_live == PAGE
    rt.malloc(50_000)
    assert stats.heap_live == PAGE + 7 * PAGE
    rt.flush_cache(rt.caches[0])
    assert stats.heap_live == 3 * 1024 + 7 * PAGE
    kept.append(rt.malloc(1024))  # the same span is cached again: what is free in it counts
    assert stats.heap_live == PAGE + 7 * PAGE
    rt.collect(kept)
    assert stats.heap_live == 4 * 1024


def test_heap_scan_counts_up_to_the_last_pointer() -> None:
    rt = boot("linux/amd64")
    rt.malloc(24, LINK)
    rt.malloc(5 * 24, LINK)
    rt.malloc(3000)
    rt.malloc(50_000 - 50_000 % 24, LINK)
    rt.flush_local_scan(rt.cache)
    assert rt.stats.heap_scan == 8 + (4 * 24 + 8) + (50_000 - 50_000 % 24 - 24 + 8)
