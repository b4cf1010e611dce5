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
from archcalc.cli.options import complete_platforms
from archcalc.cli.trace.options import Force
from archcalc.host.output import check_writable
from archcalc.profiles import platforms
from archcalc.reading.errors import Fault, UsageFault
from archcalc.results.result import FAILED, OK, Result
from archcalc.results.tables import Block, Bytes, Column, Prose, Table
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
            yield Prose(f"{i.other_lines} lines of the log are the program's own output.")
        yield Prose("\n".join(("what the log does not tell:", *(f"- {u}" for u in i.unknown))), verbatim=True)


def _tell(progress: session.Progress, done: int, total: int) -> None:
    progress.total = total
    progress.update(done)


def command(
    log: Annotated[
        Any,
        typer.Argument(
            metavar="LOG",
            help="What GODEBUG=allocfreetrace=1 printed, or lines size[,type]; plain, gzip, xz or bzip2.",
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
) -> Import:
    """Make a recording of a log of allocations, or of a list of sizes.

    The platform's machine carries out what the log has, and its recording is the result, which
    `replay` accepts. What the log does not tell is said, here and in the recording's header.
    """
    if output is None:
        raise UsageFault(Fault("nothing says where the recording is to go", "--output OUT"))
    if (platform is None) == (profile is None):
        raise UsageFault(Fault("nothing says what platform the log is of", "--platform P or --profile FILE"))
    check_writable(output, force)
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
