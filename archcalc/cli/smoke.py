"""`archcalc smoke`: boot, allocate, free, collect, audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc import machines
from archcalc.calculator import figures
from archcalc.calculator.figures import Figures
from archcalc.cli import session
from archcalc.cli.answers import AS_USUAL, Answered, without_effect
from archcalc.cli.machine import PROFILES_OWN, Described, tell_without_effect
from archcalc.cli.options import Count, Force, Go, Platforms, Profiles, Seed, Sets
from archcalc.cli.picture import complete_workload, parse_workload
from archcalc.cli.targets import generation, settings
from archcalc.host import output
from archcalc.library.smoke import Smoked, smoke
from archcalc.library.targets import selected
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.quantities import parse_count
from archcalc.workloads import programs


def parse_workloads(text: str) -> str:
    """A workload's name, or all."""
    return text if text == "all" else parse_workload(text)


def command(
    platforms: Platforms = None,
    profiles: Profiles = None,
    sets: Sets = None,
    workload: Annotated[
        list[Any] | None,
        typer.Option(
            "--workload",
            "-w",
            metavar="WORKLOAD",
            help="Which workload, or all (repeatable); default mixed.",
            parser=parse_workloads,
            autocompletion=complete_workload,
        ),
    ] = None,
    n: Count = None,
    seed: Seed = None,
    audit_every: Annotated[
        Any,
        typer.Option(
            "--audit-every",
            metavar="N",
            help="Audit after every N allocations too, watching each object.",
            parser=parse_count,
        ),
    ] = None,
    gogc: Annotated[
        Any, typer.Option("--gogc", metavar="N", help="GOGC; default off, 100 for churn.", parser=parse_count)
    ] = None,
    procs: Annotated[
        Any,
        typer.Option("--procs", metavar="N", help="GOMAXPROCS; default the workload's.", parser=parse_count),
    ] = None,
    record: Annotated[
        Any,
        typer.Option("--record", metavar="FILE", help="Write what happened as a recording.", parser=Path),
    ] = None,
    force: Force = False,
    machine: Described = PROFILES_OWN,
    answers: Answered = AS_USUAL,
    go: Go = None,
) -> Smoked:
    """Boot, allocate, free, collect and audit.

    Workloads are seeded: equal seeds give equal runs. After every collection and at the end all
    invariants of the live machine are checked. `exhaust` allocates until the runtime dies, and
    shows with which words. --answer, --refuse-after and --refuse-chance make the OS fail where it
    would not: a machine that dies of it shows its last words, one that survives must be sound.
    """
    if procs is not None and not 1 <= procs <= programs.MOST_PROCS:
        raise UsageFault(Fault(f"{procs} Ps", f"GOMAXPROCS, which is 1 to {programs.MOST_PROCS}"))
    names = programs.chosen(workload or ["mixed"])
    given = settings(sets)
    release = generation(go)
    chosen = selected(platforms, profiles, go=release)
    tell_without_effect(chosen, machine)
    targets = [figures.compute(profile, given, release) for profile in chosen]
    if record is not None:
        if len(targets) * len(names) != 1:
            raise UsageFault(Fault("--record writes one run", "one platform and one workload"))
        output.check_writable(record, force)
    dice = 1 if seed is None else seed
    scripted: list[tuple[str, Any]] = []

    def system_of(target: Figures) -> Any:
        system = machines.system_of(target, machine)
        counted = answers.install_on(system, dice, machines.era(target.generation).HELPERS)
        scripted.append((target.platform, counted))
        return system

    with session.progress("smoke") as progress:
        runs = smoke(
            targets,
            names,
            machine,
            n=5000 if n is None else n,
            seed=dice,
            audit_every=audit_every or 0,
            gogc=gogc,
            procs=procs,
            record=record,
            system_of=system_of,
            tell=progress.tell,
        )
    for run, (platform, counted) in zip(runs, scripted, strict=True):
        for words in without_effect(counted):
            session.note(f"{platform}, {run.workload}: {words}")
    return Smoked(runs, targets)
