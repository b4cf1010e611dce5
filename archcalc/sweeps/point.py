"""One what-if: what machine, what drives it, and the row of figures that results."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from allocator.common.sizeclasses import SizeClassError
from allocator.common.throw import Death
from allocator.interface import Allocator
from archcalc import generations, machines
from archcalc.calculator import classrules, figures
from archcalc.generations import Generation
from archcalc.machines.options import MachineOptions, machine_options
from archcalc.profiles.profile import Profile
from archcalc.reading.errors import Fault, UsageFault
from archcalc.traces.lives import Lives, lives
from archcalc.traces.recorded_machine import config_for
from archcalc.workloads import programs, recorded
from archcalc.workloads.driver import Driver
from archcalc.workloads.programs import PROCS
from archcalc.workloads.run import WorkloadRun, carried_out, run
from archcalc.workloads.summary import summarize

Scalar = int | float | str | bool | None
Row = dict[str, Scalar]

NOTHING = "none"  # the workload that only boots
HEAP_END = "heap_end"
# What of a summary is in the row; the names of summary.Summary, bytes except counts.
SUMMARY = (
    "allocations", "asked", "collections", "live_objects", "live_asked", "spans_in_use", "spans_free",
    HEAP_END, "heap_sys", "heap_inuse", "heap_idle", "heap_released", "inside", "tails", "unfilled",
)  # fmt: skip
# How a point ended: refused; the runtime died; its invariants do not hold; or well.
REFUSED, DIED, BROKEN, FINE = "refused", "died", "broken", "ok"


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many objects of each size: (bytes, count), without pointers. `name` is for the table."""

    name: str
    sizes: tuple[tuple[int, int], ...]

    @property
    def objects(self) -> int:
        """All of them."""
        return sum(count for _, count in self.sizes)


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded program that is run. `name` is for the table, `digest` tells one content from another."""

    name: str
    path: str
    digest: str
    allocations: int
    procs: int

    @staticmethod
    def read(name: str, path: Path, digest: str) -> Recording:
        """One of a file. Raises TraceFault."""
        program = _program(str(path), digest)
        return Recording(name, str(path), digest, len(program.sizes), max(program.procs, default=0) + 1)

    def program(self) -> Lives:
        """What it allocates, read once in a process. Raises TraceFault."""
        return _program(self.path, self.digest)


@lru_cache(maxsize=2)
def _program(path: str, digest: str) -> Lives:
    return lives(Path(path), lambda header: config_for(header, {}))


@dataclass(frozen=True, slots=True)
class Ranges:
    """Addresses [from, to) that something else has; `said` is for the table: themselves, or a maps file."""

    said: str
    each: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One what-if. `sets` and `machine` are pairs; a histogram or recording drives in place of a workload."""

    number: int
    profile: Profile
    sets: tuple[tuple[str, int | str], ...] = ()
    machine: tuple[tuple[str, Any], ...] = ()
    classes: str = classrules.GO
    workload: str = "mixed"
    histogram: Histogram | None = None
    recording: Recording | None = None
    n: int = 5000
    seed: int = 1
    gogc: int = -1
    procs: int | None = None
    constants: tuple[str, ...] = ()
    go: str | None = None  # what the table calls its release; None where none was named
    tree: Generation | None = None  # that its profile is of, where no other process knows it by its name

    def options(self) -> MachineOptions:
        """The machine, as `boot` takes it."""
        taken = [part for _, value in self.machine if isinstance(value, Ranges) for part in value.each]
        given = {name: value for name, value in self.machine if not isinstance(value, Ranges)}
        return machine_options({**given, "taken": taken})

    def said(self) -> Row:
        """What it is, as the first columns of its row."""
        row: Row = {"point": self.number, "platform": self.profile.platform, "profile": self.profile.name}
        if self.go is not None:
            row["go"] = self.go
        row |= {f"set.{name}": value for name, value in self.sets}
        for name, value in self.machine:
            row[f"machine.{name}"] = value.said if isinstance(value, Ranges) else value
        row["classes"] = self.classes
        row["workload"] = self._driven_by()
        row["histogram"] = self.histogram.name if self.histogram else None
        if self.recording is not None:
            row[recorded.RECORDING] = self.recording.name
        row |= {"n": self._allocations(), "seed": self.seed}
        row |= {"gogc": self.gogc, "procs": self.all_procs}
        return row

    @property
    def all_procs(self) -> int:
        """GOMAXPROCS: as given, or as what drives it has."""
        if self.procs is None and self.recording is not None:
            return self.recording.procs
        return self.procs or PROCS.get(self.workload, 1)

    def _driven_by(self) -> str:
        if self.recording is not None:
            return recorded.RECORDING
        return "histogram" if self.histogram else self.workload

    def _allocations(self) -> int:
        if self.recording is not None:
            return self.recording.allocations
        return self.histogram.objects if self.histogram else self.n


def work(point: Point) -> Row:
    """Carries a point out. The same row every time; a machine that is impossible, or dies, is a result."""
    row = point.said()
    row |= {"outcome": FINE, "why": None}
    if point.tree is not None:
        generations.adopt(point.tree)
    try:
        target = figures.compute(point.profile, dict(point.sets))
        options = point.options()
        config = machines.config_of(target, options)
        config = dataclasses.replace(
            config, size_classes=classrules.table(point.classes, config.size_classes)
        )
        row |= {f"figure.{name}": _figure(target.constants, name) for name in point.constants}
        if point.recording is not None and point.recording.program().ptr_size != config.ptr_size:
            raise UsageFault(Fault(f"{point.recording.name} was recorded with words of another size"))
        row |= {"page_size": config.page_size, "size_classes": len(config.size_classes)}
        rt = machines.boot(
            target,
            options,
            machines.system_of(target, options),
            config=config,
            gogc=point.gogc,
            procs=point.all_procs,
            seed=point.seed,
        )
    except (UsageFault, SizeClassError) as fault:
        words = fault.faults[0].message if isinstance(fault, UsageFault) else str(fault)
        return row | {"outcome": REFUSED, "why": words}
    except Death as death:
        return row | {"outcome": DIED, "why": death.words}
    return row | _measured(point, rt)


def _figure(constants: Mapping[str, Any], name: str) -> Scalar:
    value = constants.get(name)
    return value if value is None or isinstance(value, int | str) else str(value)


def _measured(point: Point, rt: Allocator) -> Row:
    """Drives the machine and counts what it looks like then."""
    if point.histogram is not None:
        done = _fill(point, rt, point.histogram)
    elif point.recording is not None:
        done = recorded.run(rt, rt.config.platform, point.recording.program(), point.seed)
    elif point.workload == NOTHING:
        done = WorkloadRun(
            rt.config.platform, NOTHING, point.seed, summarize(Driver(rt, 0, 0), NOTHING), [], None
        )
    else:
        done = run(rt, rt.config.platform, point.workload, point.n, point.seed)
    summary = done.summary
    row: Row = {rt.EXTENT[1] if name == HEAP_END else name: getattr(summary, name) for name in SUMMARY}
    waste = summary.heap_inuse - summary.live_asked
    row["rest"] = waste - summary.inside - summary.tails - summary.unfilled
    row |= {"waste": waste, "waste_share": round(waste / max(summary.heap_inuse, 1), 6)}
    if done.death is not None:
        row |= {"outcome": DIED, "why": str(done.death["throw"])}
    elif done.violations:
        row |= {"outcome": BROKEN, "why": f"{done.violations[0].name}: {done.violations[0].message}"}
    return row


def _fill(point: Point, rt: Allocator, histogram: Histogram) -> WorkloadRun:
    """Allocates a histogram's objects in the seed's order; all stay alive."""
    sizes = [size for size, count in histogram.sizes for _ in range(count)]
    random.Random(point.seed).shuffle(sizes)

    def fill(driver: Driver) -> None:
        for i, size in enumerate(sizes):
            driver.malloc(size, p=i % rt.procs)

    driver = Driver(rt, histogram.objects, point.seed)
    return carried_out(driver, rt.config.platform, "histogram", point.seed, fill)


WORKLOADS = (*programs.WORKLOADS, NOTHING)
