"""From a command's function to something that typer runs: common options in, result out."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from archcalc import config
from archcalc.cli import session
from archcalc.cli.params import spare
from archcalc.host import output
from archcalc.host.repository import within_repository
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest
from archcalc.results.result import CI_FORMATS, Result

COLORS = ("auto", "always", "never")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result with where and how it is wanted."""

    result: Result
    format: str
    output: Path | None
    force: bool


class PlainCommand(TyperCommand):
    """A typer command that never imports pydantic."""

    def get_params(self, ctx: Any) -> Any:
        """All parameters, --help among them."""
        return spare(super().get_params(ctx))


def build(name: str, module: str) -> TyperCommand:
    """The command whose function stands in a module."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name, cls=PlainCommand)(wrapped(import_module(module).command))
    command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand)
    return command


@dataclass(frozen=True, slots=True)
class Options:
    """Several options that a command takes as one value: `machine: Annotated[Value, Options(…)]`.

    `each` has their annotations and defaults by name; `make` gets them as keywords.
    """

    each: Mapping[str, tuple[Any, Any]]
    make: Callable[..., Any]


def as_options(hint: Any) -> Options | None:
    """The options that a parameter with this annotation stands for, if it stands for several."""
    return next((note for note in getattr(hint, "__metadata__", ()) if isinstance(note, Options)), None)


def wrapped(function: Callable[..., Any]) -> Callable[..., Outcome | None]:
    """The function with the options that every command has, and its result as an Outcome."""
    hints = get_type_hints(function, include_extras=True)
    returned = hints.pop("return", None)
    formats = returned.formats if isinstance(returned, type) and issubclass(returned, Result) else ()
    parameters: list[inspect.Parameter] = []
    joined: dict[str, Options] = {}
    for parameter in inspect.signature(function).parameters.values():
        options = as_options(hints[parameter.name])
        if options is None:
            parameters.append(keyword(parameter.name, hints[parameter.name], parameter.default))
        else:
            joined[parameter.name] = options
            parameters += [keyword(name, *option) for name, option in options.each.items()]
    # A command whose files are its result says itself what --output and --force mean; one that writes files
    # beside its result is told of --force, too.
    common = [option for option in common_options(formats) if option.name not in hints]

    def run(**arguments: Any) -> Outcome | None:
        given = {parameter.name: arguments.pop(parameter.name) for parameter in common}
        configure_session(given)
        target: Path | None = given.get("output")
        force: bool = given.get("force", arguments.get("force", False))
        format = given.get("format") or (config.current().format if len(formats) > 1 else "table")
        if target is not None:
            output.check_writable(target, force)
        for name, options in joined.items():
            arguments[name] = options.make(**{each: arguments.pop(each) for each in options.each})
        try:
            result = carried_out(function, arguments)
        except UsageFault as fault:
            result = refused(fault, format if format in formats else "table")
        if result is None:
            return None
        return Outcome(result, format if format in formats else "table", target, force)

    run.__doc__ = function.__doc__
    run.__name__ = function.__name__
    run.__signature__ = inspect.Signature([*parameters, *common])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*parameters, *common)}
    return run


def refused(fault: UsageFault, format: str) -> Result:
    """The faults of files as a result where a CI system asked for one; said on stderr all the same."""
    if format not in CI_FORMATS:
        raise fault
    from archcalc.results.refused import Refused, stands_in_a_file

    if not stands_in_a_file(fault):
        raise fault
    print("\n".join(fault.located), file=sys.stderr)
    return Refused(fault, within_repository)


def carried_out(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """What a command's function returns.

    Some what-ifs make a runtime that Go could not compile, or that runs into its own arithmetic at
    once: a size of 0 that something is divided by. That is the user's, unlike any other such fault.
    """
    try:
        return function(**arguments)
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


def common_options(formats: tuple[str, ...]) -> list[inspect.Parameter]:
    """Parameters that every command takes; those about output only where there is a choice."""
    options: list[tuple[str, Any, Any]] = []
    if len(formats) > 1:
        format_option = typer.Option(
            "--format",
            "-f",
            metavar="|".join(formats),
            help="How to print the result (default: table).",
            parser=one_of(formats),
            autocompletion=lambda: list(formats),
        )
        options.append(("format", Annotated[str, format_option], None))
    if formats:
        output_option = typer.Option(
            "--output", "-o", metavar="FILE", help="Write to FILE, whole or not at all.", parser=parse_output
        )
        force_option = typer.Option("--force", help="Let --output replace an existing file.")
        options += [
            ("output", Annotated[Any, output_option], None),
            ("force", Annotated[bool, force_option], False),
        ]
    color_option = typer.Option(
        "--color",
        metavar="|".join(COLORS),
        help="Colours on stdout (auto: on a terminal, without NO_COLOR).",
        parser=one_of(COLORS),
        autocompletion=lambda: list(COLORS),
    )
    options += [
        ("color", Annotated[str, color_option], None),
        ("quiet", Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress.")], False),
        ("verbose", Annotated[bool, typer.Option("--verbose", "-v", help="More notes.")], False),
        (
            "debug",
            Annotated[bool, typer.Option("--debug", help="A traceback for faults of archcalc.")],
            False,
        ),
    ]
    return [keyword(name, annotation, default) for name, annotation, default in options]


def keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """A parameter as typer is told of it."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
