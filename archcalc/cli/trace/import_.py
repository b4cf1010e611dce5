"""`archcalc trace import`: a recording from another kind of log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc import machines
from archcalc.calculator import figures
from archcalc.cli import session
from archcalc.cli.options import Go, complete_platforms
from archcalc.cli.targets import generation
from archcalc.cli.trace.options import Force
from archcalc.host.output import check_writable
from archcalc.library.targets import asked_for
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results.result import FAILED, OK, Result
from archcalc.results.tables import Block, Bytes, Column, Prose, Table
from archcalc.traces.execution.recording import import_trace
from archcalc.traces.execution.wire import is_trace
from archcalc.traces.importing import Imported, import_log


class Import(Result):
    """What came of an import, and what it had to take for granted."""

    def __init__(self, imported: Imported, target: Path) -> None:
        self.imported = imported
        self.target = target

    @property
    def exit_code(self) -> int:
        return OK if self.imported.death is None else FAILED

    def document(self) -> Mapping[str, object]:
        return {**asdict(self.imported), "output": str(self.target)}

    def records(self) -> Iterable[Mapping[str, object]]:
        yield self.document()

    def view(self) -> Iterable[Block]:
        i = self.imported
        columns = (
            Column("recording", wrap=True),
            Column("platform"),
            Column("allocations", int),
            Column("frees", int),
            Column("collections", int),
            Column("bytes", Bytes),
            Column("events", int),
        )
        row = (str(self.target), i.platform, i.allocations, i.frees, i.collections, i.bytes, i.events)
        yield Table(columns, [row])
        if i.death is not None:
            lines = [*i.death["printed"], f"fatal error: {i.death['throw']}"]
            yield Prose("\n".join(("the simulated runtime died of it:", *lines)), verbatim=True)
        if i.other_lines:
            yield Prose(f"{counted(i.other_lines, 'line')} of the log are the program's own output.")
        yield Prose("\n".join(("what the log does not tell:", *(f"- {u}" for u in i.unknown))), verbatim=True)


def _of_trace(
    trace: Path, platform: str | None, profile: Path | None, output: Path, force: bool, go: str | None
) -> Import:
    """The recording of an execution trace."""
    release = asked_for(go)
    if release is None:
        raise UsageFault(Fault("the trace does not say of which Go it is", "--go RELEASE"))
    name = generation(release)
    chosen = platforms.load_file(profile, name) if profile else platforms.load(platform or "", name)
    config = machines.config_of(figures.compute(chosen, go=name), MachineOptions())
    with session.progress(f"import {trace.name}") as progress:
        imported = import_trace(trace, config, {"go": f"go{name}"}, output, partial(_tell, progress), force)
    return Import(imported, output)


def _tell(progress: session.Progress, done: int, total: int) -> None:
    progress.total = total
    progress.update(done)


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
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform", metavar="P", help="The platform it is of.", autocompletion=complete_platforms
        ),
    ] = None,
    profile: Annotated[
        Any, typer.Option("--profile", metavar="FILE", help="Or a profile of your own.", parser=Path)
    ] = None,
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
    """Make a recording of a log of allocations, of a list of sizes, or of a Go execution trace.

    The platform's machine carries out what a log has, and its recording is the result, which
    `replay` accepts. What runtime/trace writes under GODEBUG=traceallocfree=1 (Go 1.23 and later)
    becomes a recording as it is, in the order of its Ps: `replay` checks what can be checked of it.
    What the log does not tell is said, here and in the recording's header.
    """
    if output is None:
        raise UsageFault(Fault("there is no file to write the recording to", "--output OUT"))
    if (platform is None) == (profile is None):
        raise UsageFault(
            Fault("the log does not say of which platform it is", "--platform P or --profile FILE")
        )
    check_writable(output, force)
    if is_trace(log):
        return _of_trace(log, platform, profile, output, force, go)
    if go is not None:
        raise UsageFault(Fault("--go: the log is of 7aefdfded", "an execution trace"))
    target = figures.compute(platforms.load_file(profile) if profile else platforms.load(platform or ""))
    with session.progress(f"import {log.name}") as progress:
        imported = import_log(
            log,
            lambda: machines.boot(target, record=True),
            output,
            partial(_tell, progress),
            force,
        )
    for text in imported.unknown:
        session.detail(f"not in the log: {text}")
    return Import(imported, output)
