"""`archcalc heap`: what a heap looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.calculator import figures
from archcalc.cli import session
from archcalc.cli.machine import PROFILES_OWN, Described, tell_without_effect
from archcalc.cli.options import Count, Force, Go, Profiles, Seed, Sets, complete_platforms
from archcalc.cli.picture import After, HtmlFile, SvgFile, write_files
from archcalc.cli.targets import generation, settings
from archcalc.host import output
from archcalc.library.heap import Heaps, is_trace, refuse_what_it_has
from archcalc.library.targets import selected
from archcalc.pictures import film as camera
from archcalc.pictures import plots
from archcalc.pictures.film import Film
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.quantities import parse_count
from archcalc.traces.columnar import recordings_in
from archcalc.traces.recorded_machine import config_for

HTML_FRAMES = 24


def complete_targets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Platforms, and recordings in the folder that is being typed."""
    folder = Path(incomplete).parent if "/" in incomplete and Path(incomplete).parent.is_dir() else Path()
    files = [str(path) for path in recordings_in(folder)]
    return complete_platforms(ctx, incomplete) + [name for name in files if name.startswith(incomplete)]


Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PLATFORM|TRACE]...",
        help="Platforms, or recordings (*.trace.gz, *.trace.parquet).",
        autocompletion=complete_targets,
        show_default=False,
    ),
]
AtEvent = Annotated[
    Any,
    typer.Option(
        "--at-event",
        metavar="N",
        help="Look at event N of a recording, at allocation N of a workload; default the end.",
        parser=parse_count,
    ),
]
Frames = Annotated[
    Any,
    typer.Option(
        "--frames",
        metavar="N",
        help="N evenly spaced moments: one under the other as text, an animation as SVG and HTML.",
        parser=parse_count,
    ),
]
PlotFile = Annotated[
    Any,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Plot memory, waste and spans over events (.svg, .png, .pdf).",
        parser=Path,
    ),
]


def command(
    targets: Targets = None,
    profiles: Profiles = None,
    sets: Sets = None,
    after: After = None,
    n: Count = None,
    seed: Seed = None,
    at_event: AtEvent = None,
    frames: Frames = None,
    svg: SvgFile = None,
    html: HtmlFile = None,
    plot: PlotFile = None,
    force: Force = False,
    machine: Described = PROFILES_OWN,
    go: Go = None,
) -> Heaps:
    """Draw a heap: spans, occupancy, fragmentation.

    Of a platform after a workload (smoke:mixed, unless --after says else), or of a recording at an
    event. The options describe a platform's machine, as those of `boot` do. Spans are in address
    order by the size of their objects, with how full they are; stacks, large objects, free pages
    and those given back to the OS between them.
    """
    files = {"svg": svg, "html": html}
    for file in (*files.values(), plot):
        if file is not None:
            output.check_writable(file, force)
    if plot is not None and plot.suffix not in plots.SUFFIXES:
        raise UsageFault(
            Fault(f"--plot: {plot.name!r} says no format", "one of " + ", ".join(plots.SUFFIXES))
        )
    words = list(targets or ())
    traces = [Path(word) for word in words if is_trace(word)]
    names = [word for word in words if not is_trace(word)]
    if traces:
        refuse_what_it_has(traces[0], after, go, machine, sets)
    moving = html is not None or plot is not None
    count = int(frames or (HTML_FRAMES if moving else 1))
    films: list[Film] = []
    if names or not traces:
        given = settings(sets)
        release = generation(go)
        chosen = selected(names or None, profiles, go=release)
        tell_without_effect(chosen, machine)
        for profile in chosen:
            found = figures.compute(profile, given, release)
            films.append(
                camera.of_workload(
                    found,
                    after or "mixed",
                    5000 if n is None else n,
                    1 if seed is None else seed,
                    frames=count,
                    at_event=at_event,
                    machine=machine,
                )
            )
    own = {p.platform: p for p in selected(None, profiles)} if profiles and traces else {}
    for path in traces:
        with session.progress(path.name) as progress:
            films.append(
                camera.of_recording(
                    path,
                    lambda header: config_for(header, own),
                    frames=count,
                    at_event=at_event,
                    progress=lambda done, total: progress.update(done),
                )
            )
    heaps = Heaps(films)
    write_files(heaps, files, force)
    if plot is not None:
        heaps.only_one("plot")
        output.write_bytes(plot, plots.to_bytes(films[0], plot), force)
        session.note(f"wrote {plot}")
    if moving and frames is None:
        # The page and the plot need many moments; the text needs none.
        return Heaps([Film(f.subject, f.frames[-1:], f.samples, f.note) for f in films])
    return heaps
