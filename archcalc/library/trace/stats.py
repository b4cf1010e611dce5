"""Sizes, types, classes, lifetimes and live bytes of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from archcalc.reading.words import counted
from archcalc.results.result import Result
from archcalc.results.tables import Block, Bytes, Column, Prose, Table
from archcalc.traces import stats
from archcalc.traces.counting import Stats

SHOWN = 20  # types, to people; data formats have all


class Counted(Result):
    """The figures of one recording."""

    def __init__(self, found: Stats) -> None:
        self.found = found
        self.figures = stats.document(found)

    def document(self) -> Mapping[str, object]:
        return self.figures

    def records(self) -> Iterable[Mapping[str, object]]:
        yield self.figures

    def sheet(self) -> Table:
        return self._classes()

    def view(self) -> Iterable[Block]:
        d = self.figures
        counts = ("events", "allocations", "frees", "collections")
        sizes = ("bytes", "rounded_bytes", "freed_bytes", "live_bytes")
        columns = [Column("recording", wrap=True), Column("platform")]
        columns += [Column(key, int) for key in counts]
        columns += [Column(key.replace("_", " "), Bytes) for key in sizes]
        yield Table(columns, [[d["path"], d["platform"], *(d[key] for key in counts + sizes)]])
        yield self._classes()
        types = d["by_type"]
        yield Table(
            (Column("type"), Column("allocations", int), Column("bytes", Bytes)),
            [(t["name"] or "without a type", t["allocations"], t["bytes"]) for t in types[:SHOWN]],
            title="by type" + (f", the {SHOWN} with the most bytes of {len(types)}" * (len(types) > SHOWN)),
        )
        if d["lifetimes"]:
            yield Table(
                (
                    Column("events from", int),
                    Column("to", int),
                    Column("allocations", int),
                    Column("bytes", Bytes),
                ),
                [(t["from"], t["to"], t["allocations"], t["bytes"]) for t in d["lifetimes"]],
                title="lifetimes of what sweeps found dead",
            )
        if d["unplaced"]:
            yield Prose(f"{counted(d['unplaced'], 'allocation')} in spans that the recording does not show.")

    def _classes(self) -> Table:
        columns = (
            Column("class", int),
            Column("size", Bytes),
            Column("allocations", int),
            Column("bytes", Bytes),
            Column("rounded bytes", Bytes),
        )
        rows = [
            [c["class"] or None, c["size"] or None, c["allocations"], c["bytes"], c["rounded_bytes"]]
            for c in self.figures["by_class"]
        ]
        return Table(columns, rows, title="by size class (large objects first)")
