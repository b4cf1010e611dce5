"""`archcalc profile new`: a commented profile to start from."""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli import session
from archcalc.cli.options import complete_platforms
from archcalc.profiles import platforms, profile_tools
from archcalc.results.result import TextResult

Name = Annotated[
    str,
    typer.Argument(metavar="PLATFORM", help="The new port, goos/goarch.", autocompletion=complete_platforms),
]
Like = Annotated[
    str,
    typer.Option(
        "--like",
        metavar="PLATFORM",
        help="The port to start from (default: the nearest one).",
        autocompletion=complete_platforms,
        show_default=False,
    ),
]


def command(platform: Name, like: Like = "") -> TextResult:
    """Write a commented profile to start from.

    It has all facts of the nearest existing port, each explained. Correct what differs, then check
    it with `archcalc profile validate FILE`.
    """
    text = profile_tools.new(platform, like or None)
    base = platforms.load(like or profile_tools.nearest_port(platform))
    if base.platform != platform:
        first = ", ".join(profile_tools.CHECK_FIRST)
        session.note(f"begun from {profile_tools.begun_from(base)}; look at {first} first")
    return TextResult(text)
