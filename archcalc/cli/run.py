"""`archcalc run`: are scenario files still true?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from archcalc.cli import session
from archcalc.library.run import RanScenarios, run

Paths = Annotated[
    list[Any],
    typer.Argument(
        metavar="FILE|FOLDER...", help="Scenario files; a folder stands for those in it.", parser=str
    ),
]


def command(paths: Paths) -> RanScenarios:
    """Run scenario files; exit 1 when an expectation does not hold.

    A scenario describes a machine, what is done on it, and the expected outcome; a folder stands
    for all that lie in it. A failed expectation is shown with the actual value. --verbose tells
    for each scenario what it is about and what can be done about it.
    """
    with session.progress("scenarios") as progress:
        verdicts = run(paths, progress.tell)
    return RanScenarios(verdicts, session.current.verbose)
