"""`archcalc profile validate`: is a profile file fit for use?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from archcalc.cli import session
from archcalc.cli.options import Go
from archcalc.cli.targets import generation
from archcalc.library.profile import Validated, validate

Files = Annotated[list[Any], typer.Argument(metavar="FILE", help="Profile files.", parser=str)]


def command(files: Files, go: Go = None) -> Validated:
    """Check profile files; exit 2 when one cannot be used.

    Every fault of every file is shown at once, as FILE:LINE:COLUMN, and at its line where a CI
    system reads the result. Whether a port with such facts would run is what
    `archcalc check --profile FILE` says.
    """
    return validate(files, generation(go), session.note)
