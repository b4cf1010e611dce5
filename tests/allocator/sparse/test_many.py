"""malloc_many against malloc: the same addresses, and the same machine afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocator.common.bulk import base_batch, batch_layout, batches, codes, moments
from allocator.common.bulk.engine import has_numba, use_compiled
from allocator.common.throw import BadRequest, Throw
from allocator.common.types import BadType, Type
from allocator.kernels.system import ENOMEM, Errno
from allocator.sparse.bulk import batch
from allocator.sparse.growth import Growth
from allocator.sparse.heap import Heap
from allocator.sparse.mark_bits import GcBitsArenas
from allocator.sparse.mspan import MSpan
from allocator.sparse.persistentalloc import PersistentAlloc
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
        "heap_stats": {name: getattr(rt.heap_stats, name) for name in rt.heap_stats.__slots__},
        **lists(rt),
    }


def lists(rt: Heap) -> dict[str, Any]:
    """Who holds which pages, records and spans, and from where memory for more of them would come."""
    sets = [spans for c in rt.central for spans in (*c.partial, *c.full)]
    records, caches = rt.heap.spanalloc, [p.page_cache for p in rt.ps]
    index = rt.pages.index
    return {
        "sets": [[s.self_addr for s in spans] for spans in sets],
        "blocks": [(spans.head, spans.tail, spans.blocks, spans.spine_cap) for spans in sets],
        "page caches": [(cache.base, cache.cache, cache.scav) for cache in caches],
        "records of Ps": [[rt.heap.allspans.of(s).self_addr for s in p.mspan_cache] for p in rt.ps],
        "records": (records.inuse, records.chunk, records.nchunk, records.free_list, rt.heap.allspans_array),
        "bits": (rt.gc_bits.free, rt.gc_bits.next, rt.gc_bits.next_free),
        "persistent": rt.persistent.chunks,
        "summaries": (rt.pages.search_addr, rt.pages.levels),
        "index": [(use.in_use, use.last_in_use, use.gen, use.has_free) for use in index.chunks.values()],
        "page bits": (list(rt.heap.in_use), list(rt.heap.inline)),
        "zeroed": [arena.zeroed_base for arena in rt.arenas.by_index.values()],
        "table": [(s.self_addr, page) for page in rt.heap.in_use if (s := rt.heap.table.get(page))],
        "before": [s.alloc_count_before_cache for s in rt.heap.allspans],
        "running": rt.current_p,
        "calls": rt.mem.os.kernel.log,
        "growth": (rt.growth.base, rt.growth.end),
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


@pytest.fixture(params=[False, True], ids=["numpy", "compiled"])
def compiled(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param and not has_numba():
        pytest.skip("no numba")
    use_compiled(request.param)
    yield
    use_compiled(None)


@pytest.fixture
def small_steps() -> Iterator[None]:
    """What is done for many objects, blocks and spans at once is done for few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "WORTH_IT", 2)
        patch.setattr(batch, "PATIENCE", 3)
        for module in (base_batch, batch_layout):
            patch.setattr(module, "BLOCK", 512)
        patch.setattr(codes, "LOOKED_UP", 512)
        patch.setattr(batches, "AT_ONCE", 3000)
        yield


def sizes_to(lots: np.random.Generator, top: int, n: int) -> Any:
    """Sizes of any order of magnitude to `top`."""
    k = lots.integers(0, top.bit_length() - 1, n)
    return (1 << k) + (lots.random(n) * (1 << k)).astype(np.int64)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    platform=st.sampled_from(["linux/amd64", "linux/386", "darwin/arm64", "linux/ppc64le", "linux/mips"]),
    go=st.sampled_from(["1.22", "1.24", "1.26", "1.27"]),
    gogc=st.sampled_from([-1, -1, 50]),
    seed=st.integers(0, 1 << 32),
    tops=st.lists(st.sampled_from([16, 1024, 1024, 8192, 32768]), min_size=1, max_size=3),
)
def test_rows_of_fresh_spans_from_any_state(
    compiled: None, small_steps: None, platform: str, go: str, gogc: int, seed: int, tops: list[int]
) -> None:
    one, many = (heap(platform, go, procs=2, gogc=gogc) for _ in range(2))
    lots = np.random.default_rng(seed)
    table = types_of(one.config.ptr_size)
    for rt in (one, many):
        rt.liveness = []
    for turn, top in enumerate(tops):
        n = 200_000 // top + 1500
        sizes = sizes_to(lots, top, n)
        types = lots.integers(-1, 5, n) if turn & 1 else np.full(n, seed % 6 - 1)
        sizes = np.maximum(sizes, np.array([*(t.size for t in table), 0])[types])
        p = turn & 1
        expected = one_by_one(one, sizes.tolist(), types.tolist(), table, p)
        found = many.malloc_many(sizes, typ=table, types=types, p=p)
        assert [i for i, v in enumerate(found.tolist()) if v != expected[i]] == []
        assert difference(many, one) == ""
        if gogc < 0:
            for rt in (one, many):
                rt.collect(expected[:: turn + 5], mode="force" if seed & 1 else "block")
                if seed & 2:
                    rt.scavenge()
    assert difference(many, one) == ""
    assert many.audit() == []


@settings(max_examples=12, deadline=None)
@given(limit=st.integers(52 << 10, 72 << 10), noscan=st.booleans(), top=st.sampled_from([1024, 4096]))
def test_the_system_refuses_in_the_middle_of_a_row(limit: int, noscan: bool, top: int) -> None:
    sizes = sizes_to(np.random.default_rng(limit), top, 40_000_000 // top)
    deaths = []
    one, many = (heap(rlimit_data=limit << 10) for _ in range(2))
    for ask in (
        lambda: [one.malloc(size, None, noscan) for size in sizes.tolist()],
        lambda: many.malloc_many(sizes, noscan),
    ):
        try:
            ask()
            deaths.append("")
        except Throw as death:
            deaths.append(death.words)
    assert deaths[0] == deaths[1]
    assert one.printed == many.printed
    assert difference(many, one) == ""


@pytest.mark.parametrize(
    ("platform", "go", "names"),
    [("linux/amd64", "1.27", True), ("linux/amd64", "1.23", False), ("linux/386", "1.27", True)],
)
@pytest.mark.parametrize("top", [1024, 8192, 32760])
@pytest.mark.parametrize("refused", [0, 1])
def test_a_heap_grows_in_the_middle_of_a_row(
    platform: str, go: str, names: bool, top: int, refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown: list[int] = []
    go_on = Growth.go_on

    def noted(self: Growth, npages: int) -> int:
        grown.append(go_on(self, npages))
        return grown[-1]

    monkeypatch.setattr(Growth, "go_on", noted)
    one, many = (heap(platform, go, procs=2, names=names) for _ in range(2))
    lots = np.random.default_rng(top)
    for turn in range(3):
        sizes = lots.integers(top // 2, top, 14_000_000 // top)
        if turn == 2 and refused:
            for rt in (one, many):
                rt.mem.os.kernel.plan = _refuses_growth(refused)
        deaths, found = [], [0, 0]
        for k, ask in enumerate(
            (
                lambda sizes=sizes, p=turn & 1: [one.malloc(size, p=p) for size in sizes.tolist()],
                lambda sizes=sizes, p=turn & 1: many.malloc_many(sizes, p=p).tolist(),
            )
        ):
            try:
                found[k] = ask()
            except Throw as death:
                deaths.append(death.words)
        assert found[0] == found[1]
        assert len(deaths) == (2 if turn == 2 and refused else 0)
        assert len(set(deaths)) < 2
        assert difference(many, one) == ""
        for rt in (one, many):
            if turn == 0:
                rt.collect([])
    # There a growth is a whole arena, which is reserved first; and long spans leave pages in the cache.
    assert any(grown) == (platform != "linux/386" and top < 32760)
    assert refused or many.audit() == []


@pytest.mark.parametrize(("platform", "names"), [("linux/amd64", True), ("linux/386", False)])
def test_bits_and_records_get_new_memory_in_the_middle_of_a_row(
    platform: str, names: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, list[bool]] = {"bits": [], "records": []}
    arena, renew = GcBitsArenas.arena_at_once, PersistentAlloc.renew_at_once
    for owner, name, act, noted in (
        (GcBitsArenas, "arena_at_once", arena, asked["bits"]),
        (PersistentAlloc, "renew_at_once", renew, asked["records"]),
    ):
        monkeypatch.setattr(owner, name, lambda of, a=act, n=noted: n.append(a(of)) or n[-1])
    one, many = (heap(platform, names=names) for _ in range(2))
    lots = np.random.default_rng(3)
    sizes = np.concatenate([lots.integers(16, 32, 150_000), lots.integers(4096, 9000, 2000)])
    for collects in (False, True, False):
        expected = [one.malloc(size) for size in sizes.tolist()]
        assert many.malloc_many(sizes).tolist() == expected
        assert difference(many, one) == ""
        for rt in (one, many):
            if collects:
                rt.collect([])
    assert all(any(found) for found in asked.values())


def _refuses_growth(after: int) -> Callable[[str, int, int], Errno | None]:
    """A plan by which the system grants a heap so many growths, and then none."""
    seen = []

    def plan(helper: str, v: int, n: int) -> Errno | None:
        if helper == "sysMap":
            seen.append(v)
        return ENOMEM if len(seen) > after else None

    return plan


def test_sets_of_full_spans_get_blocks_in_the_middle_of_a_row() -> None:
    one, many = both("linux/amd64")
    for count in (700, 1400):
        expected = [one.malloc(8192) for _ in range(count)]
        assert many.malloc_many(np.full(count, 8192)).tolist() == expected
        assert difference(many, one) == ""
    for rt in (one, many):
        rt.collect([])  # blocks come back and are used again
    expected = [one.malloc(8192) for _ in range(5000)]
    assert many.malloc_many(np.full(5000, 8192)).tolist() == expected
    assert difference(many, one) == ""


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
