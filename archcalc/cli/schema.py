"""`archcalc schema`: the published JSON Schemas."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from archcalc import schema
from archcalc.results.result import TextResult


def complete_schemas(incomplete: str) -> list[str]:
    """Schemas that begin so."""
    return [name for name in schema.names() if name.startswith(incomplete)]


Name = Annotated[
    str,
    typer.Argument(
        metavar="[NAME]",
        help="The schema; without one, their names.",
        autocompletion=complete_schemas,
        show_default=False,
    ),
]


def command(name: Name = "") -> TextResult:
    """Print the JSON Schema of a file or of a command's JSON.

    profile, scenario, sweep-file and config are what archcalc reads; the others are named after the command
    whose `--format json` they describe. Keys that a command's schema lists as required stay, with
    their types and meanings, until the first number of the version changes; others may be added.
    """
    if not name:
        return TextResult("".join(f"{known:<14}{schema.about(known)}\n" for known in schema.names()))
    return TextResult(json.dumps(schema.load(name), indent=2, ensure_ascii=False) + "\n")
