"""The commands by name. A command's module is imported when it is called, and not before."""

from __future__ import annotations

from collections.abc import Sequence
from keyword import iskeyword
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from archcalc.cli import session
from archcalc.cli.params import HelpOption
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest


class CommandEntry(NamedTuple):
    """A command: its name, its one line of help, the heading it is under, its own commands if any."""

    name: str
    help: str
    heading: str = "Commands"
    commands: tuple[CommandEntry, ...] = ()

    def module(self, group: str) -> str:
        """Where its function stands; `list-checks` of the top group in `archcalc.cli.list_checks`."""
        parts = ["archcalc.cli", *([group] if group else []), self.name]
        # A module cannot be called as a word of Python's own is: `trace import` is in import_.
        return ".".join(part.replace("-", "_") + "_" * iskeyword(part) for part in parts)


CALCULATE = "Calculate"
RUN = "Run the machine"
JUDGE = "Judge"
ABOUT = "Profiles and the program itself"

COMMANDS: tuple[CommandEntry, ...] = (
    CommandEntry("list", "List the platforms.", CALCULATE),
    CommandEntry("report", "Report constants, struct sizes, layout and size classes.", CALCULATE),
    CommandEntry("explain", "Explain how a figure comes about, or what a check means.", CALCULATE),
    CommandEntry(
        "diff", "Show what differs between two platforms, or between two releases of Go.", CALCULATE
    ),
    CommandEntry("sizeclass", "Show the size class of sizes: rounding, waste, objects in a span.", CALCULATE),
    CommandEntry(
        "generations", "List the releases of Go that are known, and what can be done with each.", CALCULATE
    ),
    CommandEntry("map", "Draw the address space of a booted machine.", RUN),
    CommandEntry("heap", "Draw a heap: spans, occupancy, fragmentation.", RUN),
    CommandEntry("boot", "Run the start of a platform's runtime in a simulated address space.", RUN),
    CommandEntry("smoke", "Boot, allocate, free, collect and audit.", RUN),
    CommandEntry("record", "Record a Go program: build it with a recorder in its runtime, and run it.", RUN),
    CommandEntry("replay", "Replay recordings and compare everything; exit 1 on a difference.", RUN),
    CommandEntry(
        "trace",
        "Import and convert recordings, and show what is in them.",
        RUN,
        (
            CommandEntry(
                "import",
                "Make a recording from a log of allocations, a list of sizes, or a Go execution trace.",
            ),
            CommandEntry("convert", "Write a recording in its other form: text, or columns (Parquet)."),
            CommandEntry(
                "info", "Show a recording's header, its form and how many records of each kind it has."
            ),
            CommandEntry("head", "Show the first events."),
            CommandEntry(
                "compare",
                "Compare a recording and the execution trace of the same run; exit 1 on a difference.",
            ),
            CommandEntry("stats", "Count allocations, frees, sizes, types, classes and lifetimes."),
        ),
    ),
    CommandEntry("sweep", "Run a grid or a list of what-ifs into one table of figures.", RUN),
    CommandEntry("check", "Run every check; exit 1 when one fails.", JUDGE),
    CommandEntry("list-checks", "List the checks: id, severity and what each is about.", JUDGE),
    CommandEntry("verify", "Compare the figures with a Go source tree or a built program.", JUDGE),
    CommandEntry("drift", "Show where comments of Go's source and the figures disagree.", JUDGE),
    CommandEntry(
        "prove", "Prove what holds for every answer of the system; exit 1 when something does not.", JUDGE
    ),
    CommandEntry("run", "Run scenario files; exit 1 when an expectation does not hold.", JUDGE),
    CommandEntry(
        "profile",
        "Make, check and describe platform profiles.",
        ABOUT,
        (
            CommandEntry("new", "Write a commented profile to start from."),
            CommandEntry("validate", "Check profile files; exit 2 when one cannot be used."),
            CommandEntry("show", "Show the merged facts of platforms and where each comes from."),
            CommandEntry("schema", "Print the JSON Schema of profiles, for editors."),
        ),
    ),
    CommandEntry("schema", "Print the JSON Schema of a file or of a command's JSON.", ABOUT),
    CommandEntry("env", "Show what archcalc runs on and what it has read.", ABOUT),
    CommandEntry("completion", "Print the completion script of a shell.", ABOUT),
)


class LazyGroup(HelpOption, TyperGroup):
    """A group that knows its commands' names and help lines, and builds a command when asked for it."""

    def __init__(self, **made: Any) -> None:
        """`made` is what typer has read off the group."""
        super().__init__(**made)
        self.group = ""  # what comes before its commands on a line: nothing, or its name
        self.entries: dict[str, CommandEntry] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands."""
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; its module is imported here."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        if entry.commands:
            return build_group(entry)
        from archcalc.cli.command import build

        return build(entry.name, entry.module(self.group))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that arguments name, and the rest of them. Raises UsageFault."""
        command = self.get_command(ctx, args[0])
        if command is None and not ctx.resilient_parsing:
            known = f"{self.group} has no" if self.group else "no"
            found = f"{known} command {args[0]!r}"
            raise UsageFault(
                Fault(found, "one of " + ", ".join(self.entries), closest(args[0], self.entries))
            )
        return args[0] if command else None, command, args[1:]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands in help, under their headings; none is imported for it."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for entry in self.entries.values():
            headings.setdefault(entry.heading, []).append((entry.name, entry.help))
        widest = max(map(len, self.entries))
        for heading, rows in headings.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(widest), text) for name, text in rows])


CONTEXT = {"help_option_names": ["-h", "--help"]}


def lazy(app: typer.Typer, entries: Sequence[CommandEntry], group: str = "") -> LazyGroup:
    """The group that typer makes of an app, with commands that are built when they are asked for."""
    made = typer.main.get_command(app)
    assert isinstance(made, LazyGroup)
    made.group = group
    made.entries = {entry.name: entry for entry in entries}
    return made


def build_group(entry: CommandEntry) -> LazyGroup:
    """A command that has commands of its own."""
    app = typer.Typer(name=entry.name, cls=LazyGroup, add_completion=False, rich_markup_mode=None)
    app.callback(help=entry.help)(lambda: None)
    return lazy(app, entry.commands, entry.name)


def build_root() -> LazyGroup:
    """The program."""
    app = typer.Typer(
        name="archcalc",
        cls=LazyGroup,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=CONTEXT,
    )
    app.callback(invoke_without_command=True)(archcalc)
    return lazy(app, COMMANDS)


def archcalc(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More notes.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="A traceback for faults of archcalc.")] = False,
) -> int | None:
    """Calculate, verify and boot the memory layout of Go's runtime, for any of its ports.

    A PLATFORM is goos/goarch, a glob such as 'linux/*', or all; without one, $GOOS/$GOARCH, else
    the host's. Exit codes: 0 all held, 1 something failed, 2 wrong input or usage, 3 a fault of
    archcalc itself.
    """
    session.current = session.Session(quiet=quiet, verbose=verbose, debug=debug)
    if version:
        from archcalc import __version__

        typer.echo(f"archcalc {__version__}")
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(2)
    return None


def names(entries: Sequence[CommandEntry] = COMMANDS) -> list[str]:
    """Every command as it is typed, `profile new` included."""
    found = []
    for entry in entries:
        found += (
            [f"{entry.name} {inner}" for inner in names(entry.commands)] if entry.commands else [entry.name]
        )
    return found
