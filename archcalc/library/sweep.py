"""The outcome of a sweep: a table of figures, point by point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from archcalc.machines.computer import without_effect
from archcalc.reading.words import counted
from archcalc.results.result import INTERRUPTED, OK, Result
from archcalc.results.tables import Block, Bytes, Column, Prose, Table
from archcalc.sweeps import table
from archcalc.sweeps.journal import journal_of
from archcalc.sweeps.load import Sweep
from archcalc.sweeps.point import FINE, Row

SHOWN = 20  # rows, to people; the file has all
# What people see of a row beside what makes it differ from the others.
TOLD = ("outcome", "size_classes", "heap_inuse", "inside", "tails", "unfilled", "rest", "waste_share")


class Swept(Result):
    """The outcome of a sweep; if interrupted, the rows so far."""

    def __init__(self, sweep: Sweep, target: Path, rows: Sequence[Row], interrupted: bool = False) -> None:
        self.sweep = sweep
        self.target = target
        self.rows = rows
        self.interrupted = interrupted

    @property
    def exit_code(self) -> int:
        return INTERRUPTED if self.interrupted else OK

    def document(self) -> Mapping[str, object]:
        outcomes: dict[str, int] = {}
        for row in self.rows:
            outcomes[str(row["outcome"])] = outcomes.get(str(row["outcome"]), 0) + 1
        return {
            "sweep": self.sweep.name,
            "output": str(self.target),
            "points": len(self.sweep.points),
            "done": len(self.rows),
            "interrupted": self.interrupted,
            "outcomes": outcomes,
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        return self.rows

    def sheet(self) -> Table:
        names = table.columns(self.rows)
        return Table(
            [Column(name, key=name) for name in names], [[r.get(n) for n in names] for r in self.rows]
        )

    def view(self) -> Iterable[Block]:
        if self.interrupted:
            yield Prose(
                f"interrupted: {len(self.rows)} of {counted(len(self.sweep.points), 'point')} are "
                f"done and kept in "
                f"{journal_of(self.target)}; the same command goes on from there"
            )
            return
        yield self._best()
        others = [row for row in self.rows if row["outcome"] != FINE]
        if others:
            lines = [f"point {row['point']} {row['outcome']}: {row['why']}" for row in others[:SHOWN]]
            if len(others) > SHOWN:
                lines.append(f"and {len(others) - SHOWN} more")
            yield Prose("\n".join(lines), verbatim=True)
        yield Prose(f"{len(self.rows)} rows in {self.target}")

    def _best(self) -> Table:
        """The rows that waste least first, as far as they are shown."""
        good = [row for row in self.rows if row["outcome"] == FINE]
        others = [row for row in self.rows if row["outcome"] != FINE]
        good.sort(key=lambda row: (row.get("waste_share") or 0.0, row["point"] or 0))
        asked = [name for name in table.columns(self.rows) if name not in ("point", *TOLD)]
        asked = [name for name in asked if len({row.get(name) for row in self.rows}) > 1 and _is_asked(name)]
        kinds: dict[str, type] = {"outcome": str, "size_classes": int, "waste_share": str}
        told = [name for name in TOLD if name != "outcome" or others]
        columns = [Column("point", int), *(Column(name, key=name) for name in asked)]
        columns += [Column(name.replace("_", " "), kinds.get(name, Bytes), name) for name in told]
        shown = (good + others)[:SHOWN]
        rows = [[row.get(column.name) for column in columns] for row in shown]
        title = "the least waste first" + (f", {SHOWN} of {len(self.rows)}" * (len(self.rows) > SHOWN))
        return Table(columns, rows, title=title)


def without_effect_in(sweep: Sweep) -> list[str]:
    """Which limits of the sweep's machines mean nothing to which of its platforms' systems."""
    deaf: dict[str, dict[str, None]] = {}
    for point in {(point.profile.goos, point.machine): point for point in sweep.points}.values():
        goos = point.profile.goos
        for name in without_effect(goos, point.options(), int(point.profile.facts["ptr_size"])):
            deaf.setdefault(name, {})[goos] = None
    return [f"machine.{name} changes nothing on {', '.join(systems)}" for name, systems in deaf.items()]


def _is_asked(name: str) -> bool:
    return name.startswith(("set.", "machine.")) or name in (
        "platform", "profile", "go", "classes", "workload", "histogram", "n", "seed", "gogc", "procs",
    )  # fmt: skip
