"""What is known of every property on every platform."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from archcalc import proofs
from archcalc.calculator.figures import Figures
from archcalc.host import processes
from archcalc.host.repository import within_repository
from archcalc.library import boot
from archcalc.machines.options import MachineOptions
from archcalc.proofs import properties
from archcalc.questions import origins
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results.findings import Case, Finding, Severity, SourceLine
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Column, Prose, Section, Table

# What the ids of proofs mean; `explain` finds them here. Those of boot's checks are in boot.
RULES = properties.RULES

LEAST_PAGE, MOST_PAGE = 512, 1 << 30  # bytes of a kernel's page
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
        where: tuple[SourceLine, ...] = ()
        if proof.platform in self.figures:
            where = origins.of_machine(self.figures[proof.platform])
        if proof.scenario:
            help = f"archcalc run {proof.scenario}"
            file = within_repository(str(proof.scenario))
            where = (*where, SourceLine(file, 1, 1, "the counterexample, as a scenario"))
        what = proof.refutation.what
        return Finding(
            proof.id, proof.platform, Severity.ERROR, what, properties.FAMILY, help=help, places=where
        )

    def rules(self) -> Iterable[Any]:
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


Task = tuple[Figures, MachineOptions, frozenset[str]]
"""A platform, its machine, and the ids of what is to be proved of it."""


def tasks_of(targets: Sequence[Figures], machine: MachineOptions, ids: Sequence[str] | None) -> list[Task]:
    """What is to be proved: all of each platform, or what ids and globs of them name. Raises UsageFault."""
    if machine.godebug:
        name, value = machine.godebug[0]
        raise UsageFault(Fault(f"GODEBUG={name}={value}: proofs are of programs without GODEBUG"))
    if machine.gomemlimit is not None:
        raise UsageFault(Fault("--gomemlimit: proofs are of programs without a memory limit"))
    for option in ("page_size", "believed_page_size"):
        size = getattr(machine, option)
        if size is not None and (size & (size - 1) or not LEAST_PAGE <= size <= MOST_PAGE):
            name = "--" + option.replace("_", "-")
            expected = "a power of two from 512 to 1g"
            raise UsageFault(Fault(f"{name}: {size} cannot be a size of pages", expected))
    return [(one, machine, properties.chosen(ids, proofs.era_of(one).IDS)) for one in targets]


def prove(tasks: Sequence[Task], tell: Callable[[int, int], None] = lambda done, of: None) -> list[Any]:
    """The proofs of each task in order, on as many cores as there are; `tell` hears how many are done."""
    proved: list[Any] = []
    for number, found in enumerate(_each(tasks), start=1):
        proved += found
        tell(number, len(tasks))
    return proved


def _each(tasks: Sequence[Task]) -> Iterable[list[Any]]:
    jobs = min(processes.cores(), len(tasks))
    if jobs < 2:
        yield from (proofs.prove(*task) for task in tasks)
        return
    with processes.pool(jobs) as pool:
        yield from pool.map(proofs.prove, *zip(*tasks, strict=True))
