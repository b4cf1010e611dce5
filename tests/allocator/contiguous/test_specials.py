"""Finalizers and profile records: attached, kept in order, looked at by sweeps (mfinal.go, mprof.go)."""

from __future__ import annotations

import pytest

from allocator.common.throw import Throw
from allocator.common.types import Type
from allocator.contiguous.mspan import IN_USE
from allocator.contiguous.runtime import Runtime
from allocator.contiguous.specials import FINALIZER, PROFILE
from archcalc.boot import boot

PAGE = 8192
PAIR = Type.of_words("pair", "pp", 8)


def records(rt: Runtime, p: int) -> list[tuple[int, int]]:
    """Offset and kind of every record of the span that p lies in."""
    return [(r.offset, r.kind) for r in rt.spans.specials[rt.heap.lookup(p)] or ()]


def allocated(rt: Runtime, p: int) -> bool:
    s = rt.heap.lookup(p)
    rt.sync_caches()
    if rt.spans.state[s] != IN_USE:
        return False
    return bool(rt.allocated_mask(s) >> (p - rt.spans.base[s]) // rt.spans.elemsize[s] & 1)


# Finalizers.


@pytest.mark.parametrize("mode", ["block", "force"])
def test_an_object_is_kept_once_and_its_finalizer_queued(some_rt: Runtime, mode: str) -> None:
    rt = some_rt
    small, large, other = rt.malloc(100), rt.malloc(100_000), rt.malloc(100)
    assert rt.set_finalizer(small)
    assert rt.set_finalizer(large)

    def collect(live: list[int]) -> None:
        rt.collect(live, mode=mode)
        while rt.sweepone() >= 0:
            pass

    collect([small, large, other])
    assert rt.run_finalizers() == []
    collect([])
    assert allocated(rt, small)
    assert allocated(rt, large)
    assert not allocated(rt, other)
    assert records(rt, small) == records(rt, large) == []
    assert set(rt.run_finalizers()) == {small, large}
    assert rt.run_finalizers() == []
    collect([])
    assert not allocated(rt, small)
    assert not allocated(rt, large)
    assert rt.audit() == []


def test_what_is_queued_is_alive_until_its_finalizer_has_run() -> None:
    """The blocks of the queue are roots (markroot, fixedRootFinalizers)."""
    for collect in (lambda rt: rt.collect([]), lambda rt: rt.collect(roots=[])):
        rt = boot("linux/amd64")
        v = rt.malloc(100)
        rt.set_finalizer(v)
        for _ in range(3):
            collect(rt)
            assert allocated(rt, v)
        assert rt.run_finalizers() == [v]
        collect(rt)
        assert not allocated(rt, v)


def test_the_last_queued_runs_first() -> None:
    """runfinq goes through a block from its end, and the newest block is the queue's head."""
    rt = boot("linux/amd64")
    # One span, swept object by object from its start.
    objects = [rt.malloc(32) for _ in range(250)]
    for v in objects:
        rt.set_finalizer(v)
    rt.collect([])
    queued = list(rt.specials.finalizer_queue)
    assert queued == objects
    assert rt.run_finalizers() == objects[::-1]


def test_there_is_one_finalizer_an_address() -> None:
    rt = boot("linux/amd64")
    v = rt.malloc(100)
    size = rt.specialfinalizeralloc.size
    assert rt.set_finalizer(v)
    assert not rt.set_finalizer(v)
    assert rt.specialfinalizeralloc.inuse == size
    rt.clear_finalizer(v)
    assert rt.specialfinalizeralloc.inuse == 0
    assert rt.set_finalizer(v)


def test_a_cleared_finalizer_keeps_nothing() -> None:
    rt = boot("linux/amd64")
    v, w = rt.malloc(100), rt.malloc(100)
    rt.set_finalizer(v)
    rt.clear_finalizer(v)
    rt.clear_finalizer(w)  # it has none: nothing happens
    rt.collect([w])
    assert not allocated(rt, v)
    assert rt.run_finalizers() == []
    assert rt.set_finalizer(w)


def test_a_tiny_block_has_a_finalizer_for_each_object_in_it_and_all_run_at_once() -> None:
    rt = boot("linux/amd64")
    a, b, c = rt.malloc(3), rt.malloc(4), rt.malloc(5)
    assert (b - a, c - a) == (4, 8)
    for v in (c, a, b):
        assert rt.set_finalizer(v)
    assert [offset - (a & PAGE - 1) for offset, _ in records(rt, a)] == [0, 4, 8]
    rt.collect([b])  # one of them alive holds the block, and with it the others
    assert rt.run_finalizers() == []
    rt.collect([])
    assert sorted(rt.run_finalizers()) == [a, b, c]
    assert allocated(rt, a)
    rt.collect([])
    assert not allocated(rt, a)


def test_records_are_kept_in_order_of_offset_and_kind() -> None:
    rt = boot("linux/amd64", mem_profile_rate=1)
    objects = [rt.malloc(48, Type.of_words("t", "pppppp", 8)) for _ in range(5)]
    for i in (3, 0, 4, 1):
        rt.set_finalizer(objects[i])
    expected = []
    for i in range(5):
        expected += [(48 * i, FINALIZER)] if i != 2 else []
        expected.append((48 * i, PROFILE))
    assert records(rt, objects[0]) == expected


def test_a_finalizer_set_on_an_unswept_span_sweeps_it_first() -> None:
    rt = boot("linux/amd64", record=True)
    kept, dead = rt.malloc(100), rt.malloc(100)
    rt.collect([kept], mode="force")
    s = rt.heap.lookup(kept)
    assert rt.spans.sweepgen[s] == rt.heap.sweepgen - 2
    assert rt.set_finalizer(kept)
    assert rt.spans.sweepgen[s] == rt.heap.sweepgen
    assert not allocated(rt, dead)
    assert rt.log is not None
    assert f"e {rt.spans.base[s]:x}" in rt.log


@pytest.mark.parametrize("p", [0x10, 1 << 45])
def test_what_is_not_an_object_has_no_finalizer(p: int) -> None:
    rt = boot("linux/amd64")
    with pytest.raises(Throw, match=r"^addspecial on invalid pointer$"):
        rt.set_finalizer(p)
    with pytest.raises(Throw, match=r"^removespecial on invalid pointer$"):
        rt.clear_finalizer(p)


def test_what_a_finalizer_needs_is_kept_though_its_object_is_not_marked() -> None:
    """markrootSpans scans the object and does not mark it."""
    rt = boot("linux/amd64")
    child, grandchild = rt.malloc(16, PAIR), rt.malloc(16, PAIR)
    parent = rt.malloc(16, PAIR)
    rt.store(parent, child)
    rt.store(child, grandchild)
    rt.set_finalizer(parent)
    rt.collect(roots=[])
    assert rt.run_finalizers() == [parent]
    assert all(allocated(rt, v) for v in (parent, child, grandchild))
    assert rt.load(parent) == child
    rt.collect(roots=[])
    assert not any(allocated(rt, v) for v in (parent, child, grandchild))


def test_a_finalizer_set_while_marking_keeps_what_it_needs() -> None:
    rt = boot("linux/amd64", gogc=100)
    child, parent = rt.malloc(16, PAIR), rt.malloc(16, PAIR)
    rt.store(parent, child)
    rt.begin_mark(roots=[])
    rt.set_finalizer(parent)
    rt.finish_mark()
    while rt.sweepone() >= 0:
        pass
    assert allocated(rt, child)
    assert rt.run_finalizers() == [parent]


def test_finalized_objects_count_once_more_in_the_live_heap() -> None:
    """scanobject adds an object's size to bytesMarked, whether it was marked or not.

    In the recordings with forced collections, heap_live is above the sum of what is marked by just
    the sizes of the programs' three os.Files.
    """
    rt = boot("linux/amd64")
    a, b, dying = rt.malloc(32, Type.of_words("t", "ppp.", 8)), rt.malloc(100), rt.malloc(1000)
    for v in (a, b, dying):
        rt.set_finalizer(v)
    rt.collect([a, b])
    # Marked: 32 and 112. Scanned for finalizers: 32, 112 and 1024.
    assert rt.stats.heap_live == 2 * (32 + 112) + 1024
    assert rt.stats.heap_scan == 2 * 24


def test_queue_blocks_are_made_when_needed_and_used_again() -> None:
    """A block of 4 KB has room for (4096 - 24) / 40 = 101 finalizers on 64-bit."""
    rt = boot("linux/amd64", record=True)
    assert rt.log is not None

    def made() -> int:
        return sum(line.startswith("p 4096 ") for line in rt.log or ())

    for count, blocks in ((101, 1), (102, 2), (202, 2), (50, 2), (303, 3)):
        objects = [rt.malloc(32) for _ in range(count)]
        for v in objects:
            rt.set_finalizer(v)
        rt.collect([])
        assert made() == blocks, count
        rt.run_finalizers()
        rt.collect([])


# Profile records.


def buckets(rt: Runtime) -> dict[tuple[int, str], tuple[int, int, int, int]]:
    return {key: (b.allocs, b.alloc_bytes, b.frees, b.free_bytes) for key, b in rt.specials.buckets.items()}


def test_with_a_rate_of_one_everything_is_sampled_and_counted_when_freed() -> None:
    rt = boot("linux/amd64", mem_profile_rate=1)
    kept = rt.malloc(100)
    for _ in range(4):
        rt.malloc(100)
    rt.malloc(16, PAIR)
    rt.malloc(100_000)
    assert buckets(rt) == {
        (112, ""): (5, 5 * 112, 0, 0),
        (16, "pair"): (1, 16, 0, 0),
        (13 * PAGE, ""): (1, 13 * PAGE, 0, 0),
    }
    rt.collect([kept])
    assert buckets(rt) == {
        (112, ""): (5, 5 * 112, 4, 4 * 112),
        (16, "pair"): (1, 16, 1, 16),
        (13 * PAGE, ""): (1, 13 * PAGE, 1, 13 * PAGE),
    }
    assert rt.specialprofilealloc.inuse == rt.specialprofilealloc.size


def test_a_profile_record_stays_as_long_as_a_finalizer_keeps_the_object() -> None:
    rt = boot("linux/amd64", mem_profile_rate=1)
    v = rt.malloc(100)
    rt.set_finalizer(v)
    assert [kind for _, kind in records(rt, v)] == [FINALIZER, PROFILE]
    rt.collect([])
    assert [kind for _, kind in records(rt, v)] == [PROFILE]
    assert buckets(rt)[112, ""] == (1, 112, 0, 0)
    rt.run_finalizers()
    rt.collect([])
    assert records(rt, v) == []
    assert buckets(rt)[112, ""] == (1, 112, 1, 112)


def test_buckets_are_charged_to_buckhash_sys() -> None:
    """The table of 179999 pointers first, then a bucket: header, stack of 8 frames, memRecord."""
    rt = boot("linux/amd64", mem_profile_rate=1)
    rt.malloc(100)
    table = 179999 * 8
    config = rt.config
    bucket = config.sizeof_bucket + 8 * 8 + config.sizeof_mem_record
    assert rt.stats.buckhash_sys == table + bucket
    rt.malloc(100)
    assert rt.stats.buckhash_sys == table + bucket
    rt.malloc(200)
    assert rt.stats.buckhash_sys == table + 2 * bucket


def test_an_object_is_sampled_once() -> None:
    rt = boot("linux/amd64", mem_profile_rate=1)
    v = rt.malloc(100)
    with pytest.raises(Throw, match=r"^setprofilebucket: profile already set$"):
        rt.specials.profile(v, 112, "")
