"""Heaps taken while something runs: at evenly spaced events of a workload or of a recording.

There are two kinds of pictures: frames, whole heaps to draw, and samples, their totals, of which
there can be many more. An event of a workload is an allocation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allocator.common.throw import Death
from allocator.common.types import Type
from allocator.interface import Allocator
from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.machines.options import MachineOptions
from archcalc.pictures.heap import HeapView, Sample, look_at, sample
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.traces import columnar
from archcalc.traces.execution.checking import ExecutionChecker
from archcalc.traces.execution.view import SeenMachine
from archcalc.traces.outcome import Stop
from archcalc.traces.reader import VERSIONS, Header, parse_header, pieces
from archcalc.traces.replayer import Replayer
from archcalc.traces.version2.replayer import SparseReplayer
from archcalc.workloads import programs
from archcalc.workloads.driver import Driver

SAMPLES = 200


@dataclass(frozen=True, slots=True)
class Film:
    """What was taken: at least one frame, of which the last one matters most. `note` says how it ended."""

    subject: str
    frames: tuple[HeapView, ...]
    samples: tuple[Sample, ...]
    note: str = ""

    @property
    def last(self) -> HeapView:
        """The heap at the end."""
        return self.frames[-1]


class Camera:
    """Takes pictures when they are due. `stops` are the events at which one is, in order."""

    def __init__(self, platform: str, end: int, frames: int) -> None:
        frames = max(frames, 1)
        self.platform = platform
        self.frame_events = {end * (i + 1) // frames for i in range(frames)}
        wanted = {end * (i + 1) // SAMPLES for i in range(SAMPLES)} if frames > 1 else {end}
        self.stops = sorted({event for event in self.frame_events | wanted if event > 0})
        self.frames: list[HeapView] = []
        self.samples: list[Sample] = []
        self._at = 0

    @property
    def next(self) -> int:
        """The event at which something is due next; beyond all events when nothing is left."""
        return self.stops[self._at] if self._at < len(self.stops) else 1 << 62

    def take(self, rt: Allocator, event: int) -> None:
        """Takes what is due by now."""
        while self.next <= event:
            if self.next in self.frame_events:
                self.frames.append(look_at(rt, self.platform, f"event {event}", event))
            self._at += 1
        self.samples.append(sample(rt, event))

    def done(self, rt: Allocator, event: int, whole: bool) -> None:
        """Takes the end, of the `whole` run or of what was asked for.

        It takes the place of what was taken at the same event, before the last things happened.
        """
        for taken in (self.frames, self.samples):
            if taken and taken[-1].event == event:
                taken.pop()
        moment = f"event {event}{', the end' if whole else ''}"
        self.frames.append(look_at(rt, self.platform, moment, event))
        self.samples.append(sample(rt, event))


class FilmedDriver(Driver):
    """A workload's driver with a camera beside it."""

    camera: Camera
    limit: int | None = None

    def malloc(self, size: int, typ: Type | None = None, keep: bool = True, p: int = 0) -> int:
        """An object; taken afterwards if that is due."""
        v = super().malloc(size, typ, keep, p)
        if self.allocations >= self.camera.next:
            self.camera.take(self.rt, self.allocations)
        if self.limit is not None and self.allocations >= self.limit:
            raise Stop
        return v


def of_workload(
    figures: Figures,
    workload: str,
    n: int,
    seed: int,
    *,
    frames: int = 1,
    at_event: int | None = None,
    machine: MachineOptions | None = None,
) -> Film:
    """A film of a workload on a machine of the platform, the profile's own or as the options say.

    Raises UsageFault where that does not boot.
    """
    subject = f"{figures.platform} after smoke:{workload}"
    gogc, procs = programs.GOGC.get(workload, -1), programs.PROCS.get(workload, 1)
    rt = machines.prepare(figures, machine, seed=seed)
    try:
        rt.start(gogc, procs)
    except Death as death:
        words = rt.last_words(death)["throw"]
        raise UsageFault(
            Fault(f"{figures.platform} does not boot: {words}", "a machine that boots")
        ) from None
    driver = FilmedDriver(rt, n, seed)
    driver.camera = camera = Camera(figures.platform, at_event or n, frames)
    driver.limit = at_event
    note = ""
    try:
        programs.WORKLOADS[workload](driver)
    except Stop:
        note = f"stopped at allocation {driver.allocations}"
    except Death as death:
        note = f"died: {rt.last_words(death)['throw']}"
    else:
        if at_event is not None and driver.allocations < at_event:
            note = f"it ended after {counted(driver.allocations, 'allocation')}"
    camera.done(rt, driver.allocations, not note.startswith("stopped"))
    return Film(subject, tuple(camera.frames), tuple(camera.samples), note)


class Filmed:
    """A replay with a camera beside it; it ends at the event that is asked for, else with the recording."""

    frames = 1
    at_event: int | None = None
    camera: Camera | None = None
    header: Header
    event: int
    rt: Any

    @property
    def is_there(self) -> bool:
        """Whether there is a heap to look at."""
        raise NotImplementedError

    def feed(self, lines: list[str]) -> None:
        """Lines of the recording, in pieces between what is due."""
        if self.camera is None:
            end = min(self.at_event or self.header.events, self.header.events)
            self.camera = Camera(self.header.platform, end, self.frames)
        while lines:
            left = self.camera.next - self.event
            if left <= 0:
                # A heap that does not exist yet cannot be taken; the first one that does will be.
                if not self.is_there:
                    left = 1
                else:
                    self.camera.take(self.rt, self.event)
                    if self.at_event is not None and self.event >= self.at_event:
                        raise Stop
                    continue
            part, lines = lines[:left], lines[left:]
            super().feed(part)  # type: ignore[misc]


class FilmedReplayer(Filmed, Replayer):
    """The same of a recording of version 1."""

    @property
    def is_there(self) -> bool:
        return self.booted


class FilmedSteps(Filmed, SparseReplayer):
    """The same of a recording of version 2."""

    @property
    def is_there(self) -> bool:
        return self.core is not None and bool(self.core.ps)

    @property
    def rt(self) -> Any:
        """The machine."""
        return self.core


class FilmedTrace(Filmed, ExecutionChecker):
    """The same of an execution trace."""

    @property
    def is_there(self) -> bool:
        return bool(self.heap.spans)

    @property
    def rt(self) -> Any:
        """The heap as the trace shows it."""
        return SeenMachine(self.heap)


FILMED = {1: FilmedReplayer, 2: FilmedSteps, 3: FilmedTrace}


def of_recording(
    path: Path,
    config_for: Callable[[Header], Any],
    *,
    frames: int = 1,
    at_event: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Film:
    """A film of a recording, up to an event. Raises TraceFault for a damaged file, UsageFault for no heap."""
    source = columnar.lines if columnar.is_columnar(path) else pieces
    stream = source(path)
    first = list(itertools.islice(stream, 1))
    version = parse_header(str(path), first[0][0], VERSIONS).version if first else 1
    replayer: Any = FILMED[version](path, config_for, source=lambda _: itertools.chain(first, stream))
    replayer.frames, replayer.at_event = frames, at_event
    replay = replayer.run(progress)
    if not replayer.is_there:
        raise UsageFault(
            Fault(f"at event {at_event} there is no heap yet", "an event after the boot", file=str(path))
        )
    camera = replayer.camera
    assert camera is not None
    notes = []
    if replay.first is not None:
        notes.append(f"differs from the recording since event {replay.first.event}")
    if at_event is not None and at_event > replayer.header.events:
        notes.append(f"the recording has {counted(replayer.header.events, 'event')}")
    if replay.death is not None:
        notes.append(f"died: {replay.death.get('throw', 'a panic or a signal')}")
    camera.done(replayer.rt, replay.events, replay.events >= replayer.header.events)
    subject = f"{path.name} ({replayer.header.platform})"
    return Film(subject, tuple(camera.frames), tuple(camera.samples), "; ".join(notes))
