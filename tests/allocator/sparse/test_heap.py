"""The heap of today as programs use it: where objects lie, what collections leave, and that audits hold."""

from __future__ import annotations

import pytest

from allocator.common.throw import BadRequest, GoPanic, Throw
from allocator.common.types import Type
from allocator.sparse.heap import Heap
from tests.support.sparse_heap import heap

PAIR = Type.of_words("pair", "p.", 8)
RELEASES = ["1.22", "1.23", "1.24", "1.25", "1.26", "1.27"]
PORTS = ["linux/amd64", "linux/386", "linux/arm64", "linux/mips", "linux/s390x"]


def sound(rt: Heap) -> None:
    """No invariant is broken, and counting twice comes out the same."""
    assert rt.audit() == []
    rt.memstats()
    assert rt.audit() == []


@pytest.mark.parametrize("go", RELEASES)
@pytest.mark.parametrize("platform", PORTS)
def test_a_history_of_every_kind_leaves_a_sound_machine(platform: str, go: str) -> None:
    rt = heap(platform, go, procs=2)
    rt.watch()
    ptr = rt.config.ptr_size
    pair = Type.of_words("pair", "p.", ptr)
    wide = Type.of_words("wide", "p" * 90, ptr)
    live = []
    for i in range(1500):
        p = i % 2
        live.append(rt.malloc(i % 700 + 1, p=p))
        live.append(rt.malloc(2 * ptr * (i % 40 + 1), pair, p=p))
        if i % 50 == 0:
            live.append(rt.malloc(90 * ptr * (i % 9 + 1), wide, p=p))
            live.append(rt.malloc(100_000, p=p))
            stack = rt.stack_alloc(rt.config.fixed_stack << i // 50 % 6, p)
            rt.stack_free(stack, rt.config.fixed_stack << i // 50 % 6, p)
    rt.malloc(1 << 20)
    sound(rt)
    rt.collect(live[::3])
    sound(rt)
    assert rt.scavenge() > 0
    for size in range(1, 2000):
        rt.malloc(size)
    sound(rt)
    rt.collect(live[::6], mode="force")
    while rt.sweepone() >= 0:
        pass
    sound(rt)
    rt.collect([])
    assert rt.totals().objects == 0
    sound(rt)


def test_objects_of_a_class_lie_side_by_side() -> None:
    rt = heap()
    first = rt.malloc(100)
    assert [rt.malloc(100) - first for _ in range(3)] == [112, 224, 336]
    assert first & 8191 == 0


def test_spans_keep_room_for_bits_and_marks() -> None:
    rt = heap()
    layout = rt.layout[rt.config.size_classes.size_to_class(16) << 1]
    assert layout.nelems == (8192 - 128 - 128) // 16  # heap bits, and inline marks
    assert rt.layout[rt.config.size_classes.size_to_class(16) << 1 | 1].nelems == (8192 - 128) // 16
    assert rt.layout[2].nelems == (8192 - 128) // 8  # words have no inline marks
    assert heap(go="1.25").layout[2 * 2].nelems == (8192 - 128) // 16


def test_an_object_with_a_header_begins_after_it() -> None:
    rt = heap()
    wide = Type.of_words("wide", "p" * 65, 8)
    assert rt.malloc(520, wide) & 8191 == 8
    assert rt.malloc(512, Type.of_words("most", "p" * 64, 8)) & 8191 == 0


@pytest.mark.parametrize(
    ("platform", "sizes", "offsets"),
    [
        ("linux/amd64", [1, 1, 2, 4], [0, 1, 2, 4]),
        ("linux/amd64", [1, 8], [0, 8]),
        ("linux/amd64", [2, 12], [0, 4]),
        ("linux/386", [1, 8], [0, 8]),
        ("linux/386", [2, 12], [0, 16]),  # at a multiple of 8, where it does not fit
        ("linux/386", [12, 4], [0, 12]),
        ("linux/amd64", [5, 9, 2], [0, 5, 14]),
    ],
)
def test_tiny_objects_share_a_block(platform: str, sizes: list[int], offsets: list[int]) -> None:
    rt = heap(platform)
    found = [rt.malloc(size) for size in sizes]
    assert [p - found[0] for p in found] == offsets


def test_the_last_small_size_is_32760() -> None:
    rt = heap()
    rt.malloc(32760)
    assert rt.totals().spans_in_use == 1
    assert next(run for run in rt.runs() if run.state == "in use").sizeclass == 67
    rt.malloc(32761)
    assert [run.sizeclass for run in rt.runs() if run.state == "in use"] == [67, 0]


def test_large_objects_come_first_fit() -> None:
    rt = heap()
    held = [rt.malloc(n * 8192) for n in (20, 30, 20)]
    rt.collect([held[0], held[2]])
    assert rt.malloc(25 * 8192) == held[1]
    sound(rt)


def test_what_is_not_alive_is_handed_out_again_in_order() -> None:
    rt = heap()
    live = [rt.malloc(64) for _ in range(100)]
    rt.collect([p for i, p in enumerate(live) if i % 3])
    again = [rt.malloc(64) for _ in range(34)]
    assert again == live[::3]
    sound(rt)


def test_a_finalizer_keeps_its_object_for_one_collection() -> None:
    rt = heap()
    p = rt.malloc(64)
    assert rt.set_finalizer(p)
    assert not rt.set_finalizer(p)
    rt.collect([])
    assert rt.run_finalizers() == [p]
    assert rt.totals().objects == 1
    rt.collect([])
    assert rt.totals().objects == 0
    sound(rt)


def test_a_cleanup_does_not_keep_its_object() -> None:
    rt = heap()
    p = rt.malloc(64)
    rt.add_cleanup(p)
    rt.add_cleanup(p)
    rt.collect([])
    assert rt.run_cleanups() == [p, p]
    assert rt.totals().objects == 0
    sound(rt)


def test_a_cleared_finalizer_is_gone() -> None:
    rt = heap()
    p = rt.malloc(64)
    rt.set_finalizer(p)
    rt.clear_finalizer(p)
    rt.collect([])
    assert rt.run_finalizers() == []
    sound(rt)


def test_pointers_that_were_stored_are_followed() -> None:
    rt = heap()
    root, child, other = (rt.malloc(16, PAIR) for _ in range(3))
    rt.store(root, child)
    rt.store(root + 8, other)  # no pointer by its type
    rt.collect(roots=[root])
    assert rt.totals().objects == 2
    assert rt.load(root) == child
    sound(rt)


def test_allocations_while_marking_are_black() -> None:
    rt = heap(gogc=100)
    old = rt.malloc(64)
    rt.begin_mark(live=[])
    rt.pacer.bg_scan_credit = 1 << 40  # nobody has to assist
    new = rt.malloc(64)
    rt.finish_mark()
    while rt.sweepone() >= 0:
        pass
    assert rt.totals().objects == 1
    assert rt.malloc(64) == old != new
    sound(rt)


def test_a_heap_that_reaches_its_trigger_is_collected() -> None:
    rt = heap(gogc=100)
    rt.liveness = []
    for _ in range(100_000):
        rt.malloc(128)
    assert rt.memstats()["NumGC"] >= 2
    assert rt.memstats()["HeapSys"] < 16 << 20
    sound(rt)


def test_everything_free_goes_back_to_the_system() -> None:
    rt = heap()
    live = [rt.malloc(1 << 20) for _ in range(20)]
    rt.collect(live[:2])
    rt.scavenge()
    stats = rt.memstats()
    assert stats["HeapReleased"] == stats["HeapIdle"]
    sound(rt)


def test_a_memory_limit_gives_back_before_it_takes() -> None:
    rt = heap()
    live = [rt.malloc(1 << 20) for _ in range(20)]
    rt.collect([])
    rt.set_memory_limit(rt.stats.mapped_ready + (1 << 20))
    for _ in range(10):
        rt.malloc(3 << 20)
    assert rt.stats.bytes["heap_released"] > 0
    assert live
    sound(rt)


def test_slices_that_are_too_long_panic() -> None:
    rt = heap()
    with pytest.raises(GoPanic, match="allocation size out of range"):
        rt.newarray(PAIR, 1 << 60)
    with pytest.raises(GoPanic, match="allocation size out of range"):
        rt.newarray(PAIR, -1)
    assert rt.newarray(PAIR, 0) == rt.zerobase


def test_an_object_larger_than_the_address_space_is_the_end() -> None:
    with pytest.raises(Throw, match="out of memory"):
        heap().malloc(1 << 50)
    with pytest.raises(Throw, match="out of memory"):
        heap().malloc((1 << 64) - 1)


def test_what_no_program_can_ask_for_is_refused() -> None:
    rt = heap()
    with pytest.raises(BadRequest):
        rt.malloc(-1)
    with pytest.raises(BadRequest):
        rt.collect([12345])
    with pytest.raises(BadRequest):
        rt.collect()
    with pytest.raises(BadRequest):
        rt.set_finalizer(12345)
    with pytest.raises(BadRequest):
        rt.stack_alloc(1000)
    with pytest.raises(BadRequest):
        rt.stack_free(12345, 2048)
    v = rt.stack_alloc(2048)
    rt.stack_free(v, 2048)
    with pytest.raises(BadRequest):
        rt.stack_free(v, 2048)


def test_what_is_free_cannot_be_alive_and_nothing_has_begun() -> None:
    rt = heap()
    dead, kept = rt.malloc(64), rt.malloc(64)
    rt.collect([kept], mode="force")  # the dead one is not swept yet
    with pytest.raises(BadRequest, match="is free"):
        rt.collect([dead])
    rt.collect([kept])
    assert rt.totals().objects == 1
    sound(rt)


def test_sampled_objects_carry_a_record() -> None:
    rt = heap(mem_profile_rate=1024)
    for _ in range(1000):
        rt.malloc(64)
    sampled = sum(len(s.specials or ()) for s in rt.in_use())
    assert 20 < sampled < 200
    rt.collect([])
    sound(rt)


def test_with_a_memory_limit_concurrent_cycles_begin_although_gogc_is_off() -> None:
    rt = heap("linux/amd64", "1.27")
    with pytest.raises(BadRequest):
        rt.begin_mark([])
    rt.set_memory_limit(64 << 20)
    rt.begin_mark([])
    rt.finish_mark()
    assert rt.num_gc == 1
