"""From a command's function to something that typer runs: common options in, result out."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

import typer
from typer.core import TyperCommand

from archcalc import config
from archcalc.cli import session
from archcalc.cli.options import Force
from archcalc.cli.params import HelpOption, parameters_of, plain
from archcalc.host import output
from archcalc.host.repository import within_repository
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest
from archcalc.results.result import CI_FORMATS, Result

COLORS = ("auto", "always", "never")


class Outcome(NamedTuple):
    """A result with where and how it is wanted."""

    result: Result
    format: str
    output: Path | None
    force: bool


class Command(HelpOption, TyperCommand):
    """A command of typer's with the options that every command has, whose function returns a result."""

    def __init__(self, name: str | None, **made: Any) -> None:
        """`made` is what typer has read off the function."""
        hints = get_type_hints(inspect.unwrap(made["callback"]), include_extras=True)
        returned = hints.pop("return", None)
        self.formats = returned.formats if isinstance(returned, type) and issubclass(returned, Result) else ()
        self.together: dict[str, tuple[Together, Sequence[Any]]] = {}
        own: list[Any] = []
        for param in made.pop("params"):
            group = together(hints[param.name])
            if group is None:
                own.append(param)
            else:
                self.together[param.name] = group, parameters_of(group.make)
                own += self.together[param.name][1]
        # A command whose files are its result says itself what --output and --force mean; one that writes
        # files beside its result gets --force, too.
        self.common = [param for param in common_options(self.formats) if param.name not in hints]
        super().__init__(name, params=[plain(param) for param in (*own, *self.common)], **made)

    def invoke(self, ctx: Any) -> Outcome | None:
        """Calls the function with its own options, those that it takes together as one value."""
        given = {param.name: ctx.params.pop(param.name) for param in self.common}
        configure_session(given)
        target: Path | None = given.get("output")
        force: bool = given.get("force", ctx.params.get("force", False))
        wanted = given.get("format") or (config.current().format if len(self.formats) > 1 else "table")
        format = wanted if wanted in self.formats else "table"
        if target is not None:
            output.check_writable(target, force)
        for name, (group, params) in self.together.items():
            ctx.params[name] = group.make(**{param.name: ctx.params.pop(param.name) for param in params})
        try:
            result = carried_out(partial(super().invoke, ctx))
        except UsageFault as fault:
            result = refused(fault, format)
        return None if result is None else Outcome(result, format, target, force)


def build(name: str, module: str) -> Command:
    """The command whose function is in a module."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name, cls=Command)(import_module(module).command)
    command = typer.main.get_command(app)
    assert isinstance(command, Command)
    return command


class Together(NamedTuple):
    """Several options that a command takes as one value: `machine: Annotated[Value, Together(make), ONE]`.

    They are the parameters of `make`, which gets them as keywords and returns the value.
    """

    make: Callable[..., Any]


# Stands for several options where typer reads a command's parameters.
ONE = typer.Option(parser=str, hidden=True)


def together(hint: Any) -> Together | None:
    """The options that a parameter with this annotation stands for, if it stands for several."""
    return next((note for note in getattr(hint, "__metadata__", ()) if isinstance(note, Together)), None)


def refused(fault: UsageFault, format: str) -> Result:
    """The faults of files as a result where a CI system asked for one; said on stderr all the same."""
    if format not in CI_FORMATS:
        raise fault
    from archcalc.results.refused import Refused, stands_in_a_file

    if not stands_in_a_file(fault):
        raise fault
    print("\n".join(fault.located), file=sys.stderr)
    return Refused(fault, within_repository)


def carried_out(command: Callable[[], Any]) -> Any:
    """What a command returns.

    Some what-ifs make a runtime that Go could not compile, or that runs into its own arithmetic at
    once: a size of 0 that something is divided by. That is the user's, unlike any other such fault.
    """
    try:
        return command()
    except (ArithmeticError, LookupError, ValueError, NotImplementedError) as fault:
        given = ", ".join(f"{name}={value}" for name, value in session.current.sets.items())
        if not given or isinstance(fault, UsageFault) or session.current.debug or not _of_machine(fault):
            raise
        found = f"what if {given}: the machine cannot go on ({str(fault) or type(fault).__name__})"
        raise UsageFault(Fault(found, "a value that a runtime can be built with", id="set-invalid")) from None


def _of_machine(fault: Exception) -> bool:
    """Whether a fault came up in a machine."""
    at = fault.__traceback__
    names = []
    while at is not None:
        names.append(str(at.tb_frame.f_globals.get("__name__", "")))
        at = at.tb_next
    return bool(names) and (names[-1].startswith("allocator.") or names[-1].startswith("archcalc.machines"))


def configure_session(given: dict[str, Any]) -> None:
    """Takes over what was said at the command; what was said before it stays."""
    now = session.current
    now.quiet = now.quiet or given["quiet"]
    now.verbose = now.verbose or given["verbose"]
    now.debug = now.debug or given["debug"]
    now.color = given["color"] or now.color


def one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    """A parser that takes one of some words."""

    def parse(text: str) -> str:
        if text in choices:
            return text
        raise UsageFault(
            Fault(f"unknown value {text!r}", "one of " + ", ".join(choices), closest(text, choices))
        )

    return parse


def parse_output(text: str) -> Path | None:
    """A file name; `-` is stdout."""
    return None if text == "-" else Path(text)


def common_options(formats: tuple[str, ...]) -> list[Any]:
    """Parameters that every command takes; those about output only where there is a choice."""

    def formatted(
        format: str = typer.Option(
            None,
            "--format",
            "-f",
            metavar="|".join(formats),
            help="How to print the result (default: table).",
            parser=one_of(formats),
            autocompletion=lambda: list(formats),
        ),
    ) -> None:
        """Only where there are several formats."""

    return [
        *(parameters_of(formatted) if len(formats) > 1 else ()),
        *(parameters_of(written) if formats else ()),
        *parameters_of(said),
    ]


def written(
    output: Annotated[
        Any,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write to FILE, whole or not at all.", parser=parse_output
        ),
    ] = None,
    force: Force = False,
) -> None:
    """The options of results that can be written to a file."""


def said(
    color: Annotated[
        Any,
        typer.Option(
            "--color",
            metavar="|".join(COLORS),
            help="Colours on stdout (auto: on a terminal, without NO_COLOR).",
            parser=one_of(COLORS),
            autocompletion=lambda: list(COLORS),
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More notes.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="A traceback for faults of archcalc.")] = False,
) -> None:
    """The options about how much is said, and how colourfully."""
