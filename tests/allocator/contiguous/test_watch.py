"""Watching a machine: what it notes of objects and of pages that were used."""

from __future__ import annotations

from allocator.common.types import Type
from allocator.contiguous.runtime import Runtime


def test_objects_are_noted_with_type_and_size_until_they_die(some_rt: Runtime) -> None:
    rt = some_rt
    rt.watch()
    assert rt.watched is not None
    typ = Type.of_words("t", "p.p", rt.config.ptr_size)
    a, b = rt.malloc(100), rt.malloc(2 * typ.size, typ)
    c = rt.malloc(50_000)
    assert rt.watched.objects == {a: (None, 100), b: (typ, 2 * typ.size), c: (None, 50_000)}
    rt.collect([b])
    assert rt.watched.objects == {b: (typ, 2 * typ.size)}
    assert rt.watched.twice == []


def test_watching_takes_the_machine_off_the_short_way(amd64: Runtime) -> None:
    assert amd64.plain
    amd64.watch()
    assert not amd64.plain
    first = amd64.watched
    amd64.watch()
    assert amd64.watched is first


def test_pages_are_used_until_they_are_given_back(amd64: Runtime) -> None:
    rt = amd64
    rt.watch()
    assert rt.watched is not None
    v = rt.malloc(1 << 20)
    s = rt.heap.lookup(v)
    assert rt.watched.was_used(s)
    rt.collect([])
    free = [s for s in range(len(rt.spans)) if rt.spans.state[s] == 3]
    assert [rt.watched.was_used(s) for s in free] == [True]
    rt.scavenge()
    assert [rt.watched.was_used(s) for s in free] == [False]
