"""`archcalc trace head`: the first events of a recording."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from archcalc.cli.trace.options import Trace
from archcalc.library.trace.head import Head
from archcalc.reading.quantities import parse_count
from archcalc.traces import stats


def command(
    trace: Trace,
    n: Annotated[
        Any, typer.Option("-n", metavar="N", help="How many records; default 10.", parser=parse_count)
    ] = None,
    types: Annotated[
        bool, typer.Option("--types", help="The declarations of types too, which mostly come first.")
    ] = False,
) -> Head:
    """Show the first events."""
    return Head(trace, *stats.head(trace, 10 if n is None else n, types))
