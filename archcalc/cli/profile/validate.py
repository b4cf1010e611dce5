"""`archcalc profile validate`: is a profile file fit for use?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from archcalc.profiles import profile
from archcalc.reading.errors import ProfileFault
from archcalc.results.result import Listing
from archcalc.results.tables import Column

Files = Annotated[list[Any], typer.Argument(metavar="FILE", help="Profile files.", parser=str)]


def command(files: Files) -> Listing:
    """Check profile files; exit 2 when one cannot be used.

    Every fault of every file is shown at once, as FILE:LINE:COLUMN. Whether a port with such
    facts would run is what `archcalc check --profile FILE` says.
    """
    rows = []
    faults = []
    for file in files:
        found, wrong = profile.read(file)
        faults += [fault for fault in wrong if fault not in faults]
        if found is not None:
            rows.append((file, found.platform, found.name, len(found.facts)))
    if faults:
        raise ProfileFault(*faults)
    columns = (Column("file"), Column("platform"), Column("name"), Column("facts", int))
    return Listing("profiles", columns, rows)
