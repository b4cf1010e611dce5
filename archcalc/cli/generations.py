"""`archcalc generations`: the releases of Go that the tool knows, and the start of a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc import generations
from archcalc.library.generations import Generations, begin
from archcalc.reading.errors import Fault, UsageFault
from archcalc.results.result import Result

What = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[new DIR]",
        help="new DIR: write the tables of the release whose source tree is DIR, as far as they can be read.",
        show_default=False,
    ),
]
Base = Annotated[
    str,
    typer.Option(
        "--base",
        metavar="RELEASE",
        help="With new: the release that it is compared with (default: the latest).",
    ),
]
Into = Annotated[
    Any,
    typer.Option(
        "--into",
        metavar="FOLDER",
        help="With new: where the tables go (default: a folder named as the release).",
        parser=Path,
    ),
]


def command(what: What = None, base: Base = "", into: Into = None) -> Result:
    """List the releases of Go that are known, and what can be done with each.

    `new DIR` writes the tables of another, read off its source tree, saying only what differs from
    --base, and lists what a person must decide: units and words of new constants, functions that the
    layout's formulas follow and that have changed.
    """
    words = what or []
    if not words:
        return Generations(generations.known())
    if words[0] != "new" or len(words) != 2:
        raise UsageFault(Fault(f"generations {' '.join(words)}", "nothing, or: new DIR"))
    return begin(Path(words[1]), base, into)
