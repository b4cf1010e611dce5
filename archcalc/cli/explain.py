"""`archcalc explain`: how a figure comes about, what a check means, what a fault of a file means."""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli.options import Gos, Platforms, Profiles, Sets, complete_checks, complete_names
from archcalc.cli.targets import settings, several
from archcalc.library import topics
from archcalc.library.explain import explain, explain_id
from archcalc.results.result import Result


def complete(ctx: typer.Context, incomplete: str) -> list[str]:
    """Everything that can be explained."""
    return complete_names(ctx, incomplete) + complete_checks(incomplete)


Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A constant, a struct or field (mspan.sweepgen), a layout figure (hint0, hints), a fact, an id.",
        autocompletion=complete,
    ),
]


def command(
    name: Name,
    platforms: Platforms = None,
    profiles: Profiles = None,
    sets: Sets = None,
    go: Gos = None,
) -> Result:
    """Explain how a figure comes about, or what a check means.

    The formula, each name in it with its value and origin, the substitution step by step, what
    follows from it, and where platforms differ. Everything that is printed has a name to explain.
    The runtime's last words are explained too (explain "cannot reserve arena"), and why VIRT is so
    large (explain vsz). --go explains it for another release, or for several, one after the other.
    """
    known = explain_id(name)
    if known is not None:
        return known
    given, releases = settings(sets), several(go)
    eras = topics.eras(releases) if go else topics.ALL_ERAS
    return explain(name, platforms, profiles, releases, given, eras=eras)
