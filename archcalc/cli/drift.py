"""`archcalc drift`: comments of Go's source that the figures contradict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.cli import session
from archcalc.cli.judging import Baseline, FailOn, WriteBaseline, judge
from archcalc.cli.options import Go, Platforms, Profiles, Sets
from archcalc.cli.targets import generation, settings
from archcalc.library.drift import Drifted
from archcalc.library.targets import selected
from archcalc.questions import drift
from archcalc.questions.drift import Comments

Goroot = Annotated[
    Any,
    typer.Option("--goroot", metavar="DIR", help="The Go source tree to compare with.", parser=Path),
]


def command(
    platforms: Platforms = None,
    profiles: Profiles = None,
    sets: Sets = None,
    goroot: Goroot = None,
    go: Go = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = None,
    fail_on: FailOn = None,
) -> Drifted:
    """Show where comments of Go's source and the figures disagree.

    Every claim is judged on the figures of each PLATFORM (all, where none is named): --set makes
    findings come and go. --verbose shows how the figures come about. With --goroot the comments are
    looked for in that tree, and followed where they have moved. Without --go, the claims are those of
    the release that the tree claims to be, if known.
    """
    given = settings(sets)
    release = generation(go)
    if goroot and not go:
        from archcalc.goverify.tree import SourceTree

        release = SourceTree(goroot).generation
    targets = selected(platforms, profiles, otherwise=["all"], go=release)
    find = Comments(goroot).find if goroot else None
    found, gone = drift.compute(targets, given, find)
    claims, verbose = drift.count(targets), session.current.verbose
    result = Drifted(found, gone, claims, len(targets), given, verbose, release)
    return judge(result, baseline, write_baseline, fail_on)
