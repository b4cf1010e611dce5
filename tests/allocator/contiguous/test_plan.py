"""Quick plans: what `malloc` lays down in few steps is what `press` lays down of the whole stamp."""

from __future__ import annotations

import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.common.types import Type
from allocator.contiguous.heap_bitmap import press
from archcalc.boot import boot

# A picture of a type's words for each way that stamps are laid down: of one word to many, and none.
words = st.text("p.", min_size=1, max_size=70).filter(lambda text: "p" in text)


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386", "linux/s390x"])
@settings(max_examples=examples(60), phases=phases())
@given(
    st.lists(words, min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.booleans()), min_size=1, max_size=40),
    st.booleans(),
)
def test_the_short_way_leaves_the_bitmap_of_the_long_one(
    platform: str, pictures: list[str], objects: list[tuple[int, int, bool]], dirty: bool
) -> None:
    """Objects with pointers and without, arrays too, side by side, also where bits were set before."""
    quick, whole = boot(platform), boot(platform)
    ptr = quick.config.ptr_size
    types = [Type.of_words(picture, picture, ptr) for picture in pictures]
    for rt in (quick, whole):
        if dirty:
            # Spans whose objects are all dead keep the bits of those.
            pointers = Type.of_words("all", "p" * len(pictures[0]), ptr)
            for _ in range(300):
                rt.malloc(pointers.size, pointers)
            rt.collect(live=[rt.malloc(pointers.size, pointers)])
    for which, count, bare in objects * 3:  # the short way begins with the third of a type and size
        typ = types[which % len(types)]
        size = typ.size * count
        expected = whole.mallocgc(size, None if bare else typ, True, 0)
        assert quick.malloc(size, typ, noscan=bare or None) == expected
    for rt in (quick, whole):
        rt.sync_caches()
    assert quick.spans.base == whole.spans.base
    for s in range(len(quick.spans)):
        if quick.spans.state[s] == 1:
            assert quick.bitmap(s) == whole.bitmap(s)
    assert quick.cache.local_scan == whole.cache.local_scan


@settings(max_examples=examples(100), phases=phases())
@given(words, st.integers(0, 255), st.integers(0, 7))
def test_each_stamp_leaves_what_its_neighbours_have(picture: str, before: int, place: int) -> None:
    """The objects at a place of a span whose bits were anything before."""
    rt, other = boot("linux/amd64"), boot("linux/amd64")
    typ = Type.of_words("t", picture, 8)
    for machine in (rt, other):
        first = machine.malloc(typ.size, typ)
        for _ in range(place):
            machine.malloc(typ.size, typ)
        s = machine.heap.lookup(first)
        bits = machine.open_bits(machine.cache.alloc[machine.spans.sizeclass[s]])
        bits[:] = bytes((before,)) * len(bits)
    v = rt.malloc(typ.size, typ)
    cached = other.cache.alloc[other.spans.sizeclass[other.heap.lookup(v)]]
    assert cached.next == v
    plan = other.plan(typ, typ.size)
    assert cached.bits is not None
    press(cached.bits, (v - cached.base) >> 3, plan.stamp)
    assert rt.bitmap(rt.heap.lookup(v)) == bytes(cached.bits)
