"""Following stored pointers for a whole heap at once marks, counts, frees and says what one by one does."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st
from links import SHAPES, contents
from machine_state import differences, state_of

from allocator.common import at_once
from allocator.common import contents as kept
from allocator.common.bulk import engine, forget, numbers, reach
from allocator.common.throw import Throw
from allocator.common.types import Type
from allocator.contiguous.bulk import marking, sweeping, tracing
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.workloads.driver import types_for

FEW = 1 << 62  # no number of spans or pages is worth being worked on at once


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done for many is done for few."""
    monkeypatch.setattr(marking, "AT_ONCE", 300)
    monkeypatch.setattr(tracing, "AT_ONCE", 3000)
    monkeypatch.setattr(forget, "WORDS_AT_ONCE", 3000)
    monkeypatch.setattr(reach, "SMALL", 2)
    monkeypatch.setattr(reach, "PATIENCE", 2)
    monkeypatch.setattr(reach, "NEAR", 0)
    monkeypatch.setattr(reach, "SPARSE", 1)
    monkeypatch.setattr(numbers, "DENSE", 8)
    monkeypatch.setattr(sweeping, "FEW", 2)


class Twins:
    """Two machines on which the same is done: `many` collects at once, `single` one by one."""

    def __init__(self, platform: str, gogc: int, watched: bool = False) -> None:
        self.many, self.single = (boot(platform, gogc=gogc, procs=2) for _ in range(2))
        if watched:
            self.many.watch()
            self.single.watch()
        self.objects: dict[int, int] = {}  # and their sizes

    def __iter__(self) -> Any:
        return iter(((self.many, 1), (self.single, FEW)))

    def do(self, call: str, *args: Any, **named: Any) -> Any:
        """Does it on both, which answer alike."""
        answers = []
        for rt, many in self:
            before, at_once.MANY = at_once.MANY, many
            try:
                answers.append(getattr(rt, call)(*args, **named))
            except Throw as death:
                answers.append(rt.last_words(death))
            finally:
                at_once.MANY = before
        assert answers[0] == answers[1]
        return answers[0]

    def grow(self, dice: random.Random, n: int) -> None:
        """Allocates objects of all kinds."""
        types = types_for(self.many.config.ptr_size)
        for _ in range(n):
            kind = dice.random()
            typ = dice.choice(types)
            size = dice.choice([3, 16, 48, 100, 700, 5000])
            if kind < 0.15:
                typ = None
            elif kind < 0.95:
                size = typ.size * dice.choice([1, 1, 1, 3])
            else:
                size, typ = dice.choice([40_000, 300_000]), dice.choice([None, types[0], types[5]])
                size -= size % (typ.size if typ else 1)
            self.objects[self.do("malloc", size, typ, None, dice.random() < 0.9, dice.randrange(2))] = size

    def store(self, dice: random.Random, n: int, wild: bool) -> None:
        """Stores pointers to objects, into them, beside them, and other words, in every place of objects."""
        rt = self.many
        word = rt.config.ptr_size
        known = list(self.objects)
        for _ in range(n):
            at = dice.choice(known)
            at += dice.randrange(max(self.objects[at] // word, 1)) * word
            kind = dice.random()
            target = dice.choice(known)
            if kind > 0.95:
                target = dice.choice([0, 1, max(rt.heap.arena_start - 8, 0), rt.heap.arena_used, rt.zerobase])
            elif kind > 0.7:
                target += dice.randrange(max(self.objects[target], 1))
            elif wild and kind < 0.02:
                target = rt.heap.arena_start + dice.randrange(rt.heap.arena_used - rt.heap.arena_start)
            self.do("store", at & -word, target)

    def survivors(self) -> None:
        """Forgets objects that are gone."""
        heap, spans = self.many.heap, self.many.spans
        gone = []
        for p in self.objects:
            s = heap.lookup_maybe(p)
            index = (p - spans.base[s]) // spans.elemsize[s] if s >= 0 else 0
            if s < 0 or not spans.alloc_bits[s] >> index & 1:
                gone.append(p)
        for p in gone:
            del self.objects[p]

    def compare(self) -> None:
        """Asserts that they are alike, contents included."""
        assert differences(state_of(self.many), state_of(self.single)) == []
        assert contents(self.many) == contents(self.single)


@settings(max_examples=examples(12), deadline=None, phases=phases())
@given(
    seed=st.integers(0, 1 << 32),
    platform=st.sampled_from(["linux/amd64", "linux/386", "windows/amd64", "linux/ppc64le", "plan9/386"]),
    modes=st.lists(st.sampled_from(["block", "force", "background"]), min_size=1, max_size=3),
    kind=st.sampled_from(["plain", "plain", "wild", "watched", "finalizers"]),
    compiled=st.booleans(),
)
def test_collections_from_roots(
    seed: int, platform: str, modes: list[str], kind: str, compiled: bool
) -> None:
    """Whatever is stored where, whatever the roots, in every mode, with deaths between."""
    dice = random.Random(seed)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "_wanted", compiled and engine.has_numba())
        small_steps.__wrapped__(patched) if dice.random() < 0.7 else None  # type: ignore[attr-defined]
        patched.setattr(kept, "FEW", dice.choice([2, kept.FEW]))  # pages of either form, side by side
        twins = Twins(platform, 100, kind == "watched")
        for mode in modes:
            twins.grow(dice, 400)
            twins.store(dice, 600, kind == "wild")
            if kind == "finalizers":
                for p in dice.sample(list(twins.objects), 20):
                    if twins.many.heap.lookup_maybe(p) >= 0 and twins.many.block_of(p)[1] > 16:
                        twins.do("set_finalizer", p)
            roots = dice.sample(list(twins.objects), dice.randrange(1, 40))
            words = twins.do("collect", roots=roots, mode=mode)
            twins.compare()
            if words is not None:
                return
            if mode != "block":
                while twins.do("sweepone") >= 0:
                    pass
                twins.compare()
            twins.survivors()
            if kind == "finalizers":
                twins.do("run_finalizers")
            if not twins.objects:
                return


def linked(rt: Runtime, n: int, targets: Any) -> list[int]:
    """n objects of two pointers, stored as told by (from, place, to)."""
    typ = Type.of_words("link", "pp..", rt.config.ptr_size)
    objects: list[int] = rt.malloc_many(np.full(n, typ.size), typ=typ).tolist()
    for source, place, target in targets:
        rt.store(objects[source] + place * rt.config.ptr_size, objects[target])
    return objects


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_heaps_of_one_shape(platform: str, shape: str, compiled: bool) -> None:
    """A tree is reached in large rings, a list one by one; what is not reached is freed."""
    n = 4_000
    found = []
    for many in (1, FEW):
        rt = boot(platform)
        objects = linked(rt, n, SHAPES[shape](n))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(at_once, "MANY", many)
            patched.setattr(engine, "_wanted", compiled and engine.has_numba())
            rt.collect(roots=[objects[1], objects[n // 2]])
        found.append((rt, contents(rt)))
    (rt, stored), (other, stored_too) = found
    assert 0 < rt.stats.heap_live < n * 32
    assert differences(state_of(rt), state_of(other)) == []
    assert stored == stored_too
    assert rt.audit() == []


@pytest.mark.parametrize("installed", [False, True])
def test_compiled_once_enough_was_followed(
    installed: bool, amd64: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collections of one process add up; kept or not, installed or not, what is switched off stays off."""
    from allocator.common.bulk.compiled_reach import FOLLOWING

    made: list[str] = []
    monkeypatch.setattr(engine, "_wanted", None)
    monkeypatch.setattr(engine, "_followed", 0)
    monkeypatch.setattr(engine, "has_numba", lambda: installed)
    monkeypatch.setattr(FOLLOWING, "load", lambda: False)
    monkeypatch.setattr(FOLLOWING, "make", lambda: made.append("made"))
    objects = linked(amd64, 3000, [(i, 0, i + 1) for i in range(2999)])
    monkeypatch.setattr(at_once, "MANY", 1)
    amd64.collect(roots=objects[:1])
    assert 3000 <= engine._followed < 4000
    engine.note_followed(engine.FOLLOWED_PAYS)
    assert not engine.follows_compiled() and not made
    engine.note_followed(engine.FOLLOWED_MAKES)
    assert engine.follows_compiled() == installed == bool(made)
    monkeypatch.setattr(FOLLOWING, "load", lambda: True)
    monkeypatch.setattr(engine, "_followed", engine.FOLLOWED_PAYS - 1)
    assert not engine.follows_compiled()
    engine.note_followed(1)
    assert engine.follows_compiled() == installed
    monkeypatch.setattr(engine, "_wanted", False)
    assert not engine.follows_compiled()


def test_a_bad_pointer_that_is_not_reached(amd64: Runtime) -> None:
    """It does not matter unless something alive has it; then it is found where Go finds it."""
    objects = linked(amd64, 3000, [(i, 0, i + 1) for i in range(2000)])
    hole = amd64.malloc(300_000)
    amd64.collect(roots=objects[:1])
    assert amd64.heap.lookup_maybe(hole) < 0
    for at in (500, 2500):
        amd64.store(objects[at] + 8, hole)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(at_once, "MANY", 1)
        amd64.collect(roots=objects[501:502])
        with pytest.raises(Throw, match="found bad pointer"):
            amd64.store(objects[1999], objects[501])
            amd64.store(objects[600] + 8, hole)
            amd64.collect(roots=objects[501:502])
    assert f"pointer {hole:#x} to unallocated span" in amd64.printed[-1]
