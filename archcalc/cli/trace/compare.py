"""`archcalc trace compare`: a recording and an execution trace of one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.cli import session
from archcalc.cli.options import Profiles
from archcalc.library.trace.compare import Compared, compare_files
from archcalc.profiles import platforms
from archcalc.traces.recorded_machine import config_for


def command(
    recording: Annotated[
        Any, typer.Argument(metavar="RECORDING", help="What archcalc record wrote.", parser=Path)
    ],
    trace: Annotated[
        Any,
        typer.Argument(
            metavar="TRACE",
            help="What runtime/trace wrote in the same run, or what trace import made of that.",
            parser=Path,
        ),
    ],
    profiles: Profiles = None,
) -> Compared:
    """Compare a recording and the execution trace of the same run; exit 1 on a difference.

    Record a program that writes its own trace under GODEBUG=traceallocfree=1 (Go 1.23 and later).
    Each object, span and stack that the trace has must be in the recording: at that address, of
    that type and size, in that order. How many both have is counted; the recording has more.
    """
    own = {profile.platform: profile for profile in map(platforms.load_file, profiles or ())}
    with session.progress(f"compare {recording.name}") as progress:

        def tell(done: int, total: int) -> None:
            progress.total = total
            progress.update(done)

        return compare_files(recording, trace, lambda header: config_for(header, own), tell)
