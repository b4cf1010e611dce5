"""`archcalc smoke`: boot, allocate, free, collect, audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc import machines
from archcalc.calculator import figures
from archcalc.calculator.figures import Figures
from archcalc.cli import session
from archcalc.cli.answers import AS_USUAL, Answered, without_effect
from archcalc.cli.machine import PROFILES_OWN, Described, tell_without_effect
from archcalc.cli.options import Go, Platforms, Profiles, Sets
from archcalc.cli.picture import Force, complete_workload, parse_workload
from archcalc.cli.targets import generation, selected, settings
from archcalc.host import output
from archcalc.questions import origins
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.quantities import parse_count
from archcalc.results.findings import Case, Finding, Place, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Bytes, Column, Hex, Prose, Section, Table, Value
from archcalc.workloads import programs
from archcalc.workloads import run as running
from archcalc.workloads.run import WorkloadRun

FAMILY = "smoke"
DEATH = Rule(
    "smoke-death", FAMILY, Severity.ERROR, "the runtime survives the workload",
    "A workload that is not meant to exhaust the machine must come to its end.",
)  # fmt: skip
AUDIT = Rule(
    "smoke-audit", FAMILY, Severity.ERROR, "the audit of the machine is clean",
    "Every invariant of the live machine holds: spans tile the arena, lists and tables agree, counters are "
    "what a recount gives, bitmaps describe the objects, nothing is handed out twice.",
)  # fmt: skip


class Smoked(Judged):
    """What came of every workload on every platform."""

    def __init__(self, runs: Sequence[WorkloadRun], targets: Sequence[Figures] = ()) -> None:
        self.runs = runs
        self.figures = {target.platform: target for target in targets}

    def _where(self, run: WorkloadRun) -> tuple[Place, ...]:
        """The lines of the profile that its machine comes from."""
        return origins.of_machine(self.figures[run.platform]) if run.platform in self.figures else ()

    def cases(self) -> Iterable[Case]:
        for run in self.runs:
            subject = f"{run.workload}, seed {run.seed}"
            died: tuple[Finding, ...] = ()
            if run.death is not None and run.workload not in programs.FATAL:
                message = "; ".join((*run.death["printed"], f"fatal error: {run.death['throw']}"))
                died = (
                    Finding(
                        DEATH.id,
                        run.platform,
                        Severity.ERROR,
                        message,
                        FAMILY,
                        subject,
                        places=self._where(run),
                    ),
                )
            yield Case(DEATH.id, run.platform, died)
            yield Case(
                AUDIT.id,
                run.platform,
                tuple(
                    Finding(
                        AUDIT.id, run.platform, Severity.ERROR, f"{v.name}: {v.message}", FAMILY,
                        f"{subject}, {v.name}", places=self._where(run),
                    )
                    for v in run.violations
                ),
            )  # fmt: skip

    def rules(self) -> Sequence[Rule]:
        return (DEATH, AUDIT)

    @property
    def ok(self) -> bool:
        return all(run.ok for run in self.runs)

    def document(self) -> Mapping[str, object]:
        return {"ok": self.ok, "runs": [self._run(run) for run in self.runs]}

    def _run(self, run: WorkloadRun) -> dict[str, object]:
        s = run.summary
        return {
            "platform": run.platform,
            "workload": run.workload,
            "seed": run.seed,
            "ok": run.ok,
            "death": run.death,
            "violations": [{"name": v.name, "message": v.message} for v in run.violations],
            "allocations": s.allocations,
            "asked": s.asked,
            "collections": s.collections,
            "finalizers_run": s.finalizers_run,
            "objects": s.live_objects,
            "spans": {"in_use": s.spans_in_use, "stack": s.spans_stack, "free": s.spans_free},
            "arena": s.extent,
            "heap": {
                "sys": s.heap_sys,
                "inuse": s.heap_inuse,
                "idle": s.heap_idle,
                "released": s.heap_released,
                "stacks": s.stacks_inuse,
            },
            "waste": {
                "inside_objects": s.inside,
                "span_tails": s.tails,
                "unfilled_spans": s.unfilled,
                "free_pages": s.heap_idle,
            },
            "classes": [
                {
                    "class": c.sizeclass,
                    "size": c.size,
                    "spans": c.spans,
                    "objects": c.objects,
                    "inside_objects": c.inside,
                    "span_tails": c.tails,
                    "unfilled_spans": c.unfilled,
                }
                for c in s.classes
            ],
        }

    def view(self) -> Iterable[Section | Block]:
        columns = (
            Column("platform"),
            Column("workload"),
            Column("allocations", int),
            Column("objects", int),
            Column("spans", int),
            Column("arena used to", Hex),
            Column("in use", Bytes),
            Column("inside objects", Bytes),
            Column("span tails", Bytes),
            Column("unfilled", Bytes),
            Column("free pages", Bytes),
            Column("result"),
        )
        rows: list[Sequence[Value]] = []
        for run in self.runs:
            s = run.summary
            result = "ok" if run.ok else "FAILED"
            if run.death is not None:
                result += f": {run.death['throw']}"
            rows.append(
                [
                    run.platform, run.workload, s.allocations, s.live_objects, s.spans_in_use, s.heap_end,
                    s.heap_inuse, s.inside, s.tails, s.unfilled, s.heap_idle, result,
                ]
            )  # fmt: skip
        yield Table(columns, rows, keys=2)
        if len(self.runs) == 1:
            yield self._classes(self.runs[0])
        for run in self.runs:
            for v in run.violations:
                yield Prose(f"{run.platform}, {run.workload}: {v.name}: {v.message}")
            if run.death is not None and run.workload not in programs.FATAL:
                lines = [*run.death["printed"], f"fatal error: {run.death['throw']}", *run.death["after"]]
                yield Section(f"{run.platform}, {run.workload}", (Prose("\n".join(lines), verbatim=True),))
        held = sum(run.ok for run in self.runs)
        yield Prose(f"{'ok' if self.ok else 'FAILED'}: {held} of {len(self.runs)} runs held")

    def _classes(self, run: WorkloadRun) -> Block:
        columns = (
            Column("class", int),
            Column("size", Bytes),
            Column("spans", int),
            Column("objects", int),
            Column("inside objects", Bytes),
            Column("span tails", Bytes),
            Column("unfilled", Bytes),
        )
        rows = [
            [c.sizeclass or None, c.size or None, c.spans, c.objects, c.inside, c.tails, c.unfilled]
            for c in run.summary.classes
        ]
        return Table(columns, rows, title="where the memory goes, by size class (large objects first)")


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
    n: Annotated[
        Any,
        typer.Option("-n", metavar="N", help="About so many allocations; default 5000.", parser=parse_count),
    ] = None,
    seed: Annotated[
        Any, typer.Option("--seed", metavar="N", help="Of its choices; default 1.", parser=parse_count)
    ] = None,
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
    if procs is not None and not 1 <= procs <= 256:
        raise UsageFault(Fault(f"{procs} Ps", "GOMAXPROCS, which is 1 to 256"))
    names = list(workload or ["mixed"])
    if "all" in names:
        names = list(programs.WORKLOADS)
    given = settings(sets)
    release = generation(go)
    chosen = selected(platforms, profiles, go=release)
    tell_without_effect(chosen, machine)
    targets = [figures.compute(profile, given, release) for profile in chosen]
    if record is not None:
        if len(targets) * len(names) != 1:
            raise UsageFault(Fault("--record writes one run", "one platform and one workload"))
        output.check_writable(record, force)
    runs = []
    dice = 1 if seed is None else seed
    with session.progress("smoke", len(targets) * len(names)) as progress:
        for target in targets:
            for name in names:
                system = machines.system_of(target, machine)
                counted = answers.install_on(system, dice)
                rt = machines.prepare(target, machine, system, seed=dice, record=record is not None)
                runs.append(
                    running.boot_and_run(
                        rt,
                        target.platform,
                        name,
                        n=5000 if n is None else n,
                        seed=dice,
                        audit_every=audit_every or 0,
                        gogc=gogc,
                        procs=procs,
                        record=record,
                    )
                )
                for words in without_effect(counted):
                    session.note(f"{target.platform}, {name}: {words}")
                progress.update(len(runs))
    return Smoked(runs, targets)
