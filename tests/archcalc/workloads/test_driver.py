"""What drives a machine in workloads: live sets, collections, audits; and memstats after each workload."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest

from allocator.common.throw import BadRequest
from allocator.contiguous.mspan import FREE, IN_USE, STACK
from allocator.contiguous.runtime import Runtime
from archcalc import machines
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.profiles import platforms
from archcalc.workloads.driver import Driver
from archcalc.workloads.programs import GOGC, PROCS, WORKLOADS
from archcalc.workloads.run import boot_and_run
from archcalc.workloads.summary import summarize

PAGE = 8192
ALIVE = [name for name in WORKLOADS if name != "exhaust"]


def after(platform: str, workload: str, n: int = 1700) -> tuple[Runtime, Driver]:
    """A machine on which a workload has run as `smoke` runs it, and its driver."""
    rt = boot(platform, procs=PROCS.get(workload, 1), gogc=GOGC.get(workload, -1))
    driver = Driver(rt, n, 1)
    WORKLOADS[workload](driver)
    return rt, driver


def recorded(tmp_path: Path, workload: str) -> Counter[str]:
    """How many records of each kind a workload's recording has."""
    path = tmp_path / "run.trace.gz"
    target = figures.compute(platforms.load("linux/amd64"))
    boot_and_run(machines.prepare(target, record=True), "linux/amd64", workload, n=800, seed=1, record=path)
    return Counter(line.split(" ")[0] for line in gzip.decompress(path.read_bytes()).decode().split("\n")[1:])


def test_churn_is_swept_in_proportion_by_concurrent_cycles(tmp_path: Path) -> None:
    found = recorded(tmp_path, "churn")
    assert found["g"] == found["r"] >= 8  # each cycle sets a sweep ratio
    assert found["P"] == 3 * found["g"]  # mark, mark termination, off


def test_workloads_are_of_what_they_say() -> None:
    rt, _ = after("linux/amd64", "tiny")
    assert rt.stats.tinyallocs > 200
    rt, _ = after("linux/amd64", "large")
    assert all(not rt.spans.sizeclass[s] for s in rt.in_use())
    assert rt.stats.heap_released > 0
    _, driver = after("linux/amd64", "finalizers")
    assert driver.finalizers_run > 10


@pytest.mark.parametrize("workload", ALIVE)
@pytest.mark.parametrize("platform", ["linux/amd64", "linux/mips", "windows/386"])
def test_memstats_after_a_workload_are_a_recount(platform: str, workload: str) -> None:
    """updatememstats, recounted object by object from the bits that say what is allocated."""
    rt, driver = after(platform, workload)
    rt.collect(list(driver.live))
    driver.malloc(100)
    found = rt.memstats()
    spans = rt.spans
    sizes = rt.class_to_size
    objects: Counter[int] = Counter()
    alloc = 0
    pages: Counter[int] = Counter()
    for s in range(len(spans)):
        pages[spans.state[s]] += spans.npages[s]
        if spans.state[s] == IN_USE:
            bits = [spans.alloc_bits[s] >> i & 1 or i < spans.free_index[s] for i in range(spans.nelems[s])]
            objects[spans.sizeclass[s]] += sum(map(bool, bits))
            size = sizes[spans.sizeclass[s]] or spans.npages[s] * PAGE
            alloc += sum(map(bool, bits)) * size
    assert found["Alloc"] == found["HeapAlloc"] == alloc
    assert found["HeapObjects"] == objects.total() == found["Mallocs"] - found["Frees"]
    for i, row in enumerate(found["BySize"]):
        assert row["Size"] == sizes[i]
        if i:
            assert row["Mallocs"] - row["Frees"] == objects[i]
    assert found["HeapInuse"] == pages[IN_USE] * PAGE
    assert found["StackInuse"] == pages[STACK] * PAGE
    assert found["HeapIdle"] == pages[FREE] * PAGE
    assert found["HeapInuse"] + found["HeapIdle"] == found["HeapSys"]
    assert found["NumGC"] == rt.stats.numgc
    parts = ("HeapSys", "StackSys", "MSpanSys", "MCacheSys", "BuckHashSys", "GCSys", "OtherSys")
    assert found["Sys"] == sum(found[part] for part in parts)
    # Every object was made by the driver; tiny ones that share a block count as made and freed.
    assert found["Mallocs"] == driver.allocations
    assert found["TotalAlloc"] >= driver.asked or workload == "tiny"


def test_what_is_lost_inside_objects_is_the_rounding() -> None:
    rt = boot("linux/amd64")
    driver = Driver(rt, 1, 1)
    for size in (17, 30, 33, 1000, 40_000):
        driver.malloc(size)
    rows = {row.size: row for row in summarize(driver, "by hand").classes}
    assert {size: (row.objects, row.asked, row.inside) for size, row in rows.items()} == {
        0: (1, 40_000, 5 * PAGE - 40_000),
        32: (2, 47, 17),
        48: (1, 33, 15),
        1024: (1, 1000, 24),
    }
    assert rows[48].tails == PAGE - 170 * 48
    assert rows[48].unfilled == 169 * 48


def test_dropping_and_collecting_frees_what_was_dropped() -> None:
    rt = boot("linux/amd64")
    driver = Driver(rt, 1, 1)
    for _ in range(100):
        driver.malloc(64)
    driver.malloc(64, keep=False)
    driver.drop(0.5)
    left = len(driver.live)
    assert 20 < left < 80
    driver.collect()
    summary = summarize(driver, "by hand")
    assert (summary.live_objects, summary.collections) == (left, 1)
    assert driver.violations == []


def test_with_gogc_off_a_collection_is_forced() -> None:
    """gcShouldStart says no to a concurrent cycle then, so the driver asks for what can take place."""
    driver = Driver(boot("linux/amd64"), 1, 1)
    driver.malloc(64)
    with pytest.raises(BadRequest, match="GOGC off"):
        driver.rt.collect([], mode="background")
    with pytest.raises(BadRequest, match="GOGC off"):
        driver.rt.begin_mark([])
    driver.collect("background")
    assert summarize(driver, "by hand").collections == 1
    assert driver.rt.stats.numforcedgc == 1


def test_violations_are_kept_but_not_without_end() -> None:
    rt = boot("linux/amd64")
    driver = Driver(rt, 1, 1, audit_every=1)
    driver.malloc(64)
    rt.heap.pages_in_use += 1
    for _ in range(300):
        driver.malloc(64)
    assert len(driver.violations) == 100
    assert {violation.name for violation in driver.violations} == {"counters"}
