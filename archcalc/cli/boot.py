"""`archcalc boot`: mallocinit in a platform's address space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import typer

from archcalc.calculator import figures
from archcalc.cli.machine import PROFILES_OWN, Described, tell_without_effect
from archcalc.cli.options import Platforms, Profiles, Sets
from archcalc.cli.targets import selected, settings
from archcalc.machines import vocabulary
from archcalc.questions import boot
from archcalc.questions import why as why_of
from archcalc.questions.boot import Boot
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.result import Judged
from archcalc.results.tables import Block, Bytes, Column, Hex, Prose, Section, Table, Value

FAMILY = "boot"

Why = Annotated[
    bool,
    typer.Option(
        "--why", help="Of a boot that fails: what refused each attempt, and the nearest machine that boots."
    ),
]

# Of every machine, whatever its own invariants.
OUTCOME = Rule(
    "boot-outcome", FAMILY, Severity.ERROR, "the machine boots",
    "mallocinit came to its end; otherwise its last words are told.",
)  # fmt: skip
RULES = (
    OUTCOME,
    *(Rule(rule.id, FAMILY, Severity.ERROR, rule.title, rule.why) for rule in vocabulary.BOOT),
)


class Booted(Judged):
    """The outcome of every boot."""

    def __init__(self, boots: Sequence[Boot], whys: Mapping[str, why_of.Why]) -> None:
        self.boots = boots
        self.whys = whys

    def cases(self) -> Iterable[Case]:
        for b in self.boots:
            if b.death is not None:
                message = f"{b.outcome}: {b.death['throw']}"
                if b.death["printed"]:
                    message += f" (printed before: {' / '.join(b.death['printed'])})"
                finding = Finding("boot-outcome", b.platform, Severity.ERROR, message, FAMILY, "mallocinit")
                yield Case("boot-outcome", b.platform, (finding,))
                continue
            yield Case("boot-outcome", b.platform, ())
            for check in b.checks:
                found: tuple[Finding, ...] = ()
                if not check.ok:
                    found = (Finding(check.id, b.platform, Severity.ERROR, check.seen, FAMILY, "mallocinit"),)
                yield Case(check.id, b.platform, found)

    def rules(self) -> Sequence[Rule]:
        return RULES

    def document(self) -> Mapping[str, object]:
        return {"ok": self.ok, "boots": [self._boot(b) for b in self.boots]}

    def _boot(self, b: Boot) -> dict[str, object]:
        document: dict[str, object] = {
            "platform": b.platform,
            "outcome": b.outcome,
            "throw": None if b.death is None else b.death["throw"],
            "printed": [] if b.death is None else b.death["printed"],
            "arena": b.arena,
            "attempts": [
                {"hint": a.hint, "size": a.size, "answer": a.answer, "reserved": a.reserved}
                for a in b.attempts
            ],
            "checks": [{"id": c.id, "ok": c.ok, "seen": c.seen} for c in b.checks],
            "set": dict(b.figures.sets),
        }
        if b.platform in self.whys:
            document["why"] = self.whys[b.platform].document()
        return document

    def view(self) -> Iterable[Section | Block]:
        columns = (
            Column("platform"),
            Column("outcome"),
            Column("tries", int),
            Column("hint", Hex),
            Column("spans", Hex),
            Column("arena begins", Hex),
            Column("arena ends", Hex),
            Column("reserved", Bytes),
            Column("checks"),
        )
        rows: list[Sequence[Value]] = []
        for b in self.boots:
            last = b.attempts[-1] if b.attempts else None
            held = sum(c.ok for c in b.checks)
            rows.append(
                [
                    b.platform,
                    b.outcome,
                    len(b.attempts),
                    Hex(last.hint) if last else None,
                    b.start_of("spans"),
                    b.start_of("arena"),
                    b.end_of("arena"),
                    last.size if last and b.runtime else None,
                    f"{held} of {len(b.checks)} held" if b.checks else "",
                ]
            )
        yield Table(columns, rows)
        for b in self.boots:
            if b.death is not None:
                lines = [*b.death["printed"], f"fatal error: {b.death['throw']}"]
                yield Section(f"{b.platform}: {b.outcome}", (Prose("\n".join(lines), verbatim=True),))
            for check in b.checks:
                if not check.ok:
                    yield Section(f"{b.platform}: {check.id}", (Prose(check.seen),))
            if b.platform in self.whys:
                lines = self.whys[b.platform].lines()
                yield Section(f"{b.platform}: why", (Prose("\n".join(lines), verbatim=True),))
        booted = sum(b.death is None for b in self.boots)
        yield Prose(f"{'ok' if self.ok else 'FAILED'}: {booted} of {len(self.boots)} booted")


def command(
    platforms: Platforms = None,
    profiles: Profiles = None,
    sets: Sets = None,
    machine: Described = PROFILES_OWN,
    why: Why = False,
) -> Booted:
    """Run mallocinit in a simulated address space.

    Tells where spans, bitmap and arena come to lie, which reservations were tried, and whether the
    invariants hold that the allocator relies on. A runtime that dies is a result: its words, and
    what it printed before. The options describe another machine than the profile's.
    """
    given = settings(sets)
    chosen = selected(platforms, profiles)
    tell_without_effect(chosen, machine)
    boots = [boot.try_boot(figures.compute(profile, given), machine) for profile in chosen]
    whys: dict[str, why_of.Why] = {}
    for b in boots if why else ():
        found = why_of.explain_failure(b.figures, machine)
        if found is not None:
            whys[b.platform] = found
    return Booted(boots, whys)
