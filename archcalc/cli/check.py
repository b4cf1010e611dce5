"""`archcalc check`: every invariant on every platform asked for, for CI."""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli import session
from archcalc.cli.judging import Baseline, FailOn, WriteBaseline, judge
from archcalc.cli.options import Go, Platforms, Profiles, Sets, complete_checks
from archcalc.cli.targets import generation, settings
from archcalc.library.check import CheckReport, check
from archcalc.library.targets import across, computed

Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="CHECK",
        help="Only these checks: ids, families or globs (repeatable).",
        autocompletion=complete_checks,
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore", metavar="CHECK", help="Not these checks (repeatable).", autocompletion=complete_checks
    ),
]


def command(
    platforms: Platforms = None,
    profiles: Profiles = None,
    sets: Sets = None,
    go: Go = None,
    select: Select = None,
    ignore: Ignore = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = None,
    fail_on: FailOn = None,
) -> CheckReport:
    """Run every check; exit 1 when one fails.

    Errors fail, unless a baseline knows them; warnings and infos are oddities that a port can live
    with. `archcalc explain ID` tells what a check means, `archcalc list-checks` which there are.
    """
    given = settings(sets)
    release = generation(go)
    targets = computed(across(platforms, profiles, [release]), given)
    report = check(targets, select, ignore, given, release, all=session.current.verbose)
    return judge(report, baseline, write_baseline, fail_on)
