"""Spans without records are marked and swept, many at a time, as each would be with a record."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.common import at_once
from allocator.common.types import Type
from allocator.sparse.bulk.full_spans import FullSpans
from allocator.sparse.heap import Heap
from archcalc.workloads.driver import types_for
from tests.allocator.sparse.test_many import difference
from tests.allocator.sparse.test_tracing import FEW, contents
from tests.support.sparse_heap import heap


def made(rt: Heap, dice: random.Random) -> list[int]:
    """Objects of one type, of several, or without pointers, that fill many spans."""
    n = dice.randrange(2000, 15_000)
    types = types_for(rt.config.ptr_size)
    kind = dice.randrange(6)
    if kind == 0:
        found = rt.malloc_many(np.full(n, dice.choice([8, 24, 100, 1000])), noscan=True)
    elif kind == 1:
        index = np.random.default_rng(dice.randrange(1 << 30)).integers(0, len(types), n)
        found = rt.malloc_many(np.array([t.size for t in types])[index], typ=types, types=index)
    else:
        typ = dice.choice([Type.of_words("link", "pp..", rt.config.ptr_size), *types])
        found = rt.malloc_many(np.full(n, typ.size), typ=typ)
    return list(found.tolist())


def story(rt: Heap, seed: int, modes: list[str]) -> None:
    """Several collections, each of which some objects outlive, with allocations and single sweeps between."""
    dice = random.Random(seed)
    word = rt.config.ptr_size
    kept: list[int] = []
    for mode in modes:
        objects = made(rt, dice)
        others = made(rt, dice)
        for _ in range(dice.choice([0, 30, 400])):
            rt.store(dice.choice(objects + others) & -word, dice.choice(objects))
        step = dice.choice([1, 2, 7, 90])
        for k in range(0, len(objects) - step, step):
            rt.store(objects[k] & -word, dice.choice([objects[k + step], others[k % len(others)]]))
            rt.store((objects[k] & -word) + word, objects[k + step])
        kept = kept[::2] + objects[:1] + dice.sample(others, dice.choice([1, 30]))
        rt.collect(roots=kept, mode=mode)
        for _ in range(dice.choice([0, 0, 1, 60])):
            rt.sweepone()


@settings(max_examples=examples(12), deadline=None, phases=phases())
@given(
    seed=st.integers(0, 1 << 32),
    platform=st.sampled_from(["linux/amd64", "linux/386", "linux/ppc64le"]),
    modes=st.lists(st.sampled_from(["block", "force", "background"]), min_size=1, max_size=4),
)
def test_in_rows_and_one_by_one(seed: int, platform: str, modes: list[str]) -> None:
    """Whatever was allocated at once, whatever of it lives, with collections that are swept later."""
    found = []
    for many in (1, FEW):
        rt = heap(platform, procs=2, gogc=100)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(at_once, "MANY", many)
            story(rt, seed, modes)
        found.append(rt)
    assert [list(rt.heap.marked) for rt in found[:1]] == [list(rt.heap.marked) for rt in found[1:]]
    assert marks(found[0]) == marks(found[1])
    assert difference(*found) == ""
    assert contents(found[0]) == contents(found[1])
    assert found[0].audit() == []


def marks(rt: Heap) -> list[tuple[int, int]]:
    return [(s.mark_bits, s.free_index) for s in rt.heap.allspans]


def test_spans_that_keep_something_have_no_records_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a heap of one type lives: nearly all of its spans were marked and swept as numbers."""
    rt = heap()
    link = Type.of_words("link", "pp..", 8)
    n = 20 * 8192 * 8 // link.size
    objects = rt.malloc_many(np.full(n, link.size), typ=link).tolist()
    for i in range(0, n - 2, 2):
        rt.store(objects[i], objects[i + 2])
    swept: list[Any] = []
    one_by_one = type(rt.sweeper).sweep
    monkeypatch.setattr(at_once, "MANY", 1)
    monkeypatch.setattr(type(rt.sweeper), "sweep", lambda *args: swept.append(args) or one_by_one(*args))
    rt.collect(roots=objects[:1])
    records = rt.heap.allspans
    rows = [row for row in records.rows_of(list(range(len(records)))) if isinstance(row, FullSpans)]
    assert len(rows) > 140 > 20 > len(swept)
    assert rt.totals().objects >= n // 2
    assert rt.audit() == []
