"""How runtimes boot: the outcome of each, and a comparison with what real programs asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archcalc.calculator.figures import Figures
from archcalc.machines import machine_class, vocabulary
from archcalc.machines.computer import LIMITS
from archcalc.machines.options import MachineOptions
from archcalc.questions import origins
from archcalc.questions.boot import Boot, try_boot
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Bytes, Column, Hex, Prose, Section, Table, Value

if TYPE_CHECKING:
    from archcalc.questions.calls import ComparedCalls
    from archcalc.questions.room import HeapRoom
    from archcalc.questions.stops import Stops
    from archcalc.questions.why import Why


FAMILY = "boot"


# For every machine, whatever its own invariants.
OUTCOME = Rule(
    "boot-outcome", FAMILY, Severity.ERROR, "the machine boots",
    "mallocinit runs to its end. If it does not, the message has its last words.",
)  # fmt: skip


CALLS = Rule(
    "boot-calls", FAMILY, Severity.ERROR, "the machine asks for what a real program asked for",
    "The machine makes every call of mmap and its kin in the recorded order, given the program's answers.",
)  # fmt: skip


RULES = (
    OUTCOME,
    CALLS,
    *(Rule(rule.id, FAMILY, Severity.ERROR, rule.title, rule.why) for rule in vocabulary.BOOT),
)


class Answered(Judged):
    """What machines asked for, compared with what real programs asked for."""

    def __init__(self, compared: Sequence[ComparedCalls]) -> None:
        self.compared = compared

    def cases(self) -> Iterable[Case]:
        for one in self.compared:
            found: tuple[Finding, ...] = ()
            if one.differences:
                calls = counted(len(one.program.calls), "call")
                message = f"{one.differences} of {calls} differ: {_difference(one)}"
                found = (Finding(CALLS.id, one.platform, Severity.ERROR, message, FAMILY, one.program.file),)
            yield Case(CALLS.id, f"{one.platform} ({one.program.file})", found)

    def rules(self) -> Sequence[Rule]:
        return (CALLS,)

    def document(self) -> Mapping[str, object]:
        labels = " ".join(dict.fromkeys(f"go{one.generation}" for one in self.compared))
        return {"ok": self.ok, "generation": labels, "boots": [self._boot(one) for one in self.compared]}

    def _boot(self, one: ComparedCalls) -> dict[str, object]:
        first = one.first
        return {
            "platform": one.platform,
            "generation": f"go{one.generation}",
            "file": one.program.file,
            "outcome": "booted" if one.death is None else "throw",
            "throw": one.death,
            "printed": list(one.printed),
            "arena": None,
            "heap": dict(one.landmarks),
            "attempts": [
                {"hint": a.hint, "size": a.size, "answer": a.answer, "reserved": a.reserved}
                for a in one.attempts
            ],
            "checks": [],
            "calls": [call.row() for call in one.made],
            "recorded": len(one.program.calls) + one.others,
            "others": one.others,
            "by_program": one.by_program,
            "differences": one.differences,
            "first_difference": None
            if first is None
            else {
                "call": first.place,
                "recorded": None if first.recorded is None else first.recorded.row(),
                "asked": None if first.asked is None else first.asked.row()[:-1],
            },
        }

    def view(self) -> Iterable[Section | Block]:
        columns = (
            Column("file"),
            Column("go"),
            Column("platform"),
            Column("calls", int),
            Column("compared", int),
            Column("differences", int),
        )
        yield Table(
            columns,
            [
                [
                    Path(one.program.file).name,
                    one.generation,
                    one.platform,
                    len(one.program.calls) + one.others,
                    len(one.made),
                    one.differences,
                ]
                for one in self.compared
            ],
        )
        for one in self.compared:
            for line in _not_compared(one):
                yield Prose(f"{Path(one.program.file).name}: {line}")
            if one.differences:
                yield Section(Path(one.program.file).name, (Prose(_difference(one), verbatim=True),))
        same = sum(not one.differences for one in self.compared)
        yield Prose(f"{'ok' if self.ok else 'FAILED'}: {same} of {len(self.compared)} as recorded")


def _not_compared(one: ComparedCalls) -> Iterable[str]:
    """Which calls are not those of the runtime, or not of its own accord."""
    if one.others:
        verb = "is" if one.others == 1 else "are"
        yield (
            f"{counted(one.others, 'call')} of a dynamic loader or a C library {verb} not the runtime's, "
            "and not compared"
        )
    if one.by_program:
        verb = "follows" if one.by_program == 1 else "follow"
        yield (
            f"{counted(one.by_program, 'call')} after the start {verb} from what the program allocates: "
            "how much it does is taken as given, what follows is compared"
        )


def _difference(one: ComparedCalls) -> str:
    """The first difference in a line."""
    first = one.first
    if first is None:
        return ""
    recorded = "nothing" if first.recorded is None else _row(first.recorded.row())
    asked = "nothing more" if first.asked is None else _row(first.asked.row()[:-1])
    found = f"call {first.place + 1}: recorded {recorded}; asked for {asked}"
    if one.collecting:
        found += (
            "; a program with GOGC below 100 or with GOMEMLIMIT asks for what is recorded, "
            "and `environment` of the file can say so"
        )
    return found


def _row(row: Sequence[str | int]) -> str:
    return f"{row[0]}({', '.join(str(value) for value in row[1:])})"


class Booted(Judged):
    """The outcome of every boot."""

    def __init__(
        self,
        boots: Sequence[Boot],
        whys: Mapping[str, Why],
        rooms: Mapping[str, HeapRoom] | None = None,
        stops: Mapping[str, Stops] | None = None,
    ) -> None:
        self.boots = boots
        self.whys = whys
        self.rooms = rooms or {}
        self.stops = stops or {}

    def cases(self) -> Iterable[Case]:
        for b in self.boots:
            if b.death is not None:
                message = f"{b.outcome}: {b.death['throw']}"
                if b.death["printed"]:
                    message += f" (printed before: {' / '.join(b.death['printed'])})"
                finding = self._finding("boot-outcome", b, message)
                yield Case("boot-outcome", b.platform, (finding,))
                continue
            yield Case("boot-outcome", b.platform, ())
            for check in b.checks:
                found: tuple[Finding, ...] = ()
                if not check.ok:
                    found = (self._finding(check.id, b, check.seen),)
                yield Case(check.id, b.platform, found)

    def _finding(self, id: str, b: Boot, message: str) -> Finding:
        where = origins.of_machine(b.figures)
        return Finding(id, b.platform, Severity.ERROR, message, FAMILY, "mallocinit", places=where)

    def rules(self) -> Sequence[Rule]:
        return RULES

    @property
    def shown(self) -> Sequence[tuple[str, str]]:
        """The landmarks that the table shows, as the machines name them."""
        return machine_class(self.boots[0].figures.generation).BOOT_COLUMNS if self.boots else ()

    def document(self) -> Mapping[str, object]:
        boots = [self._boot(b) for b in self.boots]
        return {"ok": self.ok, **self.about_baseline(), "boots": boots}

    def _boot(self, b: Boot) -> dict[str, object]:
        document: dict[str, object] = {
            "platform": b.platform,
            "outcome": b.outcome,
            "throw": None if b.death is None else b.death["throw"],
            "printed": [] if b.death is None else b.death["printed"],
            "after": [] if b.death is None else b.death["after"],
            "arena": None,
            machine_class(b.figures.generation).LANDMARKS: b.arena,
            "attempts": [
                {"hint": a.hint, "size": a.size, "answer": a.answer, "reserved": a.reserved}
                for a in b.attempts
            ],
            "checks": [{"id": c.id, "ok": c.ok, "seen": c.seen} for c in b.checks],
            "set": dict(b.figures.sets),
            "beyond": b.beyond or None,
        }
        if b.calls is not None:
            document["calls"] = b.calls
        if b.platform in self.rooms:
            document["room"] = self.rooms[b.platform].document()
        if b.platform in self.whys:
            document["why"] = self.whys[b.platform].document()
        if b.platform in self.stops:
            document["stops"] = self.stops[b.platform].document()
        return document

    def view(self) -> Iterable[Section | Block]:
        columns = (
            Column("platform"),
            Column("outcome"),
            Column("tries", int),
            Column("hint", Hex),
            *(Column(title, Hex) for title, _ in self.shown),
            Column("reserved", Bytes),
            Column("checks"),
        )
        rows: list[Sequence[Value]] = []
        for b in self.boots:
            last = b.attempts[-1] if b.attempts else None
            held = sum(c.ok for c in b.checks)
            landmarks = b.arena or {}
            rows.append(
                [
                    b.platform,
                    b.outcome,
                    len(b.attempts),
                    Hex(last.hint) if last else None,
                    *(landmarks.get(name) for _, name in self.shown),
                    last.size if last and b.runtime else None,
                    f"{held} of {len(b.checks)} held" if b.checks else "",
                ]
            )
        yield Table(columns, rows)
        for b in self.boots:
            if b.death is not None:
                lines = [*b.death["printed"], f"fatal error: {b.death['throw']}", *b.death["after"]]
                yield Section(f"{b.platform}: {b.outcome}", (Prose("\n".join(lines), verbatim=True),))
            if b.limits:
                yield Prose(f"{b.platform}: {b.limits}")
            for check in b.checks:
                if not check.ok:
                    yield Section(f"{b.platform}: {check.id}", (Prose(check.seen),))
            if b.platform in self.rooms:
                for line in str(self.rooms[b.platform]).splitlines():
                    yield Prose(f"{b.platform}: {line}")
            if b.platform in self.stops:
                lines = self.stops[b.platform].lines()
                yield Section(f"{b.platform}: what would stop it", (Prose("\n".join(lines), verbatim=True),))
            if b.platform in self.whys:
                lines = self.whys[b.platform].lines()
                yield Section(f"{b.platform}: why", (Prose("\n".join(lines), verbatim=True),))
        booted = sum(b.death is None for b in self.boots)
        parts = [f"{booted} of {len(self.boots)} booted", *self.told_of_baseline()]
        yield Prose(f"{'ok' if self.ok else 'FAILED'}: {', '.join(parts)}")


def boot(targets: Sequence[Figures], machine: MachineOptions, why: bool = False) -> Booted:
    """Boots each; `why` looks for what refused where one fails and which
    machine boots, and for what would stop one that boots.

    A machine that is limited, or that is asked why, tells how much heap fits into it, too.
    """
    boots = [try_boot(figures, machine) for figures in targets]
    whys, stops = _reasons(boots, machine) if why else ({}, {})
    rooms: dict[str, HeapRoom] = {}
    if why or any(getattr(machine, name) is not None for name in LIMITS):
        from archcalc.questions.room import room

        rooms = {b.platform: room(b.figures, machine) for b in boots if b.death is None}
    return Booted(boots, whys, rooms, stops)


def _reasons(boots: Sequence[Boot], machine: MachineOptions) -> tuple[dict[str, Why], dict[str, Stops]]:
    """Why each that does not boot does not, and what would stop each that does."""
    from archcalc.questions.stops import what_stops
    from archcalc.questions.why import explain_failure

    whys, stops = {}, {}
    for b in boots:
        found = explain_failure(b.figures, machine)
        if found is not None:
            whys[b.platform] = found
        else:
            stops[b.platform] = what_stops(b.figures, machine)
    return whys, stops


def answered(
    platforms: Sequence[str] | None, files: Sequence[Path], go: str | None, machine: MachineOptions
) -> Answered:
    """Each file's program against the machine of its platform, and of its release where none is named."""
    from archcalc.questions.calls import compare
    from archcalc.reading import callsfile

    wanted = {name for name in platforms or () if "*" not in name and name != "all"}
    only = next(iter(wanted)) if len(wanted) == 1 else None
    programs = [callsfile.load(file, only, go) for file in files]
    for program in programs:
        if wanted and program.platform not in wanted:
            found = f"the calls are those of a program for {program.platform}"
            raise UsageFault(Fault(found, f"one of {', '.join(sorted(wanted))}", file=program.file))
    return Answered([compare(program, go, machine) for program in programs])
