"""`archcalc trace convert`: a recording from text to columns and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.cli import session
from archcalc.cli.options import Force
from archcalc.cli.trace.options import Trace
from archcalc.host import output
from archcalc.reading.errors import Fault, UsageFault
from archcalc.results.result import Listing
from archcalc.results.tables import Bytes, Column
from archcalc.traces import columnar


def command(
    source: Trace,
    target: Annotated[
        Any,
        typer.Argument(
            metavar="OUT",
            help="*.parquet for columns, *.gz for gzip'd text, else plain text.",
            parser=Path,
        ),
    ],
    force: Force = False,
) -> Listing:
    """Write a recording in its other form: text, or columns (Parquet).

    Nothing is lost either way: after converting there and back, every line is the same. Columns are
    faster to replay. This needs the extra: pip install 'archcalc[bulk]'.
    """
    output.check_writable(target, force)
    if target.exists() and source.exists() and os.path.samefile(source, target):
        raise UsageFault(Fault("is the file to convert, too", "another name", file=str(target)))
    with session.progress(f"convert {source.name}") as progress:
        count = columnar.convert(source, target, progress.update, force)
    form = "columns" if columnar.is_columnar(target) else "text"
    columns = (
        Column("file", wrap=True), Column("form"), Column("lines", int), Column("size", Bytes, key="bytes"),
        Column("bytes before", Bytes),
    )  # fmt: skip
    row = (str(target), form, count, target.stat().st_size, source.stat().st_size)
    return Listing("converted", columns, [row])
