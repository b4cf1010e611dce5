"""`archcalc replay`: recordings of the real runtime, compared record by record."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.calculator import figures
from archcalc.cli import session
from archcalc.cli.command import one_of
from archcalc.cli.machine import ImageSize, Maps, Taken
from archcalc.cli.options import Profiles
from archcalc.host.processes import cores
from archcalc.machines import config_of
from archcalc.machines.computer import system_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.quantities import parse_count
from archcalc.reading.words import counted
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.result import INTERRUPTED, USAGE
from archcalc.results.tables import Block, Column, Prose, Section, Table, Value
from archcalc.traces.columnar import NAMES, recordings_in
from archcalc.traces.many import Progress, replay_many
from archcalc.traces.model import DIFFERENT, KINDS, NEIGHBOUR, Agreement, replay_on_model
from archcalc.traces.outcome import Replay
from archcalc.traces.reader import Header
from archcalc.traces.replay import replay

FAMILY = "replay"
SYSTEMS = ("recorded", "model")
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
    "With --os model each call of an OS helper is put to the simulated system too. Where memory comes to lie "
    "is the kernel's choice; whether it is given at all is not.",
)


UNREADABLE = Rule(
    "replay-unreadable",
    FAMILY,
    Severity.ERROR,
    "the recording can be read",
    "A recording that is cut off or damaged says nothing about the machine. The others are replayed all the "
    "same; the command ends with 2.",
)


@dataclass(frozen=True, slots=True)
class Damaged:
    """A recording that cannot be read, with what is wrong with it."""

    path: str
    faults: tuple[Fault, ...]
    interrupted: bool = False


class Replays(Judged):
    """What came of every recording; `answers` by path, where the simulated system was asked."""

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
                    f"event {d.event}: expected {d.expected}, found {d.found} ({r.mismatches} differences)"
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
        return (RULE, MODEL_RULE, UNREADABLE)

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
        held = sum(r.ok for r in self.replays)
        count = len(self.replays) + len(self.damaged)
        yield Prose(f"{'ok' if self.ok else 'FAILED'}: {held} of {count} recordings reproduced")
        for one in self.damaged:
            yield Prose(f"not read: {one.path}")
        for r in self.replays:
            if r.interrupted and r.first is None:
                yield Prose(f"interrupted: {r.path} was as recorded up to event {r.events}")
        if unordered:
            yield Prose(
                "unordered: what several threads did at once without a lock, and is written down in "
                "another order; what came of it is compared all the same"
            )
        if self.left:
            were = "was" if self.left == 1 else "were"
            yield Prose(f"interrupted: {counted(self.left, 'recording')} {were} not begun")

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


def command(
    traces: Annotated[
        list[Any],
        typer.Argument(
            metavar="TRACE...", help="Recordings, as text or in columns, or folders of them.", parser=Path
        ),
    ],
    profiles: Profiles = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Count all differences instead of stopping at the first.")
    ] = False,
    jobs: Annotated[
        Any,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            help="So many recordings at a time; default one on each core.",
            parser=parse_count,
        ),
    ] = None,
    os: Annotated[
        str,
        typer.Option(
            "--os",
            metavar="|".join(SYSTEMS),
            help="Who answers: the recording, or the simulated system.",
            parser=one_of(SYSTEMS),
        ),
    ] = "recorded",
    taken: Taken = None,
    maps: Maps = None,
    image_size: ImageSize = None,
) -> Replays:
    """Replay recordings and compare everything; exit 1 on a difference.

    The machine is fed what the runtime was asked and what its OS answered; every address, span, OS
    call, bitmap byte and last word must come out as recorded. The first difference is shown with
    the span and the records around it.

    With --os model the simulated system answers instead, on a machine as the header describes it
    (and --taken, --maps, --image-size complete it). It says which answers are as recorded, which
    differ only in an address that the kernel is free to choose, and whether the run ends alike.
    """
    if os == "model":
        machine = MachineOptions(taken=tuple(taken or ()), maps=maps, image_size=image_size)
        return _on_model([path for trace in traces for path in _files(trace)], profiles, keep_going, machine)
    if taken or maps is not None or image_size is not None:
        raise UsageFault(Fault("--taken, --maps and --image-size describe a simulated system", "--os model"))
    paths = [path for trace in traces for path in _files(trace)]
    by_name = {profile.platform: profile for profile in map(platforms.load_file, profiles or ())}
    work = partial(_replay_one, keep_going, by_name, len(paths) > 1)
    count = min(cores() if jobs is None else max(jobs, 1), len(paths))
    if count > 1:
        with session.progress(f"{len(paths)} recordings") as progress:
            found = replay_many(paths, work, count, partial(_tell, progress))
    else:
        found = []
        for path in paths:
            with session.progress(path.name) as progress:
                found.append(work(path, partial(_tell, progress)))
            if found[-1].interrupted:
                break
    replays = [one for one in found if isinstance(one, Replay)]
    damaged = [one for one in found if isinstance(one, Damaged)]
    tell_damage(damaged)
    return Replays(replays, left=len(paths) - len(found), damaged=damaged)


def tell_damage(damaged: Sequence[Damaged]) -> None:
    """Says on stderr what is wrong with recordings, as a mistake that ends a command is said."""
    for one in damaged:
        print("\n".join(map(str, one.faults)), file=sys.stderr)


def _on_model(
    paths: Sequence[Path], profiles: Sequence[Any] | None, keep_going: bool, machine: MachineOptions
) -> Replays:
    """Every recording on a simulated system."""
    own = {profile.platform: profile for profile in map(platforms.load_file, profiles or ())}
    replays, answers, damaged = [], {}, []
    for path in paths:
        try:
            with session.progress(path.name) as progress:
                result, compared = replay_on_model(
                    path,
                    lambda header: config_for(header, own),
                    lambda header: system_for(header, own, machine),
                    keep_going=keep_going,
                    progress=lambda done, total: _tell(progress, done, total),
                )
        except UsageFault as fault:
            if len(paths) == 1:
                raise
            damaged.append(Damaged(str(path), fault.faults))
            continue
        replays.append(result)
        answers[result.path] = compared
        if result.interrupted:
            break
    tell_damage(damaged)
    left = len(paths) - len(replays) - len(damaged)
    return Replays(replays, answers, left, damaged)


def system_for(header: Header, own: Mapping[str, Any], machine: MachineOptions) -> Any:
    """The simulated system of a recording's header: its page size, data segment and limit."""
    profile = own.get(header.platform) or platforms.load(header.platform)
    options = replace(
        machine,
        page_size=header.phys_page_size,
        believed_page_size=header.phys_page_size,
        data_end=header.data_end,
        ulimit_v=header.ulimit_v,
    )
    return system_of(figures.compute(profile), options)


def _tell(progress: session.Progress, done: int, total: int) -> None:
    progress.total = total
    progress.update(done)


def _replay_one(
    keep_going: bool, own: Mapping[str, Any], beside_others: bool, path: Path, progress: Progress
) -> Replay | Damaged:
    """One recording, here or in a process of its own; one that cannot be read keeps no other from it."""
    try:
        return replay(path, lambda header: config_for(header, own), keep_going=keep_going, progress=progress)
    except UsageFault as fault:
        if not beside_others:
            raise
        return Damaged(str(path), fault.faults)


def config_for(header: Header, own: Mapping[str, Any]) -> Any:
    """The machine of a recording's header: its platform, with the recorded page size and data segment."""
    options = MachineOptions(believed_page_size=header.phys_page_size, data_end=header.data_end)
    if header.version == 2:
        go = header.generation
        profile = own.get(header.platform) or platforms.load(header.platform, go)
        config = config_of(figures.compute(profile, go=go), options)
        return replace(config, phys_huge_page_size=header.phys_huge_page_size)
    profile = own.get(header.platform) or platforms.load(header.platform)
    return config_of(figures.compute(profile), options)


def _files(path: Path) -> list[Path]:
    """The path, or the recordings in a folder."""
    if path.is_dir():
        found = recordings_in(path)
        if not found:
            expected = f"{', '.join(NAMES)} files"
            raise UsageFault(Fault("has no recordings", expected, file=str(path)))
        return found
    return [path]
