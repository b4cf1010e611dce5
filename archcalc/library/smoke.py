"""The outcome of workloads: whether the runtime lived, what its audit says, where the memory went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.machines.options import MachineOptions
from archcalc.questions import origins
from archcalc.reading.words import counted
from archcalc.results.findings import Case, Finding, Rule, Severity, SourceLine
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Bytes, Column, Hex, Prose, Section, Table, Value
from archcalc.workloads import programs
from archcalc.workloads.run import WorkloadRun, boot_and_run

FAMILY = "smoke"


DEATH = Rule(
    "smoke-death", FAMILY, Severity.ERROR, "the runtime survives the workload",
    "A workload that is not meant to exhaust the machine must finish.",
)  # fmt: skip


AUDIT = Rule(
    "smoke-audit", FAMILY, Severity.ERROR, "the audit of the machine is clean",
    "Every invariant of the live machine holds: spans tile the arena, lists and tables agree, counters are "
    "what a recount gives, bitmaps describe the objects, nothing is handed out twice.",
)  # fmt: skip
RULES = (DEATH, AUDIT)


class Smoked(Judged):
    """The outcome of every workload on every platform."""

    def __init__(self, runs: Sequence[WorkloadRun], targets: Sequence[Figures] = ()) -> None:
        self.runs = runs
        self.figures = {target.platform: target for target in targets}

    def _where(self, run: WorkloadRun) -> tuple[SourceLine, ...]:
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
        return RULES

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
        yield Prose(f"{'ok' if self.ok else 'FAILED'}: {held} of {counted(len(self.runs), 'run')} held")

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


def smoke(
    targets: Sequence[Figures],
    names: Sequence[str],
    machine: MachineOptions,
    *,
    n: int = 5000,
    seed: int = 1,
    audit_every: int = 0,
    gogc: int | None = None,
    procs: int | None = None,
    record: Path | None = None,
    system_of: Callable[[Figures], Any] | None = None,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> list[WorkloadRun]:
    """Boots a machine for each platform and workload, and runs it there: about n allocations.

    system_of: what makes the system that a machine is booted on, the one that `machine` describes
    where nothing is said. record: the file for the recording of the one run that there is then.
    gogc and procs None: as the workload is about. `tell` hears how many runs are done.
    """
    runs: list[WorkloadRun] = []
    for target in targets:
        for name in names:
            system = system_of(target) if system_of else machines.system_of(target, machine)
            rt = machines.prepare(target, machine, system, seed=seed, record=record is not None)
            runs.append(
                boot_and_run(
                    rt,
                    target.platform,
                    name,
                    n=n,
                    seed=seed,
                    audit_every=audit_every,
                    gogc=gogc,
                    procs=procs,
                    record=record,
                )
            )
            tell(len(runs), len(targets) * len(names))
    return runs
