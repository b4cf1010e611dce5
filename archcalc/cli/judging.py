"""The options of commands that hold or fail: what is known, and from where on findings fail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from archcalc import config
from archcalc.cli import session
from archcalc.host import output
from archcalc.reading.errors import Fault, UsageFault
from archcalc.results import baseline as baselines
from archcalc.results.judged import FAIL_ON, Judged

Baseline = Annotated[
    Any,
    typer.Option("--baseline", metavar="FILE", help="Let findings that FILE knows not fail.", parser=Path),
]
WriteBaseline = Annotated[
    Any,
    typer.Option(
        "--write-baseline",
        metavar="FILE",
        help="Write what is found to FILE, as a baseline; nothing of it fails then.",
        parser=Path,
    ),
]


def severity(word: str) -> str:
    """What --fail-on takes."""
    if word not in FAIL_ON:
        raise UsageFault(Fault(repr(word), f"one of {', '.join(FAIL_ON)}"))
    return word


FailOn = Annotated[
    Any,
    typer.Option(
        "--fail-on",
        metavar="SEVERITY",
        help="Exit with 1 from this severity on: error, warning, or never.",
        parser=severity,
    ),
]


def readable(baseline: Path | None) -> None:
    """Reads a baseline, for commands that take long to come to one. Raises UsageFault."""
    if baseline:
        baselines.read(baseline)


R = TypeVar("R", bound=Judged)


def judge(result: R, baseline: Path | None, write_baseline: Path | None, fail_on: str | None) -> R:
    """The result with its baseline, which is written first where that was asked for."""
    if write_baseline:
        found = (finding for case in result.cases() for finding in case.findings)
        output.write(write_baseline, [baselines.text(found)], force=True)
        session.note(f"wrote {write_baseline}")
    known = write_baseline or baseline or config.current().baseline
    if known:
        result.baseline = baselines.read(known)
    if fail_on:
        result.fail_on = fail_on
    return result
