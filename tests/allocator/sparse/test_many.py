"""malloc_many against malloc: the same addresses, and the same machine afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.common.throw import BadRequest, Throw
from allocator.common.types import BadType, Type
from allocator.sparse.heap import Heap
from allocator.sparse.mspan import MSpan
from tests.support.sparse_heap import heap


def types_of(ptr: int) -> list[Type]:
    return [
        Type.of_words("word", "p", ptr),
        Type.of_words("pair", "p.", ptr),
        Type.of_words("three", "pp.", ptr),
        Type.of_words("wide", "p" * 90, ptr),
        Type.of_words("plain", "..", ptr),
    ]


def named(s: MSpan) -> list[Any]:
    """What a span's objects have in bits and headers; each machine has its own type of single pointers."""
    return [what.name if isinstance(what, Type) else what for what in s.types or ()]


def state(rt: Heap) -> dict[str, Any]:
    """All of a machine that may not depend on how objects were asked for."""
    rt.sync_caches()
    cached = [
        (c.next - c.base, c.end - c.base, c.span.base) if c.span is not None else None
        for p in rt.ps
        for c in p.mcache.alloc
    ]
    return {
        "spans": [(s.describe(), s.alloc_bits, named(s)) for s in rt.heap.allspans],
        "chunks": {ci: (c.bits, c.scavenged) for ci, c in rt.pages.chunks.items()},
        "cached": cached,
        "tiny": [(p.mcache.tiny, p.mcache.tiny_offset, p.mcache.tiny_allocs) for p in rt.ps],
        "scan": [p.mcache.scan_alloc for p in rt.ps],
        "counters": rt.counters(),
        "heap_scan": rt.pacer.heap_scan,
    }


def difference(one: Heap, other: Heap) -> str:
    """The first thing in which two machines differ; empty where there is none."""
    first, second = state(one), state(other)
    for name, value in first.items():
        if value == second[name]:
            continue
        if isinstance(value, list):
            pairs = enumerate(zip(value, second[name], strict=False))
            return next(f"{name} {i}: {a} and {b}" for i, (a, b) in pairs if a != b)
        return f"{name}: {value} and {second[name]}"
    return ""


def both(platform: str) -> tuple[Heap, Heap]:
    return heap(platform, procs=2), heap(platform, procs=2)


def one_by_one(rt: Heap, sizes: list[int], types: list[int], table: list[Type], p: int) -> list[int]:
    return [rt.malloc(size, table[t] if t >= 0 else None, p=p) for size, t in zip(sizes, types, strict=True)]


def drawn(seed: int, n: int) -> list[tuple[int, int]]:
    """Sizes and types of n objects: tiny, small and a few large ones, in rows of the same and mixed."""
    lots = np.random.default_rng(seed)
    kinds = lots.integers(0, 10, n)
    small = np.where(kinds < 4, lots.integers(0, 41, n), lots.integers(0, 1101, n))
    edges = lots.choice([512, 513, 32760, 32761, 100_000], n)
    sizes = np.where(kinds == 9, edges, small)
    return list(zip(sizes.tolist(), lots.integers(-1, 5, n).tolist(), strict=True))


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["linux/amd64", "linux/386"]),
    st.integers(0, 1 << 32),
    st.integers(64, 900),
    st.integers(0, 3),
)
def test_many_are_as_one_by_one(platform: str, seed: int, n: int, rounds: int) -> None:
    objects = drawn(seed, n)
    one, many = both(platform)
    table = types_of(one.config.ptr_size)
    sizes = [max(size, table[t].size) if t >= 0 else size for size, t in objects]
    types = [t for _, t in objects]
    for turn in range(rounds + 1):
        p = turn & 1
        expected = one_by_one(one, sizes, types, table, p)
        found = many.malloc_many(np.array(sizes), typ=table, types=np.array(types), p=p)
        assert [i for i, p in enumerate(found.tolist()) if p != expected[i]] == []
        assert difference(many, one) == ""
        for rt in (one, many):
            rt.collect(expected[:: turn + 2])
        assert difference(many, one) == ""
        sizes.reverse()
        types.reverse()
    assert many.audit() == []


def test_one_type_for_all_and_none() -> None:
    one, many = both("linux/amd64")
    for options in ({}, {"noscan": False}, {"typ": types_of(8)[1]}):
        sizes = np.arange(16, 900, 3)
        expected = [one.malloc(int(size), **options) for size in sizes]
        assert many.malloc_many(sizes, **options).tolist() == expected
    assert difference(many, one) == ""


def test_objects_of_many_ps() -> None:
    one, many = both("linux/amd64")
    sizes, ps = np.arange(300), np.arange(300) % 2
    expected = [one.malloc(int(size), p=int(p)) for size, p in zip(sizes, ps, strict=True)]
    assert many.malloc_many(sizes, p=ps).tolist() == expected
    assert difference(many, one) == ""


def test_collections_in_the_middle() -> None:
    one, many = (heap(gogc=100) for _ in range(2))
    for rt in (one, many):
        rt.liveness = []
    sizes = np.full(60_000, 128)
    assert many.malloc_many(sizes).tolist() == [one.malloc(128) for _ in sizes]
    assert one.num_gc == many.num_gc > 0


def test_a_death_leaves_the_machine_as_it_was_then() -> None:
    one, many = both("linux/amd64")
    sizes = [48] * 500 + [1 << 50] + [48] * 100
    with pytest.raises(Throw, match="out of memory"):
        many.malloc_many(np.array(sizes))
    for _ in range(500):
        one.malloc(48)
    with pytest.raises(Throw, match="out of memory"):
        one.malloc(1 << 50)
    assert difference(many, one) == ""


def test_a_type_that_cannot_be_stops_there() -> None:
    one, many = both("linux/amd64")
    pair = types_of(8)[1]
    sizes = [16] * 100 + [8] + [16] * 100
    with pytest.raises(BadType):
        many.malloc_many(np.array(sizes), typ=pair)
    for _ in range(100):
        one.malloc(16, pair)
    assert difference(many, one) == ""


def test_what_cannot_be_asked_changes_nothing() -> None:
    rt = heap()
    before = state(rt)
    for sizes, options in (
        ([[1]], {}),
        ([-1], {}),
        ([1.5], {}),
        ([1], {"p": 5}),
        ([1], {"typ": types_of(8)}),
        ([1], {"typ": types_of(8), "types": [9]}),
    ):
        with pytest.raises(BadRequest):
            rt.malloc_many(np.array(sizes), **options)
    assert state(rt) == before
    assert rt.malloc_many(np.array([], np.int64)).tolist() == []
