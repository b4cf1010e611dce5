"""The program's start and end: the one place where faults become exit codes.

0 all held, 1 a check or an expectation failed, 2 wrong input or usage, 3 a fault of archcalc
itself, 130 interrupted, 141 the reader of our output went away (as a shell reports SIGPIPE).
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

BROKEN_PIPE = 141
COMPLETION = "_ARCHCALC_COMPLETE"


def run() -> None:
    """The console script."""
    # Most of what a command makes lives until its end: looking through it for circles as often as Python
    # does by default took a short one a thirtieth of its time.
    gc.set_threshold(100_000, 20, 20)
    code = main(sys.argv[1:])
    # All is written and closed. Python would look through everything twice more on its way out.
    gc.freeze()
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; never raises."""
    try:
        code = dispatch(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _drop_stdout()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:  # how typer's completion ends, and its writing to a closed pipe
        return end.code if isinstance(end.code, int) else 0
    except Exception as fault:
        return explain(fault)


def dispatch(arguments: Sequence[str]) -> int:
    """Parses, runs the command, renders its result."""
    from archcalc.cli.app import build_root
    from archcalc.reading.errors import UsageFault

    if any("\0" in word for word in arguments):
        # No shell can hand one in, but a program that calls main can, and no path may have it.
        raise UsageFault("an argument with a NUL character")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if COMPLETION in os.environ:
        from typer.main import get_install_completion_arguments

        get_install_completion_arguments()  # typer knows the shells once it has made its options about them
    outcome = build_root().main(args=list(arguments), prog_name="archcalc", standalone_mode=False)
    if outcome is None or isinstance(outcome, int):
        return outcome or 0
    from archcalc.cli.reporter import report

    return report(outcome)


def explain(fault: Exception) -> int:
    """Says what went wrong on stderr, and returns the exit code for it."""
    from archcalc.cli import session
    from archcalc.reading.errors import UsageFault

    if isinstance(fault, UsageFault):
        for found in fault.faults:
            print(found if found.file else f"archcalc: {found}", file=sys.stderr)
        return 2
    if (
        isinstance(fault, OSError)
        and fault.filename is None
        and fault.errno is not None
        and not session.current.debug
    ):
        print(f"archcalc: cannot write the result: {fault.strerror}", file=sys.stderr)
        _drop_stdout()
        return 2
    format_message = getattr(fault, "format_message", None)
    if format_message is not None:  # typer's own usage errors
        print(f"archcalc: {format_message()}", file=sys.stderr)
        ctx = getattr(fault, "ctx", None)
        if ctx is not None:
            print(f"Try '{ctx.command_path} --help'.", file=sys.stderr)
        return 2
    if session.current.debug:
        import traceback

        traceback.print_exception(fault)
    print(
        f"archcalc: a fault of archcalc itself: {type(fault).__name__}: {fault}"
        + (
            ""
            if session.current.debug
            else "\nRun it again with --debug for the traceback, and please report it."
        ),
        file=sys.stderr,
    )
    return 3


def _drop_stdout() -> None:
    """Keeps the interpreter from flushing into a pipe that nobody reads any more."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass
