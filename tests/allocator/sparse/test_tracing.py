"""Following stored pointers for a whole heap of today at once marks, counts, frees what one by one does."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st
from links import SHAPES, contents

from allocator.common import at_once
from allocator.common import contents as kept
from allocator.common.bulk import engine, forget, numbers, reach
from allocator.common.throw import Throw
from allocator.common.types import Type
from allocator.sparse.bulk import tracing
from allocator.sparse.bulk.object_kinds import ObjectKinds
from allocator.sparse.gc import is_pointer
from allocator.sparse.heap import Heap
from archcalc.boot import boot
from archcalc.workloads.driver import types_for
from tests.allocator.sparse.test_many import difference
from tests.support.sparse_heap import heap

FEW = 1 << 62  # no number of pages is worth being worked on at once


def many_at_once(patched: pytest.MonkeyPatch, small_steps: bool) -> None:
    """Within it everything is done at once, a little at a time."""
    patched.setattr(at_once, "MANY", 1)
    if small_steps:
        patched.setattr(tracing, "AT_ONCE", 3000)
        patched.setattr(numbers, "DENSE", 8)
        patched.setattr(forget, "WORDS_AT_ONCE", 3000)
        patched.setattr(reach, "SMALL", 2)
        patched.setattr(reach, "PATIENCE", 2)
        patched.setattr(reach, "NEAR", 0)
        patched.setattr(reach, "SPARSE", 1)
        patched.setattr(kept, "FEW", 2)


class Twins:
    """Two heaps on which the same is done: `many` collects at once, `single` one by one."""

    def __init__(self, platform: str, small_steps: bool, compiled: bool = False) -> None:
        self.many, self.single = (heap(platform, procs=2, gogc=100) for _ in range(2))
        self.small_steps = small_steps
        self.compiled = compiled and engine.has_numba()
        self.objects: dict[int, int] = {}  # and their sizes
        self.types = types_for(self.many.config.ptr_size)

    def do(self, call: str, *args: Any, **named: Any) -> Any:
        """Does it on both, which answer alike."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(at_once, "MANY", FEW)
            expected = answer_of(self.single, call, args, named)
        with pytest.MonkeyPatch.context() as patched:
            many_at_once(patched, self.small_steps)
            patched.setattr(engine, "_wanted", self.compiled)
            found = answer_of(self.many, call, args, named)
        assert found == expected
        return found

    def grow(self, dice: random.Random, n: int) -> None:
        """Allocates objects of all kinds."""
        for _ in range(n):
            typ: Type | None = dice.choice(self.types)
            size = typ.size * dice.choice([1, 1, 1, 3, 40]) if typ else 0
            if dice.random() < 0.2:
                typ, size = None, dice.choice([3, 16, 700, 40_000])
            self.objects[self.do("malloc", size, typ, p=dice.randrange(2))] = size

    def store(self, dice: random.Random, n: int) -> None:
        """Stores pointers to objects, into them and beside them in all places of objects, free ones too."""
        word = self.many.config.ptr_size
        known = list(self.objects)
        for _ in range(n):
            at = dice.choice(known)
            at += dice.randrange(max(self.objects[at] // word, 1)) * word
            target = dice.choice(known)
            kind = dice.random()
            if kind > 0.95:
                target = dice.choice([0, 1, self.many.zerobase, self.many.config.uintptr_mask, known[0] - 8])
            elif kind > 0.6:
                target += dice.randrange(max(self.objects[target], 1))
            elif kind > 0.55:
                target += dice.randrange(1 << 20)
            self.do("store", at & -word, target)

    def compare(self) -> None:
        """Asserts that they are alike, contents included."""
        assert difference(self.many, self.single) == ""
        assert contents(self.many) == contents(self.single)
        assert self.many.audit() == []


def answer_of(rt: Heap, call: str, args: Any, named: Any) -> Any:
    try:
        return getattr(rt, call)(*args, **named)
    except Throw as death:
        return death.words


@settings(max_examples=examples(10), deadline=None, phases=phases())
@given(
    seed=st.integers(0, 1 << 32),
    platform=st.sampled_from(["linux/amd64", "linux/386", "linux/ppc64le"]),
    modes=st.lists(st.sampled_from(["block", "force", "background"]), min_size=1, max_size=3),
    small_steps=st.booleans(),
    special=st.booleans(),
    compiled=st.booleans(),
)
def test_collections_from_roots(
    seed: int, platform: str, modes: list[str], small_steps: bool, special: bool, compiled: bool
) -> None:
    """Whatever is stored where, whatever the roots, in every mode, with finalizers between."""
    dice = random.Random(seed)
    twins = Twins(platform, small_steps, compiled)
    for mode in modes:
        twins.grow(dice, 300)
        twins.store(dice, 500)
        if special:
            for p in dice.sample(list(twins.objects), 10):
                twins.do("set_finalizer", p)
                twins.do("add_cleanup", dice.choice(list(twins.objects)))
        roots = dice.sample(list(twins.objects), dice.randrange(1, 40))
        twins.do("collect", roots=roots, mode=mode)
        twins.compare()
        while twins.do("sweepone") >= 0:
            pass
        twins.compare()
        twins.do("run_finalizers")
        twins.do("run_cleanups")
        for p in [p for p in twins.objects if not is_object(twins.many, p)]:
            del twins.objects[p]


def is_object(rt: Heap, p: int) -> bool:
    """Whether an address is one of an object that is allocated."""
    s = rt.heap.span_of_heap(p)
    return s is not None and bool(s.allocated() >> s.index_of(p) & 1)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_heaps_of_one_shape(shape: str, compiled: bool) -> None:
    """A tree is reached in large rings, a list one by one; objects made at once, of several types."""
    n = 6_000
    found = []
    for many in (1, FEW):
        rt = heap()
        kinds = [Type.of_words("link", "pp..", 8), Type.of_words("pair", "p.pp", 8)]
        each = np.arange(n) % 7 // 6
        objects = rt.malloc_many(np.full(n, 32), typ=kinds, types=each).tolist()
        for source, place, target in SHAPES[shape](n):
            rt.store(objects[source] + place * 8, objects[target])
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(at_once, "MANY", many)
            patched.setattr(engine, "_wanted", compiled and engine.has_numba())
            rt.collect(roots=[objects[1], objects[n // 2]])
        found.append((rt, contents(rt)))
    (rt, stored), (other, stored_too) = found
    assert 0 < rt.totals().objects < n
    assert difference(rt, other) == ""
    assert stored == stored_too


@pytest.mark.parametrize("go", ["1.19", "1.22", "1.27"])
def test_a_pointer_behind_the_last_object(go: str) -> None:
    """It keeps nothing alive, whatever the limit of its span is."""
    found = []
    for many in (1, FEW):
        rt = boot("linux/amd64", go=go)
        objects = rt.malloc_many(np.full(6000, 8), typ=Type.of_words("word", "p", 8)).tolist()
        for at in range(20):
            rt.store(objects[at], objects[at + 1])
        rt.store(objects[20], objects[2500] & -8192 | 8192 - 8)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(at_once, "MANY", many)
            rt.collect(roots=objects[:1])
        found.append(rt)
    assert difference(*found) == ""


def test_pointers_in_user_arenas() -> None:
    """What is in an arena of a program is followed by the bits of its chunk, of gigabytes of words."""
    twins = Twins("linux/amd64", False)
    link = Type.of_words("link", "p.", 8)
    places = [rt.new_user_arena().new(link) for rt in (twins.many, twins.single)]
    assert places[0] == places[1]
    kept, lost = (twins.do("malloc", 16, link) for _ in range(2))
    twins.do("store", places[0], kept)
    twins.do("store", places[0] + 8, lost)
    twins.do("collect", roots=[])
    twins.compare()
    assert (is_object(twins.many, kept), is_object(twins.many, lost)) == (True, False)


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386"])
def test_words_are_pointers_as_for_one_object(platform: str) -> None:
    """Of every kind of object, of every word."""
    rt = heap(platform)
    ptr = rt.config.ptr_size
    for typ in (None, *types_for(ptr)):
        for count in (1, 2, 5, 100):
            size = typ.size * count if typ else 8 * count
            p = rt.malloc(size, typ)
            rt.sync_caches()
            s = rt.heap.span_of_heap(p)
            assert s is not None
            header, words = rt.header_of(s), s.elemsize // ptr
            what = rt.object_type(s, s.index_of(p))
            expected = [
                what is not None and is_pointer(what, word * ptr - header, ptr)
                for word in range(header // ptr, words)
            ]
            word = np.arange(words - header // ptr)
            index = np.full(len(word), s.index_of(p))
            row = np.zeros(len(word), np.int64)
            pattern, tell = ObjectKinds(rt).pointers({0: s}, row[:1])
            found = pattern.take(word, mode="wrap") if tell is None else tell(row, index, word)
            assert found.astype(bool).tolist() == expected
