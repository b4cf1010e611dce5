"""`archcalc record`: a recording of any Go program, by its own Go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.cli import session
from archcalc.cli.options import Force
from archcalc.host.output import check_writable
from archcalc.library.record import Ran
from archcalc.reading.words import counted
from archcalc.recorder import run


def command(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A .go file, a folder or a package.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGS]", help="The program's arguments.")
    ] = None,
    go: Annotated[
        str | None,
        typer.Option(
            "--go", metavar="GO", help="A go command, or a release that is installed; else go on PATH."
        ),
    ] = None,
    output: Annotated[
        Any,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The recording to write, else NAME.trace.gz here.",
            parser=Path,
        ),
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Record the package's tests.")] = False,
    exec_: Annotated[
        str | None,
        typer.Option(
            "--exec", metavar="PREFIX", help="Run the program with this before it, such as an emulator."
        ),
    ] = None,
    log: Annotated[
        Any,
        typer.Option(
            "--log",
            metavar="FILE",
            help="Make the recording of the log that a program left elsewhere; TARGET is that program.",
            parser=Path,
        ),
    ] = None,
    force: Force = False,
) -> Ran:
    """Record a Go program: build it with a recorder in its runtime, and run it.

    The program's own Go builds it, 1.22 to 1.27, for linux; the toolchain is not touched. What the
    program prints goes where it would have gone, and its exit code is the command's. The recording is
    written whole at an exit, a throw, a panic, a fatal signal, an interrupt and an exec; of a program
    that is killed it has what had been written out by then.
    """
    env = run.environment()
    found = run.find_go(go, env)
    name = Path(target).resolve().stem or "program"
    path = output if output is not None else Path(f"{name}.trace.gz")
    check_writable(path, force)
    words = list(arguments) if arguments else []
    if log is not None:
        recorded = run.write(log, Path(target), found, path, 0, target=target, force=force)
        session.note(f"{recorded.path}: {counted(recorded.events, 'event')}")
        return Ran(path, recorded.events)
    if exec_ is None and not run.runs_here(found):
        program = Path(f"{name}.{found.goarch}")
        check_writable(program, force)
        run.build(found, target, program, env, test)
        session.note(
            f"{program} is for {found.platform}, which this machine does not run by itself. With an emulator:"
        )
        session.note(f"  archcalc record --exec {run.emulator(found)} {target}")
        session.note(
            f"or there, and then here: {run.VARIABLE}=LOG ./{program}; archcalc record --log LOG {program}"
        )
        return Ran(program)
    with session.progress(f"record {name}") as progress:
        recorded = run.record(
            found,
            target,
            path,
            words,
            env=env,
            test=test,
            prefix=exec_,
            force=force,
            progress=progress.update,
        )
    session.note(
        f"{recorded.path}: {counted(recorded.events, 'event')}"
        + ("" if recorded.whole else ", without an end state")
    )
    return Ran(path, recorded.events, recorded.exit)
