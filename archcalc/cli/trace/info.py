"""`archcalc trace info`: what a recording is."""

from __future__ import annotations

from collections import Counter

from archcalc.cli import session
from archcalc.cli.trace.options import Trace
from archcalc.library.trace.info import Info
from archcalc.traces import columnar


def command(trace: Trace) -> Info:
    """Show a recording's header, its form and how many records of each kind it has."""
    form = "columns" if columnar.is_columnar(trace) else "text"
    header, some_kinds = columnar.kinds(trace)
    found: Counter[str] = Counter()
    with session.progress(trace.name, header.events) as progress:
        for kinds in some_kinds:
            found.update(kinds)
            progress.update(found.total())
    return Info(trace, form, header, found)
