"""`archcalc boot`: mallocinit in a platform's address space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import typer

from archcalc.calculator import figures
from archcalc.cli.machine import PROFILES_OWN, Described, tell_without_effect
from archcalc.cli.options import Platforms, Profiles, Sets
from archcalc.cli.targets import selected, settings
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

# Id, what must hold, and why.
INVARIANTS = (
    ("boot-outcome", "the machine boots", "mallocinit came to its end; otherwise its last words are told."),
    (
        "boot-page-rounding",
        "regions are page-aligned",
        "Spans, bitmap and arena begin at multiples of _PageSize, although sysReserve promises only the "
        "OS's alignment; mallocinit asks for a page more and rounds up.",
    ),
    (
        "boot-region-order",
        "spans, bitmap, arena lie in that order",
        "The table of spans comes first, then the heap bitmap, which is addressed backward from the "
        "arena's beginning, then the arena.",
    ),
    (
        "boot-bitmap-covers-arena",
        "the bitmap describes the whole arena",
        "Two bits a word, counted from arena_start; on 32-bit arena_start is 0 and the bitmap describes "
        "all 4 GB.",
    ),
    (
        "boot-spans-cover-arena",
        "the table of spans reaches over the arena",
        "One pointer a page, counted from arena_start.",
    ),
    (
        "boot-reservation-holds-parts",
        "the reservation holds its parts",
        "Spans, bitmap, arena and one page for rounding fit what was asked for.",
    ),
    (
        "boot-used-within-reserved",
        "arena_used lies in the reservation",
        "What the heap will use first was really answered for.",
    ),
    (
        "boot-hint-answered",
        "the hint was honoured, or its refusal noticed",
        "A reservation that is only checked must be where it was asked for.",
    ),
    (
        "boot-within-address-bits",
        "the arena fits _MHeapMap_TotalBits",
        "The single reservation must not reach further than page numbers were given bits.",
    ),
    (
        "boot-class-table",
        "memstats has the class table",
        "mallocinit copies class_to_size into memstats.by_size.",
    ),
    (
        "boot-first-mcache",
        "the first mcache is made",
        "mallocinit ends with one mcache, from cachealloc.",
    ),
)
RULES = tuple(Rule(id, FAMILY, Severity.ERROR, title, text) for id, title, text in INVARIANTS)


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
            arena = b.arena or {}
            held = sum(c.ok for c in b.checks)
            rows.append(
                [
                    b.platform,
                    b.outcome,
                    len(b.attempts),
                    Hex(last.hint) if last else None,
                    arena.get("spans_start"),
                    arena.get("arena_used"),
                    arena.get("arena_end"),
                    last.size if last and b.arena else None,
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
