"""`archcalc replay`: recordings of the real runtime, compared record by record."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.cli import session
from archcalc.cli.command import one_of
from archcalc.cli.machine import ImageSize, Maps, Taken
from archcalc.cli.options import Jobs, Profiles
from archcalc.host.processes import cores
from archcalc.library.replay import Damaged, Replays
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.traces.columnar import NAMES, recordings_in
from archcalc.traces.many import Progress, replay_many
from archcalc.traces.model import replay_on_model
from archcalc.traces.outcome import Replay
from archcalc.traces.recorded_machine import config_for, kernel_for, system_for
from archcalc.traces.replay import replay

SYSTEMS = ("recorded", "model")


def command(
    traces: Annotated[
        list[Any],
        typer.Argument(
            metavar="TRACE...", help="Recordings, as text or in columns, or folders of them.", parser=Path
        ),
    ],
    profiles: Profiles = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Count all differences instead of stopping at the first.")
    ] = False,
    jobs: Jobs = None,
    os: Annotated[
        str,
        typer.Option(
            "--os",
            metavar="|".join(SYSTEMS),
            help="Who answers: the recording, or the simulated system.",
            parser=one_of(SYSTEMS),
        ),
    ] = "recorded",
    taken: Taken = None,
    maps: Maps = None,
    image_size: ImageSize = None,
) -> Replays:
    """Replay recordings and compare everything; exit 1 on a difference.

    The machine is fed what the runtime was asked and what its OS answered; every address, span, OS
    call, bitmap byte and last word must come out as recorded. The first difference is shown with
    the span and the records around it.

    With --os model the simulated system answers instead, on a machine as the header describes it
    (and --taken, --maps, --image-size complete it). It says which answers are as recorded, which
    differ only in an address that the kernel is free to choose, and whether the run ends alike.
    Recordings by archcalc record have system calls; older ones have the runtime's own helpers.
    """
    if os == "model":
        machine = MachineOptions(taken=tuple(taken or ()), maps=maps, image_size=image_size)
        return _on_model([path for trace in traces for path in _files(trace)], profiles, keep_going, machine)
    if taken or maps is not None or image_size is not None:
        raise UsageFault(Fault("--taken, --maps and --image-size describe a simulated system", "--os model"))
    paths = [path for trace in traces for path in _files(trace)]
    by_name = {profile.platform: profile for profile in map(platforms.load_file, profiles or ())}
    work = partial(_replay_one, keep_going, by_name, len(paths) > 1)
    count = min(cores() if jobs is None else max(jobs, 1), len(paths))
    if count > 1:
        with session.progress(f"{counted(len(paths), 'recording')}") as progress:
            found = replay_many(paths, work, count, progress.tell)
    else:
        found = []
        for path in paths:
            with session.progress(path.name) as progress:
                found.append(work(path, progress.tell))
            if found[-1].interrupted:
                break
    replays = [one for one in found if isinstance(one, Replay)]
    damaged = [one for one in found if isinstance(one, Damaged)]
    tell_damage(damaged)
    return Replays(replays, left=len(paths) - len(found), damaged=damaged)


def tell_damage(damaged: Sequence[Damaged]) -> None:
    """Says on stderr what is wrong with recordings, as a mistake that ends a command is said."""
    for one in damaged:
        print("\n".join(map(str, one.faults)), file=sys.stderr)


def _on_model(
    paths: Sequence[Path], profiles: Sequence[Any] | None, keep_going: bool, machine: MachineOptions
) -> Replays:
    """Every recording on a simulated system."""
    own = {profile.platform: profile for profile in map(platforms.load_file, profiles or ())}
    replays, answers, damaged = [], {}, []
    for path in paths:
        try:
            with session.progress(path.name) as progress:
                result, compared = replay_on_model(
                    path,
                    lambda header: config_for(header, own),
                    lambda header: system_for(header, own, machine),
                    lambda header: kernel_for(header, own, machine),
                    keep_going=keep_going,
                    progress=progress.tell,
                )
        except UsageFault as fault:
            if len(paths) == 1:
                raise
            damaged.append(Damaged(str(path), fault.faults))
            continue
        replays.append(result)
        answers[result.path] = compared
        if result.interrupted:
            break
    tell_damage(damaged)
    left = len(paths) - len(replays) - len(damaged)
    return Replays(replays, answers, left, damaged)


def _replay_one(
    keep_going: bool, own: Mapping[str, Any], beside_others: bool, path: Path, progress: Progress
) -> Replay | Damaged:
    """One recording, here or in a process of its own; one that cannot be read keeps no other from it."""
    try:
        return replay(path, lambda header: config_for(header, own), keep_going=keep_going, progress=progress)
    except UsageFault as fault:
        if not beside_others:
            raise
        return Damaged(str(path), fault.faults)


def _files(path: Path) -> list[Path]:
    """The path, or the recordings in a folder."""
    if path.is_dir():
        found = recordings_in(path)
        if not found:
            expected = f"{', '.join(NAMES)} files"
            raise UsageFault(Fault("has no recordings", expected, file=str(path)))
        return found
    return [path]
