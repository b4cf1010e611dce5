"""The outcome of replaying recordings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archcalc.reading.errors import Fault
from archcalc.reading.words import counted
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.result import INTERRUPTED, USAGE
from archcalc.results.tables import Block, Column, Prose, Section, Table, Value
from archcalc.traces.answers import DIFFERENT, KINDS, NEIGHBOUR, Agreement
from archcalc.traces.outcome import Replay

FAMILY = "replay"


RULE = Rule(
    "replay-difference",
    FAMILY,
    Severity.ERROR,
    "the recording is reproduced",
    "Every answer, every event of the allocator's own and the end state of a recording must come out of "
    "the simulated machine. The first difference is the one to understand; later ones may follow from it.",
)


MODEL_RULE = Rule(
    "replay-answer",
    FAMILY,
    Severity.ERROR,
    "the simulated system answers as the recorded one",
    "With --os model the simulated system answers each call of an OS helper, too. Where memory lies "
    "is the kernel's choice; whether it is granted at all is not.",
)


UNREADABLE = Rule(
    "replay-unreadable",
    FAMILY,
    Severity.ERROR,
    "the recording can be read",
    "A recording that is cut off or damaged says nothing about the machine. The others are replayed all the "
    "same; the command ends with 2.",
)

RULES = (RULE, MODEL_RULE, UNREADABLE)


@dataclass(frozen=True, slots=True)
class Damaged:
    """A recording that cannot be read, with what is wrong with it."""

    path: str
    faults: tuple[Fault, ...]
    interrupted: bool = False


class Replays(Judged):
    """The outcome of every replay; `answers` by path, where the simulated system was asked."""

    def __init__(
        self,
        replays: Sequence[Replay],
        answers: Mapping[str, Agreement] | None = None,
        left: int = 0,
        damaged: Sequence[Damaged] = (),
    ) -> None:
        self.damaged = damaged
        self.replays = replays
        self.answers = answers or {}
        self.left = left  # recordings that an interrupt kept from beginning

    def cases(self) -> Iterable[Case]:
        for r in self.replays:
            found: tuple[Finding, ...] = ()
            if r.first is not None:
                d = r.first
                message = (
                    f"event {d.event}: expected {d.expected}, found {d.found} "
                    f"({counted(r.mismatches, 'difference')})"
                )
                found = (
                    Finding(
                        RULE.id, r.platform, Severity.ERROR, message, FAMILY, d.record, r.path, d.line, 1
                    ),
                )
            yield Case(RULE.id, r.path, found)
            if r.path in self.answers:
                calls = self.answers[r.path].first.get(DIFFERENT, [])
                yield Case(
                    MODEL_RULE.id,
                    r.path,
                    tuple(
                        Finding(
                            MODEL_RULE.id, r.platform, Severity.ERROR, str(call), FAMILY, call.call, r.path
                        )
                        for call in calls
                    ),
                )

        for one in self.damaged:
            yield Case(
                UNREADABLE.id,
                one.path,
                tuple(
                    Finding(
                        UNREADABLE.id, "", Severity.ERROR, fault.message, FAMILY, fault.id, one.path,
                        fault.line or None, fault.column or None,
                    )
                    for fault in one.faults
                ),
            )  # fmt: skip

    def rules(self) -> Sequence[Rule]:
        return RULES

    @property
    def ok(self) -> bool:
        held = all(r.ok for r in self.replays) and all(answers.ok for answers in self.answers.values())
        return held and not self.left and not self.damaged

    @property
    def exit_code(self) -> int:
        interrupted = self.left or any(r.interrupted for r in self.replays)
        if interrupted:
            return INTERRUPTED
        return USAGE if self.damaged else super().exit_code

    def document(self) -> Mapping[str, object]:
        return {
            "ok": self.ok,
            "traces": [
                {
                    "path": r.path,
                    "platform": r.platform,
                    "events": r.events,
                    "mismatches": r.mismatches,
                    "first_mismatch": None if r.first is None else r.first.to_dict(),
                    "by_record": dict(sorted(r.by_record.items())),
                    "death": r.death,
                    "reported": {k: {"recorded": a, "computed": b} for k, (a, b) in r.reported.items()},
                    "memstats": r.memstats,
                    **({"checked": r.checked} if r.checked is not None else {}),
                    "unordered": r.unordered,
                    "interrupted": r.interrupted,
                    "seconds": round(r.seconds, 6),
                    **({"answers": self.answers[r.path].document()} if r.path in self.answers else {}),
                }
                for r in self.replays
            ],
            "unreadable": [
                {"path": one.path, "faults": [fault.message for fault in one.faults]} for one in self.damaged
            ],
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        return self.document()["traces"]  # type: ignore[return-value]  # made just above

    def view(self) -> Iterable[Section | Block]:
        unordered = any(r.unordered for r in self.replays)
        columns = (
            Column("recording", wrap=True),
            Column("platform"),
            Column("events", int),
            Column("differences", int),
            *([Column("unordered", int)] if unordered else []),
            Column("seconds", float),
            Column("ended", wrap=True),
        )
        rows: list[Sequence[Value]] = [
            [
                Path(r.path).name,
                r.platform,
                r.events,
                r.mismatches,
                *([r.unordered] if unordered else []),
                round(r.seconds, 2),
                "interrupted" if r.interrupted else _ended(r.death),
            ]
            for r in self.replays
        ]
        yield Table(columns, rows)
        for r in self.replays:
            if r.first is not None:
                yield Section(f"{r.path}: the first difference", tuple(self._first(r)))
        if self.answers:
            yield self._answers()
        if any(r.checked for r in self.replays):
            yield self._checked()
        held = sum(r.ok for r in self.replays)
        count = len(self.replays) + len(self.damaged)
        yield Prose(f"{'ok' if self.ok else 'FAILED'}: {held} of {counted(count, 'recording')} reproduced")
        for one in self.damaged:
            yield Prose(f"not read: {one.path}")
        for r in self.replays:
            if r.interrupted and r.first is None:
                yield Prose(f"interrupted: {r.path} agreed with its recording up to event {r.events}")
        if unordered:
            yield Prose(
                "unordered: what several threads did at once without a lock, and is written down in "
                "another order; the outcome is compared all the same"
            )
        if self.left:
            were = "was" if self.left == 1 else "were"
            yield Prose(f"interrupted: {counted(self.left, 'recording')} {were} not begun")

    def _checked(self) -> Section:
        """What could be checked of execution traces, and what not."""
        verdicts = ("right", "wrong", "not decidable")
        columns = (Column("recording", wrap=True), Column("what"), *(Column(name, int) for name in verdicts))
        rows: list[Sequence[Value]] = [
            [Path(r.path).name, what, *(counts.get(name, 0) for name in verdicts)]
            for r in self.replays
            for what, counts in (r.checked or {}).items()
        ]
        return Section("Checked of execution traces", (Table(columns, rows),))

    def _answers(self) -> Section:
        """How the simulated system's answers compare."""
        columns = (Column("recording", wrap=True), *(Column(kind, int) for kind in KINDS))
        rows: list[Sequence[Value]] = [
            [Path(r.path).name, *(self.answers[r.path].counts[kind] for kind in KINDS)]
            for r in self.replays
            if r.path in self.answers
        ]
        lines = [
            f"{kind}: {call}"
            for answers in self.answers.values()
            for kind in (NEIGHBOUR, DIFFERENT)
            for call in answers.first.get(kind, ())
        ]
        told = (Prose("\n".join(lines), verbatim=True),) if lines else ()
        return Section("Answers of the simulated system", (Table(columns, rows), *told))

    def _first(self, r: Replay) -> Iterable[Block]:
        d = r.first
        assert d is not None
        lines = [
            f"at event {d.event} (line {d.line}), a record {d.record}",
            f"expected {d.expected}",
            f"found    {d.found}",
        ]
        if d.span:
            lines.append("span     " + ", ".join(f"{k} {_value(k, v)}" for k, v in d.span.items()))
        if d.arena:
            lines.append("arena    " + ", ".join(f"{k} {_value(k, v)}" for k, v in d.arena.items()))
        yield Prose("\n".join(lines), verbatim=True)
        if d.around:
            yield Prose(
                "\n".join(("the records before it:", *(f"  {line}" for line in d.around))), verbatim=True
            )
        if len(r.by_record) > 1 or r.mismatches > 1:
            counts = ", ".join(f"{kind} {n}" for kind, n in r.by_record.most_common())
            yield Prose(f"differences by record: {counts}")


def _ended(death: Mapping[str, Any] | None) -> str:
    if not death:
        return "alive"
    if "throw" in death:
        return f"died: {death['throw']}"
    return f"died: signal {death['signal']}" if "signal" in death else "died: panic"


def _value(key: str, value: Any) -> str:
    if key in ("base", "limit", "self") or key.startswith(("arena", "bitmap")):
        return f"{value:#x}"
    return str(value)
