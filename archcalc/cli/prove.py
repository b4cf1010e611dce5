"""`archcalc prove`: what holds for every answer that a system can give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from archcalc import proofs
from archcalc.calculator import figures as calculator
from archcalc.calculator.figures import Figures
from archcalc.cli import session
from archcalc.cli.judging import Baseline, FailOn, WriteBaseline, judge
from archcalc.cli.machine import PROFILES_OWN, Described
from archcalc.cli.options import Go, Platforms, Profiles, Sets
from archcalc.cli.targets import generation, selected, settings
from archcalc.host import output, processes
from archcalc.host.repository import within_repository
from archcalc.proofs import properties
from archcalc.questions import origins
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results.findings import Case, Finding, Place, Severity
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Column, Prose, Section, Table

# What the ids of proofs mean; `explain` finds them here. Those of boot's checks stand with boot.
RULES = properties.RULES


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

WORDS = {True: "proved", False: "does not hold", None: "not decided"}


class Proved(Judged):
    """What is known of every property on every platform."""

    def __init__(
        self,
        proved: Sequence[Any],
        release: str,
        sets: Mapping[str, int | str],
        figures: Mapping[str, Figures] = MappingProxyType({}),
    ) -> None:
        self.proved = proved
        self.figures = figures
        self.release = release
        self.sets = sets

    def cases(self) -> Iterable[Case]:
        for proof in self.proved:
            found: tuple[Finding, ...] = ()
            skipped = ""
            if proof.holds is False:
                found = (self._finding(proof),)
            elif proof.holds is None:
                skipped = proof.reason
            yield Case(proof.id, proof.platform, found, skipped, proof.seconds)

    def _finding(self, proof: Any) -> Finding:
        help = ""
        where: tuple[Place, ...] = ()
        if proof.platform in self.figures:
            where = origins.of_machine(self.figures[proof.platform])
        if proof.scenario:
            help = f"archcalc run {proof.scenario}"
            file = within_repository(str(proof.scenario))
            where = (*where, Place(file, 1, 1, "the counterexample, as a scenario"))
        what = proof.refutation.what
        return Finding(
            proof.id, proof.platform, Severity.ERROR, what, properties.FAMILY, help=help, places=where
        )

    def rules(self) -> Iterable[Any]:
        from archcalc.cli import boot

        ids = {proof.id for proof in self.proved}
        return [rule for rule in (*RULES, *boot.RULES) if rule.id in ids]

    def document(self) -> Mapping[str, object]:
        return {
            "ok": self.ok,
            "generation": self.release,
            "set": dict(self.sets),
            "proofs": [
                {
                    "id": proof.id,
                    "platform": proof.platform,
                    "holds": proof.holds,
                    "reason": proof.reason or None,
                    "counterexample": proof.counterexample(),
                    "scenario": str(proof.scenario) if proof.scenario else None,
                    "paths": proof.paths,
                    "seconds": round(proof.seconds, 3),
                }
                for proof in self.proved
            ],
        }

    def sheet(self) -> Table:
        columns = (Column("platform"), Column("id"), Column("result"), Column("what", wrap=True))
        return Table(columns, [(p.platform, p.id, WORDS[p.holds], what(p)) for p in self.proved])

    def view(self) -> Iterable[Section | Block]:
        groups: dict[tuple[str, str], list[str]] = {}
        for proof in self.proved:
            if proof.holds is not True:
                groups.setdefault((proof.id, f"{WORDS[proof.holds]}: {what(proof)}"), []).append(
                    proof.platform
                )
        titles = {rule.id: rule.title for rule in self.rules()}
        for id in dict.fromkeys(id for id, _ in groups):
            rows = [(", ".join(names), words) for (of, words), names in groups.items() if of == id]
            table = Table((Column("platform", wrap=True), Column("what", wrap=True)), rows)
            yield Section(f"{id}; should hold: {titles.get(id, '')}", (table,))
        number = {holds: sum(proof.holds is holds for proof in self.proved) for holds in WORDS}
        platforms = len({proof.platform for proof in self.proved})
        yield Prose(
            f"{'ok' if self.ok else 'FAILED'}: {number[True]} proved, {number[False]} do not hold, "
            f"{number[None]} not decided, on {counted(platforms, 'platform')}"
        )


def what(proof: Any) -> str:
    """What there is to say of a proof beside its result."""
    return proof.refutation.what if proof.holds is False else str(proof.reason)


def all_of(tasks: Sequence[tuple[Any, ...]]) -> Iterable[list[Any]]:
    """The proofs of each task in order, on as many cores as there are."""
    jobs = min(processes.cores(), len(tasks))
    if jobs < 2:
        yield from (proofs.prove(*task) for task in tasks)
        return
    with processes.pool(jobs) as pool:
        yield from pool.map(proofs.prove, *zip(*tasks, strict=True))


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
    given, release = settings(sets), generation(go)
    named = selected(platforms, profiles, go=release)
    chosen = [calculator.compute(profile, given, release) for profile in named]
    tasks = [
        (figures, machine, properties.chosen(property, proofs.era_of(figures).IDS)) for figures in chosen
    ]
    if scenarios is not None:
        make_folder(scenarios)
    proved: list[Any] = []
    with session.progress("prove", len(tasks)) as progress:
        for found in all_of(tasks):
            proved += found
            progress.update(len({proof.platform for proof in proved}))
    for proof in proved:
        if scenarios is not None and proof.text:
            proof.scenario = scenarios / f"{proof.id}-{proof.platform.replace('/', '-')}.yaml"
            output.write(proof.scenario, [proof.text], force=True)
    result = Proved(proved, release, given, {one.platform: one for one in chosen})
    return judge(result, baseline, write_baseline, fail_on)
