"""`archcalc diff`: what differs between two platforms."""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli.options import Gos, Profiles, Sets, complete_platforms
from archcalc.cli.report import Only
from archcalc.cli.targets import settings, several
from archcalc.library.diff import Diff, diff

First = Annotated[
    str,
    typer.Argument(
        metavar="A", help="A platform, or the path of a profile.", autocompletion=complete_platforms
    ),
]
Second = Annotated[
    str,
    typer.Argument(
        metavar="B",
        help="Another; default: A with --set.",
        autocompletion=complete_platforms,
        show_default=False,
    ),
]


def command(
    a: First,
    b: Second = "",
    profiles: Profiles = None,
    sets: Sets = None,
    only: Only = None,
    go: Gos = None,
) -> Diff:
    """Show what differs between two platforms, or between two releases of Go.

    With one platform and --set, what the what-if changes. --go twice compares the first release with the
    second, and tells which formulas changed.
    """
    given, releases = settings(sets), several(go)
    return diff(a, b, profiles, releases, given, only or ())
