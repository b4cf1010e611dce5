"""A workload on a machine, from the start to the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allocator.common.audit import Violation
from allocator.common.throw import Death
from allocator.interface import Allocator
from archcalc.traces.writer import Recorder
from archcalc.workloads.driver import Driver
from archcalc.workloads.programs import FATAL, GOGC, PROCS, WORKLOADS
from archcalc.workloads.summary import Summary, extent, summarize


@dataclass(slots=True)
class WorkloadRun:
    """The outcome of one workload on one machine. `death` is None where the runtime lived."""

    platform: str
    workload: str
    seed: int
    summary: Summary
    violations: list[Violation]
    death: dict[str, Any] | None

    @property
    def ok(self) -> bool:
        """Whether the audit was clean, and nothing died except as intended."""
        return not self.violations and (self.death is None or self.workload in FATAL)


def run(
    rt: Allocator,
    platform: str,
    workload: str,
    n: int,
    seed: int,
    audit_every: int = 0,
    recorder: Recorder | None = None,
) -> WorkloadRun:
    """Runs a workload on a booted machine. Objects are watched where audits are wanted in between.

    With a recorder, whose machine was booted recording, everything that happened is noted there.
    """
    driver = Driver(rt, n, seed, audit_every, recorder)
    if audit_every:
        rt.watch()
    return carried_out(driver, platform, workload, seed, WORKLOADS[workload])


def carried_out(
    driver: Driver, platform: str, workload: str, seed: int, work: Callable[[Driver], None]
) -> WorkloadRun:
    """How the work ended. The machine is audited then, unless its runtime died."""
    death = None
    try:
        work(driver)
    except Death as dead:
        death = driver.rt.last_words(dead)
        if driver.recorder is not None:
            driver.recorder.death(dead, driver.recorder.request(*driver.last))
    else:
        driver.audit()
    return WorkloadRun(platform, workload, seed, summarize(driver, workload), driver.violations, death)


def boot_and_run(
    rt: Allocator,
    platform: str,
    workload: str,
    *,
    n: int,
    seed: int,
    audit_every: int = 0,
    gogc: int | None = None,
    procs: int | None = None,
    record: Path | None = None,
) -> WorkloadRun:
    """Starts a prepared machine and runs a workload on it; with a file, one that records is written there.

    gogc and procs None: as the workload needs. A machine that does not boot is a run that died.
    """
    count = procs or PROCS.get(workload, 1)
    percent = GOGC.get(workload, -1) if gogc is None else gogc
    try:
        rt.start(percent, count)
    except Death as dead:
        return WorkloadRun(
            platform, workload, seed, Summary(workload, extent=extent(rt)), [], rt.last_words(dead)
        )
    recorder = None if record is None else Recorder(rt)
    result = run(rt, platform, workload, n, seed, audit_every, recorder)
    if recorder is not None and record is not None:
        collected = bool(result.summary.collections or percent >= 0)
        recorder.save(
            record,
            result.death is not None,
            workload=workload,
            n=n,
            seed=seed,
            gc="stw" if collected else "off",
            gomaxprocs=count,
        )
    return result
