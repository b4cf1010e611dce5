"""The arguments that the commands of `archcalc trace` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Trace = Annotated[
    Any, typer.Argument(metavar="FILE", help="A recording, as text or in columns.", parser=Path)
]
