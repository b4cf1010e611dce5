"""The parts of bulk allocation, each against a plain way of doing the same."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.common import at_once
from allocator.common.bulk import tiny_runs as tiny
from allocator.common.bulk.arguments import Kinds
from allocator.common.bulk.batch_layout import BatchLayout
from allocator.common.bulk.codes import FITTED, LARGE, TINY, ZERO, Coder, CodeTable
from allocator.common.bulk.engine import has_numba
from allocator.common.throw import BadRequest
from allocator.common.types import Type
from allocator.contiguous.bulk.many import ClassPlaces
from allocator.contiguous.bulk.marking import spans_of
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.workloads.driver import types_for


def tiny_plainly(sizes: list[int], offset: int) -> tuple[list[int], int]:
    """mallocgc's tiny allocator by itself, which 16 bytes pass by; offset 0: no block."""
    out = []
    for size in sizes:
        align = 8 if size % 8 == 0 else 4 if size % 4 == 0 else 2 if size % 2 == 0 else 1
        at = (offset + align - 1) // align * align
        if size == 16:
            out.append(tiny.NEW_ASIDE)
        elif offset and at + size <= 16:
            out.append(at)
            offset = at + size
        elif not offset or size < offset:
            out.append(tiny.NEW_CURRENT)
            offset = size
        else:
            out.append(tiny.NEW_ASIDE)
    return out, offset


@settings(max_examples=examples(60), phases=phases())
@given(
    seed=st.integers(0, 1 << 32),
    n=st.sampled_from([0, 1, 7, 500, 2048, 2500, 9000]),
    of=st.lists(st.integers(1, 16), min_size=1, max_size=6),
    offset=st.integers(0, 16),
)
def test_tiny_side_by_side(seed: int, n: int, of: list[int], offset: int) -> None:
    """Pieces run side by side come to the same, also where the automaton never forgets."""
    sizes = np.random.default_rng(seed).choice(of, n).astype(np.uint8)
    outcome, left = tiny.run(sizes, offset)
    wanted, then = tiny_plainly(sizes.tolist(), offset)
    assert outcome.tolist() == wanted
    assert left == then or {left, then} == {0, 16}  # a block that is full is as none


CODES = [1, 2, 3, 60, LARGE, ZERO, *range(TINY + 1, TINY + 16)]


@settings(max_examples=examples(80), phases=phases())
@given(
    seed=st.integers(0, 1 << 32),
    n=st.integers(1, 9000),
    of=st.lists(st.sampled_from(CODES), min_size=1, max_size=12, unique=True),
    state=st.integers(0, 16),
    cut=st.floats(0, 1),
)
def test_layouts_agree(seed: int, n: int, of: list[int], state: int, cut: float) -> None:
    """Sorted in blocks, or counted by compiled code: the same times, ranks and groups as by looking."""
    codes = np.random.default_rng(seed).choice(of, n).astype(np.uint8)
    layouts: list[Any] = [BatchLayout(codes.copy(), None, [state], 2)]
    if has_numba():
        from allocator.common.bulk.compiled import LAYING_OUT, CompiledLayout

        LAYING_OUT.make()
        # Every code is a size of its own here.
        table = CodeTable(257, np.arange(257).astype(np.uint8), None)
        layouts.append(CompiledLayout(table, codes, None, state, 2))
    tinies = [c - TINY if TINY < c < TINY + 16 else 0 for c in codes.tolist()]
    outcome = iter(tiny_plainly([size for size in tinies if size], state)[0])
    plain = [
        (FITTED if next(outcome) < tiny.NEW_CURRENT else 2) if size else code
        for size, code in zip(tinies, codes.tolist(), strict=True)
    ]
    values = np.arange(n, dtype=np.uint16)
    for stop in (n, int(n * cut)):
        for one in layouts:
            one.cut(stop)
            if not stop:
                continue
            assert one.codes().tolist() == plain[:stop]
            times = {code: [t for t in range(stop) if plain[t] == code] for code in set(plain[:stop])}
            assert {code: count for code, count in enumerate(one.totals) if count} == {
                code: len(found) for code, found in times.items()
            }
            for code, found in times.items():
                for rank in {0, len(found) // 2, len(found) - 1}:
                    assert one.time(code, rank) == found[rank]
                    assert one.rank(found[rank]) == (code, rank)
                assert one.grouped(values, code).tolist() == found
            assert one.large() == times.get(LARGE, [])
            wanted = [(code, i % len(found), i + 1) for i, (code, found) in enumerate(sorted(times.items()))]
            moments = sorted(
                (t, i) for i, (code, rank, step) in enumerate(wanted) for t in times[code][rank::step]
            )
            when, which = one.moments(wanted)
            assert list(zip(when.tolist(), which.tolist(), strict=True)) == moments
            middle = stop // 3
            assert one.fitted(middle, stop, 0) == plain[middle:stop].count(FITTED)
            sizes = np.array([size or 99 for size in tinies])
            into = [t for t in range(stop) if tinies[t]]
            left = tiny_plainly([tinies[t] for t in into], state)[1] if into else None
            found_offset = one.open_offset(0, sizes)
            # None stands for a block that nothing went into.
            assert found_offset == left or (found_offset is None and left in (None, state))


@settings(max_examples=examples(60), phases=phases())
@given(
    seed=st.integers(0, 1 << 32),
    n=st.integers(1, 9000),
    most=st.sampled_from([1, 7, 15, 40, 3000, 32768, 32769, 1 << 20, (1 << 63) - 1, (1 << 64) - 1]),
    dtype=st.sampled_from([np.uint64, np.int64, np.uint32, np.uint8]),
    kind=st.sampled_from(["plain", "one", "several"]),
)
def test_looking_up_agrees(seed: int, n: int, most: int, dtype: Any, kind: str) -> None:
    """Compiled code finds the codes and numbers that NumPy finds, and says what there is to learn."""
    if not has_numba():
        pytest.skip("Numba is not installed")
    from allocator.common.bulk.compiled import LAYING_OUT, CompiledLayout

    LAYING_OUT.make()
    rt = boot("linux/amd64")
    rng = np.random.default_rng(seed)
    most = min(most, int(np.iinfo(dtype).max))
    sizes = rng.integers(0, most, n, dtype, endpoint=True)
    types = [t for t in types_for(8) if t.size <= 1024] if kind == "several" else []
    index = None
    if types:
        index = rng.integers(-1, len(types), n)
        sizes = np.array([*[t.size for t in types], 5]).astype(dtype)[index]
    coder = Coder(
        ClassPlaces(rt),
        Kinds(list(types), index, None if kind == "plain" else rt.pointer_type),
        int(sizes.min()),
        int(sizes.max()),
    )
    fresh = CompiledLayout(coder.table, sizes, index, 0, 2) if coder.table else None
    codes, numbers = coder.code_all(sizes, index)
    if coder.table is None or fresh is None or not len(codes):
        return
    sizes, index = sizes[: len(codes)], None if index is None else index[: len(codes)]
    assert fresh.unknown or kind == "plain" or not np.any(numbers)
    after = CompiledLayout(coder.table, sizes, index, 0, 2)
    assert not after.unknown
    assert np.array_equal(np.broadcast_to(after.numbers, len(codes)), np.broadcast_to(numbers, len(codes)))
    assert after.codes().tolist() == BatchLayout(codes, None, [0], 2).codes().tolist()


# Marking and sweeping at once.


def heap_of(platform: str, seed: int) -> tuple[Runtime, list[int]]:
    """A machine with objects of all kinds, some of them dead and swept, and those that live."""
    rt = boot(platform)
    dice = random.Random(seed)
    types = types_for(rt.config.ptr_size)
    live = []
    for _ in range(1500):
        kind = dice.random()
        if kind < 0.4:
            live.append(rt.malloc(dice.choice([3, 16, 100, 700, 5000])))
        elif kind < 0.97:
            typ = dice.choice(types)
            live.append(rt.malloc(typ.size * dice.choice([1, 1, 3]), typ))
        else:
            live.append(rt.malloc(dice.choice([40_000, 90_000]), dice.choice([None, types[0]])))
    live = [p for p in dict.fromkeys(live) if dice.random() < 0.8]
    rt.collect(live)
    return rt, live


@pytest.mark.parametrize("seed", range(2))
def test_scan_work_of_every_object(platform: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What marking at once counts is what looking at each object counts."""
    rt, live = heap_of(platform, seed)
    spans = rt.spans
    scan = marked = 0
    for p in live:
        s = rt.heap.lookup(p)
        scan += rt.gc.scan_extent(s, (p - spans.base[s]) // spans.elemsize[s])
        marked += spans.elemsize[s]
    monkeypatch.setattr(at_once, "MANY", 1)
    before = rt.gc.scan_work  # which forced collections only ever add to
    rt.collect(np.array(live, np.uint64), mode="force")
    # Tiny objects of one block are one object.
    blocks = {p - (p - spans.base[s]) % spans.elemsize[s] for p in live for s in (rt.heap.lookup(p),)}
    shared = len(live) - len(blocks)
    assert rt.stats.heap_live == marked - 16 * shared
    assert rt.gc.scan_work - before == scan


def test_addresses_of_objects_and_of_none() -> None:
    """Each address by itself and all at once are found in the same spans."""
    rt, live = heap_of("linux/amd64", 9)
    dice = random.Random(1)
    asked = [dice.choice(live) + dice.randrange(-9000, 9000) for _ in range(3000)]
    asked += [0, 1, (1 << 64) - 1, rt.heap.arena_start - 1, rt.heap.arena_used, rt.zerobase]
    assert spans_of(rt, np.array(asked, np.uint64)).tolist() == [rt.heap.lookup_maybe(p) for p in asked]


def test_live_arrays_that_cannot_be() -> None:
    """The same is refused as with lists, with the same words, whichever comes first."""
    rt, live = heap_of("linux/amd64", 10)
    dead = rt.malloc(100)
    s = rt.heap.lookup(dead)
    free = dead + rt.spans.elemsize[s]
    outside = rt.heap.arena_used + 8
    for wrong in ([*live, outside, 5], [5, *live]):
        words = []
        for given_live in (wrong, np.array(wrong, np.uint64)):
            with pytest.raises(BadRequest) as refusal:
                rt.collect(given_live)
            words.append(str(refusal.value))
        assert words[0] == words[1]
    for shape in (np.array([[1]]), np.array([1.5])):
        with pytest.raises(BadRequest, match="flat array of addresses"):
            rt.collect(shape)
    other, _ = heap_of("linux/amd64", 10)
    other.malloc(100)
    words = []
    for machine, given_live in ((rt, np.array([*live, free], np.uint64)), (other, [*live, free])):
        with pytest.raises(BadRequest) as refusal:
            machine.collect(given_live)
        words.append(str(refusal.value))
    assert words == [f"{free:#x} is free, so it cannot be alive"] * 2
    rt.spans.end()
    rt.spans.record(0)  # nothing holds the columns: they can grow


def test_objects_of_no_size_may_be_alive(amd64: Runtime) -> None:
    """zerobase is not an object of the heap, but not a mistake either."""
    p = amd64.malloc(50)
    amd64.collect(np.array([amd64.zerobase, p, amd64.zerobase], np.uint64))
    assert amd64.heap.lookup_maybe(p) >= 0
    amd64.collect(np.array([amd64.zerobase], np.uint64))
    assert amd64.heap.lookup_maybe(p) < 0


def test_pages_far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heap too wide for a table of its pages is looked up page by page."""
    rt, live = heap_of("linux/amd64", 12)
    monkeypatch.setattr("allocator.contiguous.bulk.marking.DENSE", 1)
    asked = np.array(live, np.uint64)
    assert spans_of(rt, asked).tolist() == [rt.heap.lookup_maybe(p) for p in live]


def test_type_without_pointers_among_types(amd64: Runtime) -> None:
    """It leaves the bitmap of a span of its class as that of an object without pointers."""
    quiet = Type.of_words("quiet", "....", 8)
    loud = Type.of_words("loud", "pppp", 8)
    index = np.arange(1000) % 2
    a = amd64.malloc_many(np.full(1000, 32), typ=[quiet, loud], types=index)
    s = amd64.heap.lookup(int(a[0]))
    assert amd64.bitmap(s)[:4] == bytes((0x00, 0xDF, 0x00, 0xDF))
