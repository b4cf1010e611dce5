"""`archcalc trace import`: a recording from another kind of log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc import machines
from archcalc.calculator import figures
from archcalc.cli import session
from archcalc.cli.options import Force, Go, Platform, Profiles
from archcalc.cli.targets import generation
from archcalc.generations import CURRENT
from archcalc.host.output import check_writable
from archcalc.library.targets import asked_for, selected
from archcalc.library.trace.import_ import Import
from archcalc.machines.options import MachineOptions
from archcalc.profiles.profile import Profile
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.traces.execution.recording import import_trace
from archcalc.traces.execution.wire import is_trace
from archcalc.traces.importing import import_log


def _of_trace(
    trace: Path,
    platform: str | None,
    profiles: list[Path] | None,
    output: Path,
    force: bool,
    go: str | None,
) -> Import:
    """The recording of an execution trace."""
    release = asked_for(go)
    if release is None:
        raise UsageFault(Fault("the trace does not say of which Go it is", "--go RELEASE"))
    name = generation(release)
    chosen = _one(platform, profiles, name)
    config = machines.config_of(figures.compute(chosen, go=name), MachineOptions())
    with session.progress(f"import {trace.name}") as progress:
        imported = import_trace(trace, config, {"go": f"go{name}"}, output, progress.tell, force)
    return Import(imported, output)


def _one(platform: str | None, profiles: list[Path] | None, go: str = CURRENT) -> Profile:
    """The platform that is meant. Raises UsageFault where that is not one."""
    found = selected([platform] if platform else None, profiles, go=go)
    if len(found) != 1:
        raise UsageFault(Fault(f"{platform or 'the profiles'}: {counted(len(found), 'platform')}", "one"))
    return found[0]


def command(
    log: Annotated[
        Any,
        typer.Argument(
            metavar="LOG",
            help="What GODEBUG=allocfreetrace=1 printed, or lines size[,type]; plain, gzip, xz or bzip2;"
            " or what runtime/trace wrote.",
            parser=Path,
        ),
    ],
    platform: Platform = None,
    profiles: Profiles = None,
    output: Annotated[
        Any,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The recording to write, in the form that its name says.",
            parser=Path,
        ),
    ] = None,
    force: Force = False,
    go: Go = None,
) -> Import:
    """Make a recording from a log of allocations, a list of sizes, or a Go execution trace.

    The platform's machine carries out what a log has, and its recording is the result, which
    `replay` accepts. What runtime/trace writes under GODEBUG=traceallocfree=1 (Go 1.23 and later)
    becomes a recording as it is, in the order of its Ps: `replay` checks what can be checked of it.
    What the log does not tell is listed, here and in the recording's header.
    """
    if output is None:
        raise UsageFault(Fault("there is no file to write the recording to", "--output OUT"))
    if not platform and not profiles:
        found = "the log does not say of which platform it is"
        raise UsageFault(Fault(found, "--platform PLATFORM or --profile FILE"))
    check_writable(output, force)
    if is_trace(log):
        return _of_trace(log, platform, profiles, output, force, go)
    if go is not None:
        raise UsageFault(Fault("--go: the log is of 7aefdfded", "an execution trace"))
    target = figures.compute(_one(platform, profiles))
    with session.progress(f"import {log.name}") as progress:
        imported = import_log(
            log,
            lambda: machines.boot(target, record=True),
            output,
            progress.tell,
            force,
        )
    for text in imported.unknown:
        session.detail(f"not in the log: {text}")
    return Import(imported, output)
