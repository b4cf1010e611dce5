"""`archcalc boot`: mallocinit in a platform's address space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.calculator import figures
from archcalc.cli.judging import Baseline, FailOn, WriteBaseline, judge
from archcalc.cli.machine import PROFILES_OWN, Described, tell_without_effect
from archcalc.cli.options import Go, Platforms, Profiles, Sets
from archcalc.cli.targets import generation, settings
from archcalc.library.boot import answered, boot
from archcalc.library.targets import selected
from archcalc.results.judged import Judged

Why = Annotated[
    bool,
    typer.Option(
        "--why",
        help="What refused each attempt of a boot that fails, and the nearest machine that boots; "
        "what would stop a machine that boots.",
    ),
]

CallsFiles = Annotated[
    list[Any] | None,
    typer.Option(
        "--calls",
        metavar="FILE",
        help="Answer from what a real program was answered, as strace -f or a JSON file tells it, "
        "and compare every call (repeatable).",
        parser=Path,
    ),
]


def command(
    platforms: Platforms = None,
    profiles: Profiles = None,
    sets: Sets = None,
    machine: Described = PROFILES_OWN,
    why: Why = False,
    go: Go = None,
    calls: CallsFiles = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = None,
    fail_on: FailOn = None,
) -> Judged:
    """Run the start of a platform's runtime in a simulated address space.

    Shows where everything lies, which reservations were tried, and whether the invariants hold
    that the allocator relies on. A runtime that dies is a result: its words, and what it printed
    before. The options describe another machine than the profile's. A machine of 7aefdfded goes through
    mallocinit, one of a later release from its first call to main. With --calls the answers come from a
    file of what a real program was answered, and each call is compared with what that one asked. What
    strace printed needs PLATFORM and --go besides. Calls of a C library are left out, and how much a
    program itself allocates, before main and in it, is taken from its calls.
    """
    given = settings(sets)
    if calls:
        found = answered(platforms, calls, generation(go) if go else None, machine)
        return judge(found, baseline, write_baseline, fail_on)
    release = generation(go)
    chosen = selected(platforms, profiles, go=release)
    tell_without_effect(chosen, machine)
    booted = boot([figures.compute(profile, given, release) for profile in chosen], machine, why)
    return judge(booted, baseline, write_baseline, fail_on)
