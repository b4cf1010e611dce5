"""Seeded workloads: they run on any machine, equal seeds give equal runs, and the summary adds up."""

from __future__ import annotations

from typing import Any

import pytest

from allocator.common.gcprog import run_gc_prog
from allocator.contiguous.audit import INVARIANTS
from archcalc import machines
from archcalc.calculator import figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.workloads.driver import types_for
from archcalc.workloads.programs import FATAL, PROCS, WORKLOADS
from archcalc.workloads.run import WorkloadRun, boot_and_run


def run(platform: str, workload: str, n: int = 600, seed: int = 1, **more: Any) -> WorkloadRun:
    target = figures.compute(platforms.load(platform))
    options = MachineOptions(**more.pop("machine", {}))
    return boot_and_run(
        machines.prepare(target, options, seed=seed), platform, workload, n=n, seed=seed, **more
    )


def test_the_workloads_cover_what_a_machine_does() -> None:
    assert set(WORKLOADS) == {
        *("mixed", "tiny", "large", "stacks", "trees", "finalizers", "procs", "churn", "exhaust"),
    }
    assert {"exhaust"} == FATAL
    assert PROCS["procs"] > 1


@pytest.mark.parametrize("platform", platforms.names())
def test_a_watched_workload_holds_on_every_platform(platform: str) -> None:
    result = run(platform, "mixed", audit_every=150)
    assert result.ok, (result.death, result.violations)
    assert result.summary.allocations == 600
    assert result.summary.collections > 0


@pytest.mark.parametrize("workload", sorted(set(WORKLOADS) - FATAL))
@pytest.mark.parametrize(
    "platform", ["linux/amd64", "linux/386", "linux/mips64", "windows/amd64", "plan9/arm"]
)
@pytest.mark.parametrize("gogc", [-1, 30])
def test_every_workload_holds(platform: str, workload: str, gogc: int) -> None:
    result = run(platform, workload, audit_every=200, gogc=gogc)
    assert result.ok, (result.death, result.violations)
    assert result.death is None


@pytest.mark.parametrize("platform", platforms.names())
def test_exhausting_a_machine_ends_it_with_gos_words(platform: str) -> None:
    result = run(platform, "exhaust", n=2000)
    assert result.ok, result.violations
    assert result.death is not None
    assert result.death["throw"] in (
        "out of memory",
        "runtime: out of memory",
        "runtime: address space conflict",
        "runtime: cannot map pages in arena address space",
        "runtime: cannot allocate memory",
    )


@pytest.mark.parametrize("workload", WORKLOADS)
def test_equal_seeds_give_equal_runs(workload: str) -> None:
    assert run("linux/amd64", workload, seed=7) == run("linux/amd64", workload, seed=7)


def test_other_seeds_give_other_runs() -> None:
    assert run("linux/amd64", "mixed", seed=1).summary != run("linux/amd64", "mixed", seed=2).summary


@pytest.mark.parametrize("workload", ["mixed", "large", "tiny"])
def test_the_summary_adds_up(workload: str) -> None:
    s = run("linux/amd64", workload).summary
    # Every byte of the heap is in an object, at a span's tail, free in a span, a stack's, or idle.
    in_spans = sum(c.size * c.objects for c in s.classes if c.sizeclass)
    large = next((c for c in s.classes if c.sizeclass == 0), None)
    rest = s.heap_inuse - s.stacks_inuse - in_spans - s.tails - s.unfilled
    if large is None:
        assert rest == 0
    else:
        # What is left are the large objects, each of five whole pages at least.
        assert large.objects == large.spans
        assert (large.tails, large.unfilled) == (0, 0)
        assert rest % 8192 == 0
        assert rest >= large.objects * 5 * 8192
    assert s.heap_inuse + s.heap_idle == s.heap_sys
    assert s.extent["arena_used"] - s.extent["arena_start"] == s.heap_sys
    assert all(c.inside >= 0 for c in s.classes)
    assert s.live_objects == sum(c.objects for c in s.classes)


def test_a_machine_that_does_not_boot_is_a_run_that_died() -> None:
    result = run("linux/386", "mixed", machine={"ulimit_v": 200 << 20})
    assert not result.ok
    assert result.death is not None
    assert result.death["throw"] == "runtime: cannot reserve arena virtual address space"
    assert result.summary.allocations == 0


def test_more_ps_are_used_where_asked_for() -> None:
    assert run("linux/amd64", "procs", procs=3).ok
    assert run("linux/amd64", "mixed", procs=2) != run("linux/amd64", "procs", procs=2)


@pytest.mark.parametrize("ptr_size", [4, 8])
def test_the_table_type_has_a_program_of_its_own_length(ptr_size: int) -> None:
    table = types_for(ptr_size)[-1]
    mask, bits = run_gc_prog(table.gcdata, table.size // ptr_size)
    assert bits * ptr_size == table.ptrdata
    assert mask == sum(0b011 << 3 * i for i in range(127)) | 0b11 << 381


def test_violations_are_kept_by_name() -> None:
    from archcalc.boot import boot
    from archcalc.workloads.driver import Driver

    rt = boot("linux/amd64")
    driver = Driver(rt, 10, 1)
    driver.malloc(100)
    rt.stats.heap_inuse += 1
    driver.audit()
    assert {v.name for v in driver.violations} <= set(INVARIANTS)
    assert "counters" in {v.name for v in driver.violations}
