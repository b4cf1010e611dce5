"""The arguments and options that several commands share, typed once.

A command names them as annotations: `def command(platforms: Platforms = None, sets: Sets = None)`.
All are None (or empty) where nothing was said; `targets.py` turns them into profiles and settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.reading.errors import UsageFault
from archcalc.reading.quantities import parse_count, parse_setting


def asked_of(ctx: typer.Context) -> str:
    """The generation that --go names on a line that is still written, else the default."""
    from archcalc import generations
    from archcalc.library.targets import asked_for

    given = ctx.params.get("go")
    last = asked_for(given[-1] if given and not isinstance(given, str) else given or None)
    try:
        return generations.named(last) if last else generations.CURRENT
    except UsageFault:  # a source tree, or a word that is not whole yet
        return generations.CURRENT


def complete_platforms(ctx: typer.Context, incomplete: str) -> list[str]:
    """Platforms, and globs over an operating system or an architecture."""
    from archcalc.profiles import platforms

    known = platforms.names(asked_of(ctx))
    systems = sorted({name.partition("/")[0] for name in known})
    return [word for word in ("all", *known, *(f"{s}/*" for s in systems)) if word.startswith(incomplete)]


Platforms = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PLATFORM",
        help="goos/goarch, a glob such as 'linux/*', or all; default: $GOOS/$GOARCH, else the host's.",
        autocompletion=complete_platforms,
        show_default=False,
    ),
]

Profiles = Annotated[
    list[Any] | None,
    typer.Option("--profile", metavar="FILE", help="Add a profile of your own (repeatable).", parser=Path),
]

Sets = Annotated[
    list[Any] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="What if a constant had another value (repeatable); everything downstream follows.",
        parser=parse_setting,
    ),
]


def complete_generations(incomplete: str) -> list[str]:
    """The generations of Go that there are tables of."""
    from archcalc import generations

    return [name for name in (*generations.known(), "all") if name.startswith(incomplete)]


Platform = Annotated[
    str | None,
    typer.Option(
        "--platform",
        metavar="PLATFORM",
        help="The platform that is meant, goos/goarch.",
        autocompletion=complete_platforms,
        show_default=False,
    ),
]

Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]

Count = Annotated[
    Any,
    typer.Option("-n", metavar="N", help="About how many allocations; default 5000.", parser=parse_count),
]

Seed = Annotated[
    Any,
    typer.Option(
        "--seed", metavar="N", help="Seed of the workload's choices; default 1.", parser=parse_count
    ),
]

Jobs = Annotated[
    Any,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        help="How many to work on at a time; default one on each core.",
        parser=parse_count,
    ),
]


Go = Annotated[
    str | None,
    typer.Option(
        "--go",
        metavar="RELEASE",
        help="The Go that is meant: a release such as 1.27, a commit, or the folder of a source tree;"
        " default: $ARCHCALC_GO, else 7aefdfded.",
        autocompletion=complete_generations,
        show_default=False,
    ),
]


Gos = Annotated[
    list[str] | None,
    typer.Option(
        "--go",
        metavar="RELEASE",
        help="The Go that is meant: a release such as 1.27, a commit, a source tree's folder, or all "
        "(repeatable); default: $ARCHCALC_GO, else 7aefdfded.",
        autocompletion=complete_generations,
        show_default=False,
    ),
]


def complete_checks(incomplete: str) -> list[str]:
    """Ids of checks and their families."""
    from archcalc import checks

    return [word for word in (*checks.FAMILIES, *checks.every()) if word.startswith(incomplete)]


def complete_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """What `explain` and `--only` know: constants, structs, layout figures, facts."""
    from archcalc.calculator import figures
    from archcalc.profiles import platforms

    known = figures.compute(platforms.load("linux/amd64", asked_of(ctx))).names()
    return [word for word in known if word.startswith(incomplete)]
