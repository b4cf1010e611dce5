"""Bulk is one by one: from any state, on any platform, the same addresses and the same machine afterwards."""

from __future__ import annotations

import random
from typing import Any

import pytest

from allocator.common.throw import BadRequest, Death
from allocator.common.types import Type
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.workloads.driver import types_for

np = pytest.importorskip("numpy")

PLATFORMS = (
    "linux/amd64", "linux/386", "linux/mips", "linux/arm64", "windows/amd64", "windows/386", "darwin/arm64",
    "plan9/386", "nacl/amd64p32",
)  # fmt: skip
SHAPES = ("scalars", "one type", "many types", "pointers", "large ones too", "one class")


def whole(chunk: Any) -> Any:
    """A chunk of the page table, one way of writing it for those that one span fills."""
    return chunk[0] if not isinstance(chunk, int) and len(set(chunk)) == 1 else chunk


def machine(rt: Runtime) -> dict[str, Any]:
    """All that a later event, a recording or a question could tell two machines apart by."""
    rt.sync_caches()
    spans, heap, arenas = rt.spans, rt.heap, rt.arenas
    found: dict[str, Any] = {
        name: list(column) for name, column in spans.columns().items() if name not in ("bits", "on_list")
    }
    found["on_list"] = [on and on.name for on in spans.on_list]
    found["bits"] = [rt.bitmap(s, 1 << 15) if spans.state[s] == 1 else None for s in range(len(spans))]
    found["stats"] = {name: getattr(rt.stats, name) for name in rt.stats.__slots__}
    names = ("arena_used", "arena_end", "bitmap_mapped", "spans_len", "pages_in_use", "sweepgen", "sweepdone")
    found["heap"] = [getattr(heap, name) for name in names]
    found["pages"] = {k: whole(v) for k, v in heap.pages.chunks.items()}
    found["sweep"] = [(list(b.spans), b.blocks, b.spine_cap) for b in rt.sweep_spans.bufs]
    found["arenas"] = arenas.free, arenas.next, arenas.current, arenas.previous, arenas.next_free
    found["records"] = (
        list(rt.spanalloc.free_list),
        rt.spanalloc.chunk,
        rt.spanalloc.nchunk,
        rt.spanalloc.inuse,
    )
    found["persistent"] = rt.persistent.chunks
    found["caches"] = [
        (
            cache.tiny, cache.tiny_offset, cache.local_tinyallocs, cache.local_scan, cache.next_sample,
            [(c.span, c.base, c.next, c.end) for c in cache.alloc],
        )
        for cache in rt.caches
    ]  # fmt: skip
    found["running"], found["printed"] = rt.cache.id, list(rt.printed)
    return found


def requests(shape: str, types: list[Type], rng: Any, n: int) -> dict[str, Any]:
    """Arguments of malloc_many."""
    power = rng.integers(0, 12, n)
    sizes = (1 << power) + (rng.random(n) * (1 << power)).astype(np.int64)
    if shape == "one type":
        typ = types[int(rng.integers(len(types)))]
        return {"sizes": typ.size * rng.integers(1, 8, n), "typ": typ}
    if shape == "many types":
        which = rng.integers(-1, len(types), n)
        width = np.array([*(typ.size for typ in types), 0])
        sizes = np.where(which >= 0, width[which] * rng.integers(1, 5, n), sizes)
        return {"sizes": sizes, "typ": types, "types": which}
    if shape == "pointers":
        return {"sizes": sizes, "noscan": False}
    if shape == "large ones too":
        sizes = np.where(rng.random(n) < 0.01, rng.integers(32769, 200_000, n), sizes)
    if shape == "one class":
        sizes = np.full(n, int(rng.choice([0, 3, 8, 16, 64, 32768])))
    return {"sizes": sizes}


def one_by_one(rt: Runtime, asked: dict[str, Any], procs: Any) -> list[int]:
    out = []
    for i, size in enumerate(asked["sizes"].tolist()):
        typ = asked.get("typ")
        if "types" in asked:
            k = int(asked["types"][i])
            typ = asked["typ"][k] if k >= 0 else None
        p = procs if isinstance(procs, int) else int(procs[i])
        out.append(rt.malloc(size, typ, asked.get("noscan"), True, p))
    return out


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [name for name in one if one[name] != other[name]]


@pytest.mark.parametrize("seed", range(24))
def test_bulk_is_one_by_one(seed: int) -> None:
    r = random.Random(seed)
    platform = PLATFORMS[seed % len(PLATFORMS)]
    count = r.choice((1, 1, 3))
    how = {"gogc": r.choice((-1, 100, 20)), "procs": count, "mem_profile_rate": r.choice((0, 0, 100_000))}
    bulk, single = boot(platform, **how), boot(platform, **how)
    types = types_for(bulk.config.ptr_size)[:-1]
    alive: list[int] = []
    for step in range(3):
        rng = np.random.default_rng(seed * 10 + step)
        n = r.choice((70, 1000, 12_000))
        asked = requests(SHAPES[(seed + step) % len(SHAPES)], types, rng, n)
        procs = rng.integers(0, count, n) if r.random() < 0.5 else r.randrange(count)
        got = bulk.malloc_many(**asked, p=procs)
        want = one_by_one(single, asked, procs)
        assert got.dtype == np.uint64 and got.tolist() == want
        assert differing(machine(bulk), machine(single)) == []
        alive += want
        keep = r.random()
        alive = [p for p in dict.fromkeys(alive) if r.random() < keep and bulk.heap.lookup_maybe(p) >= 0]
        for rt in (bulk, single):
            rt.collect(alive, mode="force" if step % 2 else "block")
            if step == 1:
                rt.scavenge()
        assert differing(machine(bulk), machine(single)) == []
    assert bulk.audit() == []


@pytest.mark.parametrize(
    ("platform", "machine_options"),
    [
        ("linux/386", {"ulimit_v": 900 << 20}),
        ("windows/amd64", {"commit_limit": 40 << 20}),
        ("linux/amd64", {}),
    ],
)
def test_dying_in_the_middle(platform: str, machine_options: dict[str, Any]) -> None:
    """Where memory runs out, bulk dies of the same words at the same object, the machine being the same."""
    bulk, single = boot(platform, **machine_options), boot(platform, **machine_options)
    top = 8 << 30 if platform == "linux/amd64" else 300_000
    sizes = np.random.default_rng(3).integers(20_000, top, 4000 if top < 1 << 20 else 300)
    with pytest.raises(Death) as in_bulk:
        bulk.malloc_many(sizes)
    with pytest.raises(Death) as alone:
        one_by_one(single, {"sizes": sizes}, 0)
    assert bulk.last_words(in_bulk.value) == single.last_words(alone.value)
    assert differing(machine(bulk), machine(single)) == []


@pytest.mark.parametrize(
    "asked",
    [
        {"sizes": [-1]}, {"sizes": [1 << 64]}, {"sizes": [[1]]}, {"sizes": [1.5]}, {"sizes": [8], "p": 1},
        {"sizes": [8], "types": [0, 1]}, {"sizes": [8], "typ": [], "types": [0]},
    ],
)  # fmt: skip
def test_what_no_program_can_ask_for(asked: dict[str, Any]) -> None:
    rt = boot("linux/amd64")
    before = machine(rt)
    with pytest.raises((BadRequest, OverflowError)):
        rt.malloc_many(**asked)
    assert differing(machine(rt), before) == []
