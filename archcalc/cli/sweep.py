"""`archcalc sweep`: a grid or list of what-ifs into one table of figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.cli import session
from archcalc.cli.options import Force, Go, Jobs
from archcalc.cli.targets import generation
from archcalc.host import output as files
from archcalc.host.processes import cores
from archcalc.library.sweep import Swept, without_effect_in
from archcalc.library.targets import asked_for
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.sweeps import table
from archcalc.sweeps.journal import Journal, journal_of
from archcalc.sweeps.load import load
from archcalc.sweeps.run import run


def command(
    file: Annotated[Any, typer.Argument(metavar="FILE", help="A sweep file, YAML.", parser=Path)],
    output: Annotated[
        Any,
        typer.Option(
            "--output", "-o", metavar="OUT", help="The table: *.parquet, *.csv or *.json.", parser=Path
        ),
    ] = None,
    force: Force = False,
    jobs: Jobs = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="Run on the Dask cluster of this scheduler."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what an earlier run left unfinished.")
    ] = False,
    go: Go = None,
) -> Swept:
    """Run a grid or a list of what-ifs into one table of figures.

    A point is a platform, a release of Go, constants that have another value, a machine, and a
    workload, a histogram of sizes or a recorded program. Points run on all cores, or on a Dask
    cluster. Each row is kept as soon as it is computed: after an interruption the same command
    continues.
    """
    if output is None:
        raise UsageFault(Fault("there is no file to write the table to", "--output OUT"))
    if scheduler is not None and not scheduler.strip():
        raise UsageFault(Fault("--scheduler: no address", "such as tcp://127.0.0.1:8786"))
    table.check(output)
    files.check_writable(output, force)
    sweep = load(file, generation(go) if asked_for(go) else None)
    for words in without_effect_in(sweep):
        session.note(words)
    place = journal_of(output)
    journal = Journal(place, sweep.key, len(sweep.points), fresh)
    if journal.rows:
        session.note(f"{len(journal.rows)} of {counted(len(sweep.points), 'point')} were done before")
    try:
        with session.progress(sweep.name, len(sweep.points)) as progress:
            rows = run(sweep.points, journal, jobs or cores(), scheduler, progress.update)
        table.write(output, sweep.name, rows, force)
    except KeyboardInterrupt:
        return Swept(sweep, output, list(journal.rows.values()), interrupted=True)
    finally:
        journal.close()
    journal.remove()
    return Swept(sweep, output, rows)
