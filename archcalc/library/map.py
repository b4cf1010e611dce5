"""Address spaces as pictures, with their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from archcalc.calculator import figures
from archcalc.machines import computer
from archcalc.machines.options import MachineOptions
from archcalc.pictures import map_svg, map_text
from archcalc.pictures.atlas import Atlas, survey
from archcalc.pictures.palette import LOOKS
from archcalc.questions import boot
from archcalc.reading.words import counted
from archcalc.results.result import Pictured
from archcalc.results.tables import Block, Bytes, Column, Drawing, Hex, Section, Table
from archcalc.workloads import run as running

COLUMNS = (
    Column("platform"),
    Column("moment"),
    Column("from", Hex, key="start"),
    Column("to", Hex, key="end"),
    Column("size", Bytes),
    Column("kind"),
    Column("what"),
)


SHOWN = 8  # attempts that a table shows; the others are counted
WORDS = {"had": "granted"}  # what people read for a state that JSON calls otherwise


class Mapped(Pictured):
    """The maps, platform by platform, each before and after where something was run."""

    def __init__(self, atlases: Sequence[Atlas]) -> None:
        self.atlases = atlases

    def document(self) -> Mapping[str, object]:
        return {"maps": [self._map(atlas) for atlas in self.atlases]}

    @staticmethod
    def _map(atlas: Atlas) -> dict[str, object]:
        return {
            "platform": atlas.platform,
            "moment": atlas.moment,
            "outcome": atlas.outcome,
            "low": atlas.low,
            "high": atlas.high,
            "regions": [
                {"start": r.start, "end": r.end, "size": r.size, "kind": r.kind, "what": r.what}
                for r in atlas.regions
            ],
            "marks": [{"address": mark.address, "what": mark.what} for mark in atlas.marks],
            "asked": [
                {
                    "hint": a.address,
                    "size": a.size,
                    "state": a.state,
                    "answer": a.answer,
                    "obstacle": a.obstacle,
                }
                for a in atlas.asked
            ],
            "mappings": [
                {"start": one.start, "end": one.end, "permissions": one.permissions, "name": one.name}
                for one in atlas.mappings
            ],
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        for atlas in self.atlases:
            for r in atlas.regions:
                yield {
                    "platform": atlas.platform, "moment": atlas.moment, "start": r.start, "end": r.end,
                    "size": r.size, "kind": r.kind, "what": r.what,
                }  # fmt: skip

    def sheet(self) -> Table:
        rows = [
            (atlas.platform, atlas.moment, r.start, r.end, r.size, r.kind, r.what)
            for atlas in self.atlases
            for r in atlas.regions
        ]
        return Table(COLUMNS, rows)

    def view(self) -> Iterator[Section | Block]:
        names = ", ".join(dict.fromkeys(atlas.platform for atlas in self.atlases))
        yield Drawing(
            lambda width, unicode, color: map_text.draw(self.atlases, width, unicode, color),
            f"Address space of {names}",
        )
        for atlas in self.atlases:
            yield Section(f"{atlas.platform}, {atlas.moment}", tuple(self._tables(atlas)))

    @staticmethod
    def _tables(atlas: Atlas) -> Iterator[Block]:
        columns = (Column(""), Column("from", Hex), Column("to", Hex), Column("size", Bytes), Column("what"))
        rows = [(LOOKS[r.kind].letter, r.start, r.end, r.size, r.what) for r in atlas.regions]
        yield Table(columns, rows, "Regions", keys=0)
        tried = [a for a in atlas.asked if a.state in ("had", "moved", "refused")]
        shown = tried if len(tried) <= SHOWN else [*tried[: SHOWN - 2], *tried[-2:]]
        counts = {
            f"{len(tried) - len(shown)} more were asked for in between": len(tried) - len(shown),
            "{hints} not tried": sum(a.state == "untried" for a in atlas.asked),
            "{hints} beyond the user's addresses": sum(a.state == "beyond" for a in atlas.asked),
        }
        columns = (
            Column("asked for", Hex),
            Column("size", Bytes),
            Column("state"),
            Column("answer", Hex),
            Column("because", wrap=True),
        )
        asked = [
            (a.address, a.size, WORDS.get(a.state, a.state), a.answer or None, a.obstacle) for a in shown
        ]
        notes = [text.format(hints=counted(count, "hint")) for text, count in counts.items() if count]
        yield Table(columns, asked, "Reservations", keys=0, notes=notes)
        if atlas.mappings:
            columns = (
                Column("from", Hex),
                Column("to", Hex),
                Column("size", Bytes),
                Column(""),
                Column("name"),
            )
            lines = [
                (one.start, one.end, one.end - one.start, one.permissions, one.name) for one in atlas.mappings
            ]
            yield Table(columns, lines, "The kernel's mappings, as in /proc/PID/maps", keys=0)

    def svg(self) -> str:
        return map_svg.draw(self.atlases)

    def html(self) -> str:
        from archcalc.html.map import page

        return page(self, self.atlases)


def atlases_of(
    found: figures.Figures, options: MachineOptions, after: str | None = None, n: int = 5000, seed: int = 1
) -> Iterator[Atlas]:
    """The machine after boot and, where a workload is named, after that."""
    machine: Any = computer.machine_of(found.profile, options)
    booted = boot.try_boot(found, options)
    words = f": {booted.death['throw']}" if booted.death else ""
    yield survey(booted, machine.low, machine.end, "after boot", booted.outcome + words)
    if after is not None and booted.runtime is not None:
        run = running.run(booted.runtime, found.platform, after, n, seed)
        outcome = f"died: {run.death['throw']}" if run.death else "alive"
        yield survey(booted, machine.low, machine.end, f"after smoke:{after}", outcome)
