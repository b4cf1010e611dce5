"""The table of a sweep as a file: Parquet, CSV or JSON, by its name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from archcalc import output
from archcalc.errors import Fault, UsageFault
from archcalc.extras import needed
from archcalc.sweeps.point import Row

SUFFIXES = (".parquet", ".csv", ".json")


def check(path: Path) -> None:
    """Refuses early what `write` would refuse after the work. Raises UsageFault."""
    if path.suffix not in SUFFIXES:
        raise UsageFault(
            Fault(f"a table called {path.name}", f"a name that ends in {', '.join(SUFFIXES)}", file=str(path))
        )
    if path.suffix == ".parquet":
        needed("pyarrow.parquet", "a table in Parquet")


def columns(rows: Sequence[Row]) -> list[str]:
    """All columns, in the order in which rows bring them: what was asked for, then what came of it."""
    found = dict.fromkeys(name for row in rows for name in row)
    # Settings of later rows stand beside those of the first.
    asked = [name for name in found if name.startswith(("set.", "machine."))]
    first = [name for name in ("point", "platform", "profile") if name in found]
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
