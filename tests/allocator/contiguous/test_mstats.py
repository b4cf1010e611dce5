"""runtime.MemStats: what a short history must come to, counted by hand from mstats.go."""

from __future__ import annotations

from allocator.common.types import Type
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot

PAGE = 8192
# The fields of runtime.MemStats at this commit (mstats.go), but for the circular buffers of pauses.
FIELDS = {
    *("Alloc", "TotalAlloc", "Sys", "Lookups", "Mallocs", "Frees", "HeapAlloc", "HeapSys", "HeapIdle"),
    *("HeapInuse", "HeapReleased", "HeapObjects", "StackInuse", "StackSys", "MSpanInuse", "MSpanSys"),
    *("MCacheInuse", "MCacheSys", "BuckHashSys", "GCSys", "OtherSys", "NextGC", "LastGC", "PauseTotalNs"),
    *("NumGC", "NumForcedGC", "GCCPUFraction", "EnableGC", "DebugGC", "BySize"),
}


def test_the_names_are_memstats_own(rt: Runtime) -> None:
    assert set(rt.memstats()) == FIELDS


def test_by_size_ends_with_the_61st_class(rt: Runtime) -> None:
    rows = rt.memstats()["BySize"]
    assert [row["Size"] for row in rows] == list(rt.config.size_classes.class_to_size[:61])
    assert rows[-1]["Size"] == 19072  # class 60 of sizeclasses.go


def test_a_new_machine_has_nothing_but_its_own_needs(rt: Runtime) -> None:
    found = rt.memstats()
    empty = ("Alloc", "TotalAlloc", "Mallocs", "Frees", "HeapObjects", "HeapSys", "HeapInuse", "StackInuse")
    assert [found[name] for name in empty] == [0] * len(empty)
    assert found["MCacheInuse"] == rt.config.sizeof_mcache
    assert found["MCacheSys"] == 16384
    assert found["EnableGC"]


def test_objects_by_hand(some_rt: Runtime) -> None:
    rt = some_rt
    kept = rt.malloc(100)  # class of 112 bytes
    rt.malloc(100)
    large = rt.malloc(5 * PAGE + 1)
    rt.malloc(3)  # a tiny block of 16
    rt.malloc(3)  # shares it
    found = rt.memstats()
    assert found["Mallocs"] == 5
    assert found["Frees"] == 1  # who shares a tiny block counts as allocated and freed
    assert found["HeapObjects"] == 4
    assert found["HeapAlloc"] == found["TotalAlloc"] == 2 * 112 + 6 * PAGE + 16
    assert found["HeapInuse"] == 8 * PAGE
    assert found["HeapSys"] == 1 << 20
    assert found["HeapIdle"] == (1 << 20) - 8 * PAGE
    by_size = {row["Size"]: (row["Mallocs"], row["Frees"]) for row in found["BySize"]}
    assert (by_size[112], by_size[16]) == ((2, 0), (1, 0))

    rt.collect([kept])
    found = rt.memstats()
    assert (found["Mallocs"], found["Frees"], found["HeapObjects"]) == (5, 4, 1)
    assert found["HeapAlloc"] == 112
    assert found["TotalAlloc"] == 2 * 112 + 6 * PAGE + 16
    assert found["HeapInuse"] == PAGE
    by_size = {row["Size"]: (row["Mallocs"], row["Frees"]) for row in found["BySize"]}
    assert (by_size[112], by_size[16]) == ((2, 1), (1, 1))
    assert (found["NumGC"], found["NumForcedGC"]) == (1, 1)
    assert rt.heap.lookup_maybe(large) < 0


def test_stacks_are_taken_out_of_the_heap(some_rt: Runtime) -> None:
    rt = some_rt
    rt.stack_alloc(32768)
    rt.malloc(100)
    found = rt.memstats()
    assert found["StackInuse"] == found["StackSys"] == 32768
    assert found["HeapInuse"] == PAGE
    assert found["HeapSys"] == (1 << 20) - 32768
    assert found["HeapIdle"] == (1 << 20) - 32768 - PAGE


def test_what_is_had_from_the_system_adds_up(rt: Runtime) -> None:
    rt.malloc(8, Type.of_words("*T", "p", rt.config.ptr_size) if rt.config.ptr_size == 8 else None)
    rt.stack_alloc(rt.config.fixed_stack)
    rt.malloc(1 << 20)
    found = rt.memstats()
    parts = ("HeapSys", "StackSys", "MSpanSys", "MCacheSys", "BuckHashSys", "GCSys", "OtherSys")
    assert found["Sys"] == sum(found[part] for part in parts)


def test_reading_the_statistics_flushes_the_caches(amd64: Runtime) -> None:
    # flushallmcaches: the next object of a class is found by way of the central list again.
    amd64.malloc(100)
    amd64.malloc(1)
    amd64.memstats()
    assert all(cached.span < 0 for cached in amd64.caches[0].alloc)
    assert amd64.caches[0].tiny == 0


def test_a_profiled_machine_pays_for_its_buckets() -> None:
    rt = boot("linux/amd64", mem_profile_rate=1)
    for size in (16, 16, 32):
        rt.malloc(size)
    # The table of buckets (buckHashSize pointers), and a bucket for each kind of object.
    found = rt.memstats()["BuckHashSys"]
    assert found > 179999 * 8
    assert len(rt.specials.buckets) == 2
    assert {(b.size, b.allocs, b.alloc_bytes) for b in rt.specials.buckets.values()} == {
        (16, 2, 32),
        (32, 1, 32),
    }
