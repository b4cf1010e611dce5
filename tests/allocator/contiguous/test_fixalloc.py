"""fixalloc: records of one size from 16 KB chunks, freed ones first (mfixalloc.go)."""

from __future__ import annotations

import pytest

from allocator.common.throw import Throw
from allocator.contiguous.fixalloc import FixAlloc
from allocator.contiguous.runtime import Runtime


def test_records_follow_each_other(some_rt: Runtime) -> None:
    records = FixAlloc(some_rt, 48, "other_sys")
    first = records.alloc()
    assert [records.alloc() - first for _ in range(3)] == [48, 96, 144]
    assert records.inuse == 4 * 48


def test_the_last_freed_is_the_first_used(some_rt: Runtime) -> None:
    records = FixAlloc(some_rt, 48, "other_sys")
    a, b, c = (records.alloc() for _ in range(3))
    records.free(a)
    records.free(c)
    assert records.inuse == 48
    assert [records.alloc(), records.alloc(), records.alloc()] == [c, a, b + 96]


def test_a_chunk_holds_as_many_as_fit(some_rt: Runtime) -> None:
    """What is left of 16 KB when another record would not fit is lost."""
    records = FixAlloc(some_rt, 152, "mspan_sys")
    before = some_rt.stats.mspan_sys
    places = [records.alloc() for _ in range(16384 // 152)]
    assert some_rt.stats.mspan_sys == before + 16384
    assert [place - places[0] for place in places] == [152 * i for i in range(107)]
    records.alloc()
    assert some_rt.stats.mspan_sys == before + 2 * 16384


def test_before_init(amd64: Runtime) -> None:
    with pytest.raises(Throw, match="runtime: internal error"):
        FixAlloc(amd64, 0, "other_sys").alloc()
    assert amd64.printed == ["runtime: use of FixAlloc_Alloc before FixAlloc_Init"]


def test_allspans_grows_by_half(amd64: Runtime) -> None:
    """recordspan: 64 KB of pointers at first, then half as much again; the old list goes back."""
    records = amd64.spanalloc
    for _ in range(8193):
        records.alloc()
    assert records.allspans_cap == 8192 * 3 // 2
    for _ in range(8193, 12289):
        records.alloc()
    assert records.allspans_cap == 8192 * 3 // 2 * 3 // 2
    assert len(amd64.spans) == 12289
