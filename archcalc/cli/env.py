"""`archcalc env`: what the program runs on, for a bug report."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import archcalc
from archcalc import config, generations
from archcalc.cli import reporter
from archcalc.library.targets import host
from archcalc.profiles import files, platforms
from archcalc.results.result import Result
from archcalc.results.tables import Block, Column, Table

VARIABLES = ("GOOS", "GOARCH", "COLUMNS", "NO_COLOR", "TERM")


class Environment(Result):
    """Names and values; what is not there is None."""

    def __init__(self, values: Mapping[str, str | int | None]) -> None:
        self.values = values

    def document(self) -> Mapping[str, object]:
        return {"env": dict(self.values)}

    def view(self) -> Sequence[Block]:
        rows = [(name, "(not set)" if value is None else value) for name, value in self.values.items()]
        return (Table((Column("name"), Column("value", wrap=True)), rows),)


def command() -> Environment:
    """Show what archcalc runs on and what it has read."""
    found = config.current()
    values: dict[str, str | int | None] = {
        "archcalc": archcalc.__version__,
        "go": generations.COMMITS[generations.CURRENT],
        "platform": host(),
        "platforms": len(platforms.names()),
        "profiles": str(files.folder()),
        "config": str(found.file) if found.file else None,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "encoding": sys.stdout.encoding,
        "width": reporter.width(),
        "installed": str(Path(archcalc.__file__).parent),
    }
    values.update(versions())
    values.update({f"${name}": os.environ.get(name) for name in VARIABLES})
    return Environment(values)


def versions() -> Iterator[tuple[str, str | None]]:
    """The versions of what archcalc depends on; None for an optional part that is missing."""
    for name in ("typer", "pyyaml", "tabulate", "jinja2", "numpy", "pyarrow"):
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, None
