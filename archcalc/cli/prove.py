"""`archcalc prove`: what holds for every answer that a system can give."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.calculator import figures as calculator
from archcalc.cli import session
from archcalc.cli.judging import Baseline, FailOn, WriteBaseline, judge, readable
from archcalc.cli.machine import PROFILES_OWN, Described
from archcalc.cli.options import Go, Platforms, Profiles, Sets
from archcalc.cli.targets import generation, settings
from archcalc.host import output
from archcalc.library.prove import Proved, prove, tasks_of
from archcalc.library.targets import selected
from archcalc.proofs import properties
from archcalc.reading.errors import Fault, UsageFault


def complete_properties(incomplete: str) -> list[str]:
    """Ids of what can be proved."""
    return [id for id in properties.IDS if id.startswith(incomplete)]


Property = Annotated[
    list[str] | None,
    typer.Option(
        "--property",
        metavar="ID",
        help="Only these: ids or globs (repeatable).",
        autocompletion=complete_properties,
    ),
]
Scenarios = Annotated[
    Any,
    typer.Option(
        "--scenarios",
        metavar="DIR",
        help="Write each counterexample there as a scenario, for `archcalc run DIR`.",
        parser=Path,
    ),
]


def make_folder(path: Path) -> None:
    """A folder for scenarios, new or not. Raises UsageFault."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fault = Fault(f"cannot be a folder: {error.strerror}", "a folder", id="output", file=str(path))
        raise UsageFault(fault) from None


def command(
    platforms: Platforms = None,
    profiles: Profiles = None,
    sets: Sets = None,
    go: Go = None,
    property: Property = None,
    scenarios: Scenarios = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = None,
    fail_on: FailOn = None,
    machine: Described = PROFILES_OWN,
) -> Proved:
    """Prove what holds for every answer of the system; exit 1 when something does not.

    The machine's own code runs on every path: each address that the system's contract allows it to
    answer, each request of the program. What holds is proved; what does not comes with a
    counterexample that the machine has confirmed, as a scenario where --scenarios says where to.
    `archcalc explain ID` tells what a property means.
    """
    readable(baseline)
    given, release = settings(sets), generation(go)
    named = selected(platforms, profiles, go=release)
    chosen = [calculator.compute(profile, given, release) for profile in named]
    tasks = tasks_of(chosen, machine, property)
    if scenarios is not None:
        make_folder(scenarios)
    with session.progress("prove") as progress:
        proved = prove(tasks, progress.tell)
    for proof in proved:
        if scenarios is not None and proof.text:
            proof.scenario = scenarios / f"{proof.id}-{proof.platform.replace('/', '-')}.yaml"
            output.write(proof.scenario, [proof.text], force=True)
    result = Proved(proved, release, given, {one.platform: one for one in chosen})
    return judge(result, baseline, write_baseline, fail_on)
