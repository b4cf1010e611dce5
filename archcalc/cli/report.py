"""`archcalc report`: all figures of platforms, one by one or side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archcalc.calculator.inventory import Selection
from archcalc.cli import session
from archcalc.cli.options import Force, Gos, Platforms, Profiles, Sets, complete_names
from archcalc.cli.picture import HtmlFile, complete_workload, parse_workload
from archcalc.cli.targets import settings, several
from archcalc.host import output
from archcalc.library.report import Report
from archcalc.library.targets import across, computed
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted

if TYPE_CHECKING:
    from archcalc.calculator.figures import Figures
    from archcalc.pictures.film import Film

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME",
        help="Only these figures: names, globs or sections, separated by commas (repeatable).",
        autocompletion=complete_names,
    ),
]
Differs = Annotated[bool, typer.Option("--differs", help="Only figures in which the platforms differ.")]
Full = Annotated[bool, typer.Option("--full", help="In text, every figure; data formats always have all.")]

Plots = Annotated[
    Any,
    typer.Option(
        "--plots",
        metavar="WORKLOAD",
        help="Add the heap while a workload runs to the page, frame by frame and as curves.",
        parser=parse_workload,
        autocompletion=complete_workload,
    ),
]
ALLOCATIONS, FRAMES = 5000, 16  # of the workload that --plots shows


def write_page(report: Report, path: Path, force: bool, plots: str | None) -> None:
    """Writes the report's page, with a film of a workload on the first platform where one is named."""
    from archcalc.html import report as html
    from archcalc.pictures.everything import everything
    from archcalc.render import Page, json

    found = report.platforms
    film = None if plots is None else _film_of(found[0], plots)
    page = html.page(everything(found, report.sets), "".join(json.render(report, Page())), film)
    output.write(path, [page], force)
    session.note(f"wrote {path}: {counted(len(found), 'platform')}, {-(-len(page.encode()) // 1024)} KB")


def _film_of(figures: Figures, workload: str) -> Film:
    from archcalc.pictures import film  # it knows replays, which are much to read

    return film.of_workload(figures, workload, ALLOCATIONS, 1, frames=FRAMES)


def command(
    platforms: Platforms = None,
    profiles: Profiles = None,
    sets: Sets = None,
    only: Only = None,
    differs: Differs = False,
    full: Full = False,
    html: HtmlFile = None,
    plots: Plots = None,
    force: Force = False,
    go: Gos = None,
) -> Report:
    """Report constants, struct sizes, layout and size classes.

    The layout first, then what the port decides, or in what several platforms differ; --full shows
    every figure, and data formats have all of them. --html writes one page with everything about
    them (all platforms, where none is named): to filter, sort and compare, each figure with its
    derivation, maps, size classes, what the checks find, how each boots; with several releases
    (--go), a choice between them. --plots adds the heap of the first platform while a workload
    runs, with curves.
    """
    given, releases = settings(sets), several(go)
    if html is None:
        if plots is not None:
            raise UsageFault(Fault("--plots without a page", "--html FILE too"))
    else:
        if only or differs:
            raise UsageFault(Fault("--html shows everything", "it without --only and --differs"))
        output.check_writable(html, force)
    chosen = across(platforms, profiles, releases, otherwise=() if html is None else ["all"])
    found = computed(chosen, given)
    report = Report(found, Selection(only or (), found), differs, given, full)
    if html is not None:
        write_page(report, html, force, plots)
    return report
