"""The table of a sweep as a file: Parquet, CSV or JSON, by its name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from archcalc.host import output
from archcalc.host.extras import needed
from archcalc.machines import vocabulary
from archcalc.reading.errors import Fault, UsageFault
from archcalc.sweeps.point import Row

SUFFIXES = (".parquet", ".csv", ".json")

# What the columns hold, * stands for names; those that result from the run are in bytes, except counts.
COLUMNS = {
    "point": "the point's number, from 0: the grid's first, the last of its keys changing fastest",
    "platform": "goos/goarch",
    "profile": "the profile's name, which is the platform's unless it is one of your own",
    "go": "the release of Go, where the sweep or `--go` names one",
    "set.*": "what a constant was set to",
    "machine.*": "an option of the machine; `taken` as given, `maps` as the file's name",
    "classes": "the rule for size classes",
    "workload": "what drove the machine; `histogram` or `recording` where a file of sizes or a program did",
    "histogram": "the file of sizes",
    "recording": "the file of the recorded program; only where a point has one",
    "n": "about so many allocations of a workload; exactly so many of a histogram or recording",
    "seed": "of the workload's choices",
    "gogc": "GOGC, -1 off",
    "procs": "GOMAXPROCS",
    "outcome": "`ok`; `died`: the runtime did; `refused`: no such machine; `broken`: an invariant fails",
    "why": "the last words, or the reason, where it is not `ok`",
    "figure.*": "a constant that `figures` asks for",
    "page_size": "bytes of a page of the heap, `_PageSize`",
    "size_classes": "number of size classes, with class 0 for large objects",
    "allocations": "allocations that were carried out",
    "asked": "bytes that they asked for",
    "collections": "collections that were carried out",
    "live_objects": "objects in spans; a block of tiny ones is one; dead ones count until they are swept",
    "live_asked": "bytes asked for by what the workload keeps",
    "spans_in_use": "spans with objects",
    "spans_free": "runs of free pages",
    **vocabulary.HEAP_ENDS,
    "heap_sys": "memory of the heap, as memstats.heap_sys",
    "heap_inuse": "in spans with objects, as memstats.heap_inuse",
    "heap_idle": "in free spans",
    "heap_released": "of these given back to the OS",
    "inside": "lost inside objects of 16 bytes and more, which are rounded up to their class",
    "tails": "lost after the last object of spans",
    "unfilled": "room for further objects in spans",
    "rest": "the rest: blocks of tiny objects, what is dead and not swept, the runtime's own",
    "waste": "`heap_inuse` less `live_asked`: the sum of the four above",
    "waste_share": "`waste` as a part of `heap_inuse`",
}


def check(path: Path) -> None:
    """Refuses early what `write` would refuse after the work. Raises UsageFault."""
    if path.suffix not in SUFFIXES:
        raise UsageFault(
            Fault(
                f"a table called {path.name!r}", f"a name that ends in {', '.join(SUFFIXES)}", file=str(path)
            )
        )
    if path.suffix == ".parquet":
        needed("pyarrow.parquet", "a table in Parquet")


def columns(rows: Sequence[Row]) -> list[str]:
    """All columns, in the order in which rows bring them: what was asked for, then the results."""
    found = dict.fromkeys(name for row in rows for name in row)
    # Settings of later rows are beside those of the first.
    asked = [name for name in found if name.startswith(("set.", "machine."))]
    first = [name for name in ("point", "platform", "profile", "go") if name in found]
    return [*first, *asked, *(name for name in found if name not in asked and name not in first)]


def write(path: Path, name: str, rows: Sequence[Row], force: bool) -> None:
    """Writes the rows, whole or not at all."""
    names = columns(rows)
    full = [{column: row.get(column) for column in names} for row in rows]
    if path.suffix == ".parquet":
        _write_parquet(path, name, names, full, force)
        return
    if path.suffix == ".json":
        text = json.dumps({"sweep": name, "rows": full}, indent=1) + "\n"
    else:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(row[column]) for column in names] for row in full)
        text = out.getvalue()
    output.write(path, [text], force)


def _cell(value: object) -> object:
    return "true" if value is True else "false" if value is False else value


def _write_parquet(path: Path, name: str, names: Sequence[str], rows: Sequence[Row], force: bool) -> None:
    pa = needed("pyarrow", "a table in Parquet")
    pq = needed("pyarrow.parquet", "a table in Parquet")
    arrays = []
    for column in names:
        values = [row[column] for row in rows]
        kinds = {type(value) for value in values if value is not None}
        if kinds == {int}:
            wide = any(value is not None and int(value) >= 1 << 63 for value in values)
            arrays.append(pa.array(values, pa.uint64() if wide else pa.int64()))
        elif len(kinds) <= 1:
            arrays.append(pa.array(values) if kinds else pa.array(values, pa.string()))
        else:
            # An expression beside numbers: text is what they have in common.
            arrays.append(pa.array([None if value is None else str(value) for value in values], pa.string()))
    table = pa.table(arrays, names=list(names)).replace_schema_metadata({"archsweep": name})
    with output.replacing(path, force) as file:
        pq.write_table(table, file, compression="zstd")
