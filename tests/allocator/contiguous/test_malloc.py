"""mallocgc: addresses, the tiny allocator's rules, sizes, throws, and the short way against the whole one."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.common.sizeclasses import compute
from allocator.common.throw import BadRequest, Exit, GoPanic, Throw
from allocator.common.types import BadType, Type
from allocator.contiguous.mspan import IN_USE
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot

CLASSES = compute()
NO_POINTERS = 1 << 7


def block(rt: Runtime, v: int) -> tuple[int, int]:
    """Where a block begins and its size."""
    s = rt.heap.lookup(v)
    base, size = rt.spans.base[s], rt.spans.elemsize[s]
    return base + (v - base) // size * size, size


# Sizes.


def test_nothing_is_at_zerobase(rt: Runtime) -> None:
    v = rt.malloc(0)
    assert v == rt.malloc(0, Type(0, 0, NO_POINTERS)) == rt.zerobase
    assert rt.heap.lookup_maybe(v) < 0
    assert rt.memstats()["Mallocs"] == 0


def test_an_object_has_the_block_of_its_class(some_rt: Runtime) -> None:
    # Every class is the least that holds the size (msize.go).
    for size in [*range(16, 1100), *range(1100, 32769, 61), 32767, 32768]:
        start, length = block(some_rt, some_rt.malloc(size))
        assert length == min(c for c in CLASSES.class_to_size if c >= size)
        assert (start - some_rt.spans.base[some_rt.heap.lookup(start)]) % length == 0


@pytest.mark.parametrize("size", [32769, 40959, 40960, 40961, 65536, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_a_large_object_has_whole_pages(size: int, some_rt: Runtime) -> None:
    v = some_rt.malloc(size)
    s = some_rt.heap.lookup_maybe(v)
    assert some_rt.spans.base[s] == v
    assert some_rt.spans.elemsize[s] == some_rt.spans.npages[s] * 8192 == -(-size // 8192) * 8192
    assert (some_rt.spans.nelems[s], some_rt.spans.alloc_count[s], some_rt.spans.free_index[s]) == (1, 1, 1)
    assert some_rt.spans.limit[s] == v + size


def test_the_first_addresses_of_a_linux_amd64_heap(amd64: Runtime) -> None:
    # As the recordings of real runs begin: the arena's first pages, in the order of the first uses.
    pointer, pair = Type.of_words("*T", "p", 8), Type.of_words("pair", "pp", 8)
    assert amd64.malloc(8, pointer) == 0xC420000000
    assert amd64.malloc(16, pair) == 0xC420002000
    assert amd64.malloc(8, pointer) == 0xC420000008
    assert amd64.malloc(100_000) == 0xC420004000
    assert amd64.malloc(16, pair) == 0xC420002010


# Tiny objects.


def naive_tiny(sizes: list[int]) -> list[tuple[int, int]]:
    """Block and offset of tiny objects, from the rules: aligned to 8, 4 or 2 as the size is a multiple of
    them; into the current block if there is room, else at the start of a new one, which becomes the
    current one where more is left in it than in the other."""
    found = []
    current, offset, blocks = -1, 0, 0
    for size in sizes:
        align = 8 if size % 8 == 0 else 4 if size % 4 == 0 else 2 if size % 2 == 0 else 1
        at = -(-offset // align) * align
        if current >= 0 and at + size <= 16:
            found.append((current, at))
            offset = at + size
            continue
        found.append((blocks, 0))
        if current < 0 or size < offset:
            current, offset = blocks, size
        blocks += 1
    return found


@settings(max_examples=examples(150), phases=phases())
@given(sizes=st.lists(st.integers(1, 15), max_size=200), whole=st.booleans())
def test_tiny_objects_share_blocks_by_the_rules(sizes: list[int], whole: bool) -> None:
    rt = boot("linux/amd64")
    if whole:
        rt.watch()  # takes the machine off the short way
    addresses = [rt.malloc(size) for size in sizes]
    if not addresses:
        return
    # Blocks of an untouched span follow each other.
    assert [(block * 16 + off) for block, off in naive_tiny(sizes)] == [v - addresses[0] for v in addresses]
    rt.sync_caches()
    blocks = len({block for block, _ in naive_tiny(sizes)})
    rt.flush_local_scan(rt.cache)
    assert rt.stats.tinyallocs == len(sizes) - blocks
    assert sum(rt.spans.alloc_count[s] for s in rt.in_use()) == blocks


def test_objects_with_pointers_are_never_tiny(some_rt: Runtime) -> None:
    ptr = some_rt.config.ptr_size
    some_rt.malloc(1)
    first, second = (some_rt.malloc(ptr, Type.of_words("*T", "p", ptr)) for _ in range(2))
    assert abs(second - first) == 8
    assert block(some_rt, first)[1] == 8
    assert some_rt.cache.local_tinyallocs == 0


def test_each_p_fills_a_tiny_block_of_its_own() -> None:
    rt = boot("linux/amd64", procs=3)
    first = [rt.malloc(4, p=p) for p in range(3)]
    second = [rt.malloc(4, p=p) for p in range(3)]
    assert len(set(first)) == 3
    assert [b - a for a, b in zip(first, second, strict=True)] == [4, 4, 4]


# What is counted as scannable.


def test_scannable_bytes_reach_to_the_last_pointer(some_rt: Runtime) -> None:
    rt = some_rt
    ptr = rt.config.ptr_size
    typ = Type.of_words("t", "p.p...", ptr)
    for count, words in ((1, 3), (4, 3 * 6 + 3), (3000, 2999 * 6 + 3)):
        before = rt.stats.heap_scan + rt.cache.local_scan
        rt.malloc(typ.size * count, typ)
        assert rt.stats.heap_scan + rt.cache.local_scan - before == words * ptr
    before = rt.stats.heap_scan + rt.cache.local_scan
    rt.malloc(1000)
    assert rt.stats.heap_scan + rt.cache.local_scan == before


def test_a_defer_record_is_described_without_its_arguments(some_rt: Runtime) -> None:
    rt = some_rt
    ptr, header = rt.config.ptr_size, rt.config.sizeof_defer
    words = header // ptr
    mask = (1 << words) - 1
    kind = Type(header, header, 25, ptr, mask.to_bytes(8, "little"), "runtime._defer", is_defer=True)
    plain = Type(header, header, 25, ptr, mask.to_bytes(8, "little"), "main._defer")
    size = header + 10 * header
    bits = []
    for typ in (kind, plain):
        v = rt.malloc(size, typ)
        s = rt.heap.lookup(v)
        word = (v - rt.spans.base[s]) // ptr
        text = rt.bitmap(s)
        bits.append(sum(text[i // 4] >> i % 4 & 1 for i in range(word, word + size // ptr)))
    assert bits == [words, 11 * words]


# The short way and the whole one.


def state_of(rt: Runtime) -> dict[str, Any]:
    """All that a machine is, by value."""
    rt.sync_caches()
    spans = rt.spans
    stats = {name: getattr(rt.stats, name) for name in type(rt.stats).__slots__}
    return {
        "spans": [spans.describe(s) for s in range(len(spans))],
        "bits": [rt.bitmap(s) for s in rt.in_use()],
        "alloc_bits": list(spans.alloc_bits),
        "lists": [spans.on_list[s].name if spans.on_list[s] else None for s in range(len(spans))],  # type: ignore[union-attr]
        "stats": stats,
        "caches": [
            (
                cache.tiny,
                cache.tiny_offset,
                cache.local_scan,
                cache.local_tinyallocs,
                [(c.span, c.next, c.end) for c in cache.alloc],
                cache.local_nsmallfree,
            )
            for cache in rt.caches
        ],
        "chunks": rt.persistent.chunks,
        "arena": (rt.heap.arena_used, rt.heap.arena_end, rt.heap.bitmap_mapped, rt.heap.spans_len),
        "running": rt.cache.id,
    }


@settings(max_examples=examples(40), phases=phases())
@given(
    platform=st.sampled_from(("linux/amd64", "linux/386", "windows/amd64", "linux/mips", "nacl/amd64p32")),
    seed=st.integers(0, 1 << 32),
    gogc=st.sampled_from((-1, 50)),
)
def test_the_short_way_leaves_the_same_machine(platform: str, seed: int, gogc: int) -> None:
    machines = [boot(platform, procs=2, gogc=gogc) for _ in range(2)]
    ptr = machines[0].config.ptr_size
    types = [Type.of_words(w, w, ptr) for w in ("p", "pp", "p.", ".p.", "pp.p..", "p" * 40, "....p" * 9)]
    types.append(Type(40, 0, 25 | NO_POINTERS, ptr, b"", "bytes"))
    rng = random.Random(seed)
    live: list[int] = []
    for _ in range(400):
        kind = rng.random()
        p = rng.randrange(2)
        if kind < 0.03:
            live = [v for v in live if rng.random() < 0.5]
            mode = rng.choice(("block", "force"))
            for rt in machines:
                rt.collect(live, mode=mode)
            continue
        if kind < 0.5:
            size, typ = rng.choice((rng.randrange(0, 17), rng.randrange(16, 40_000), 48, 80)), None
        else:
            typ = rng.choice(types)
            size = typ.size * rng.choice((1, 1, 2, 3, 100))
        short = machines[0].malloc(size, typ, p=p)
        assert machines[1].mallocgc(size, typ, True, p) == short
        if size:
            live.append(short)
    assert machines[0].plain
    assert state_of(machines[0]) == state_of(machines[1])


def test_pointers_throughout_are_an_array_of_pointers(some_rt: Runtime) -> None:
    rt = some_rt
    ptr = rt.config.ptr_size
    pointer = Type.of_words("unsafe.Pointer", "p", ptr)
    for size in (ptr, 2 * ptr, 10 * ptr, 1000 * ptr, 50_000 * ptr):
        a, b = rt.malloc(size, noscan=False), rt.malloc(size, pointer)
        s, t = rt.heap.lookup(a), rt.heap.lookup(b)
        length = rt.spans.elemsize[s] // ptr
        words = []
        for v, span in ((a, s), (b, t)):
            text = rt.bitmap(span)
            first = (v - rt.spans.base[span]) // ptr
            words.append([text[i // 4] >> i % 4 & 0x11 for i in range(first, first + length)])
        assert words[0] == words[1]


def test_noscan_drops_the_type(amd64: Runtime) -> None:
    typ = Type.of_words("t", "ppp", 8)
    v = amd64.malloc(24, typ, noscan=True)
    s = amd64.heap.lookup(v)
    assert not any(amd64.bitmap(s))


# Throws.


def test_no_allocation_while_marking_terminates(rt: Runtime) -> None:
    rt.gc.set_phase(2)
    for size in (0, 8, 100, 100_000):
        with pytest.raises(Throw, match=r"^mallocgc called with gcphase == _GCmarktermination$"):
            rt.malloc(size)


def test_malloc_in_malloc_is_a_deadlock(rt: Runtime) -> None:
    with rt.during_malloc():
        for size in (8, 100, 100_000):
            with pytest.raises(Throw, match=r"^malloc deadlock$"):
                rt.malloc(size)
        assert rt.malloc(0) == rt.zerobase
    assert rt.malloc(8)


def test_no_allocation_on_the_signal_stack(rt: Runtime) -> None:
    rt.on_signal_stack = True
    rt.phase_changed()
    with pytest.raises(Throw, match=r"^malloc during signal$"):
        rt.malloc(8)


def test_a_size_that_wraps_is_out_of_memory(rt: Runtime) -> None:
    with pytest.raises(Throw, match=r"^out of memory$"):
        rt.malloc(rt.config.uintptr_mask)
    assert rt.printed == []  # largeAlloc saw it before anything was asked for


def test_more_than_the_arena_is_out_of_memory(rt: Runtime) -> None:
    size = 1 << 39 if rt.config.is_64bit else 3 << 30
    rt.malloc(1 << 20)
    with pytest.raises(Throw, match=r"^out of memory$"):
        for _ in range(2):  # some 32-bit systems leave a process all but 4 GB
            rt.malloc(size)
    (said,) = [line for line in rt.printed if line.startswith("runtime: out of memory: cannot allocate")]
    assert said.endswith(f"({rt.stats.heap_sys} in use)")


@pytest.mark.parametrize("n", [-1, -(1 << 62), 1 << 62])
def test_an_array_that_no_slice_can_be_is_a_panic(n: int, rt: Runtime) -> None:
    ptr = rt.config.ptr_size
    for typ in (Type.of_words("t", "p.", ptr), Type(8, 0, NO_POINTERS)):
        with pytest.raises(GoPanic, match=r"^runtime: allocation size out of range$") as caught:
            rt.newarray(typ, n)
        assert caught.value.kind == "panic"


def test_a_size_that_wraps_when_rounded_grows_the_heap_by_a_megabyte_and_dies(i386: Runtime) -> None:
    # grow rounds to 64 KB: on 32-bit the last sizes come to 0 bytes, which is then raised to 1 MB.
    i386.malloc(8)
    used = i386.heap.arena_used
    with pytest.raises(Throw, match=r"^out of memory$"):
        i386.malloc((1 << 32) - 3 * 8192)
    assert i386.heap.arena_used - used == 1 << 20
    assert i386.printed == []


def test_the_longest_array_is_of_max_mem(rt: Runtime) -> None:
    typ = Type(1000, 0, NO_POINTERS)
    longest = rt.config.max_mem // 1000
    with pytest.raises(GoPanic):
        rt.newarray(typ, longest + 1)
    with contextlib.suppress(Throw, Exit):  # which it may well be, but not a panic
        rt.newarray(typ, longest)
    assert rt.newarray(Type(0, 0, NO_POINTERS), 1 << 30) == rt.zerobase


@pytest.mark.parametrize("size", [-1, 1 << 65])
def test_what_no_program_can_ask_is_refused(size: int, rt: Runtime) -> None:
    with pytest.raises(BadRequest):
        rt.malloc(size)


@pytest.mark.parametrize(
    "typ",
    [
        Type(16, 24, 25, 8, b"\x03"),  # pointers beyond its end
        Type(12, 8, 25, 8, b"\x01"),  # not of whole words
        Type(16, 12, 25, 8, b"\x01"),
        Type(0, 0, 25, 8),
        Type(200, 8, 25, 8, b"\x01"),  # larger than what is asked for
    ],
)
def test_a_type_that_no_compiler_makes_is_refused(typ: Type, amd64: Runtime) -> None:
    with pytest.raises(BadType):
        amd64.malloc(100, typ)
    assert amd64.audit() == []


# sbrk, and objects new and newarray make.


def test_sbrk_allocates_persistently(some_rt: Runtime) -> None:
    rt = some_rt
    rt.debug_sbrk = True
    rt.phase_changed()
    other = rt.stats.other_sys
    spans = len(rt.spans)
    first = rt.malloc(10)
    second = rt.malloc(10)
    typed = rt.malloc(24, Type.of_words("t", "pp.", rt.config.ptr_size))
    assert (first % 16, second - first, typed % rt.config.ptr_size) == (0, 16, 0)
    assert len(rt.spans) == spans
    assert rt.stats.other_sys - other in (0, 256 << 10)


def test_newobject_and_newarray_are_malloc(amd64: Runtime, i386: Runtime) -> None:
    for rt in (amd64, i386):
        typ = Type.of_words("t", "p..", rt.config.ptr_size)
        flat = Type(24, 0, NO_POINTERS)
        other = boot(rt.config.platform)
        assert rt.newobject(typ) == other.malloc(typ.size, typ)
        assert rt.newobject(flat) == other.malloc(24)
        assert rt.newarray(typ, 7) == other.malloc(7 * typ.size, typ)
        assert rt.newarray(flat, 3) == other.malloc(72)
        assert {other.spans.state[s] for s in other.in_use()} == {IN_USE}


def test_the_distance_to_the_next_sample_is_counted_in_32_bits() -> None:
    # int32(size) of 3 GB is negative: such an object is never sampled, and puts the next sample farther away.
    rt = boot("linux/amd64", mem_profile_rate=1 << 33)
    cache = rt.caches[0]
    cache.next_sample = 1000
    rt.malloc(3 << 30)
    assert cache.next_sample == 1000 + (1 << 30)
    rt.malloc(3 << 30)
    assert cache.next_sample == 1000 + (2 << 30) - (1 << 32)  # and wraps
    assert rt.specials.buckets == {}
