"""The options that commands with pictures share, and the files that they write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.cli import session
from archcalc.host import output
from archcalc.render import Page, render
from archcalc.results.result import Pictured

PREFIX = "smoke:"  # may come before a workload, as titles of pictures have it


def complete_workload(incomplete: str) -> list[str]:
    """Workloads as --workload, --after and --plots take them."""
    from archcalc.workloads import programs  # brings in the machine, which a mere report does without

    prefix = PREFIX if incomplete.startswith(PREFIX) else ""
    return [f"{prefix}{name}" for name in programs.WORKLOADS if f"{prefix}{name}".startswith(incomplete)]


def parse_workload(text: str) -> str:
    """A workload's name; `smoke:NAME` is the same."""
    from archcalc.workloads import programs  # brings in the machine, which a mere report does without

    return programs.named(text.removeprefix(PREFIX))


After = Annotated[
    Any,
    typer.Option(
        "--after",
        metavar="WORKLOAD",
        help="Run a workload of `smoke` first, and show what is there then.",
        parser=parse_workload,
        autocompletion=complete_workload,
    ),
]
SvgFile = Annotated[
    Any, typer.Option("--svg", metavar="FILE", help="Write the picture as SVG too.", parser=Path)
]
HtmlFile = Annotated[
    Any, typer.Option("--html", metavar="FILE", help="Write a page with it too.", parser=Path)
]


def write_files(result: Pictured, files: Mapping[str, Path | None], force: bool) -> None:
    """Writes what was asked for under the formats svg and html."""
    for format, path in files.items():
        if path is not None:
            result.what_ifs = session.current.sets
            output.write(path, render(result, format, Page()), force)
            session.note(f"wrote {path}")
