"""`archcalc heap`: what a heap looks like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.calculator import figures
from archcalc.cli import session
from archcalc.cli.machine import PROFILES_OWN, Described, tell_without_effect
from archcalc.cli.options import Go, Profiles, Sets, complete_platforms
from archcalc.cli.picture import After, Count, Force, HtmlFile, Seed, SvgFile, write_files
from archcalc.cli.replay import config_for
from archcalc.cli.targets import generation, selected, settings
from archcalc.host import output
from archcalc.pictures import film as camera
from archcalc.pictures import heap_svg, heap_text, plots
from archcalc.pictures.film import Film
from archcalc.pictures.heap import HeapView, Sample
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.quantities import parse_count
from archcalc.results.result import Pictured
from archcalc.results.tables import Block, Bytes, Column, Drawing, Hex, Pages, Prose, Section, Table, human
from archcalc.traces.columnar import recordings_in

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

CLASSES = (
    Column("class", int),
    Column("size", Bytes),
    Column("spans", int),
    Column("objects", int),
    Column("free", int),
    Column("occupied"),
    Column("span tails", Bytes),
    Column("unfilled", Bytes),
)
SHEET = (
    Column("subject"),
    Column("event", int),
    Column("base", Hex),
    Column("pages", Pages),
    Column("state"),
    Column("class", int),
    Column("size", Bytes),
    Column("objects", int),
    Column("slots", int),
    Column("released", Pages),
)


class Heaps(Pictured):
    """Heaps of machines and of recordings, each at one moment or at several."""

    def __init__(self, films: Sequence[Film]) -> None:
        self.films = films

    def document(self) -> Mapping[str, object]:
        return {
            "heaps": [
                {
                    "subject": film.subject,
                    "platform": film.last.platform,
                    "note": film.note or None,
                    **moment(film.last),
                    "frames": [moment(frame) for frame in film.frames[:-1]],
                    "samples": [totals(sample) for sample in film.samples],
                }
                for film in self.films
            ]
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        for row in self.sheet().rows:
            yield dict(zip((column.name for column in SHEET), row, strict=True))

    def sheet(self) -> Table:
        rows = []
        for film in self.films:
            for frame in film.frames:
                for run in frame.runs:
                    base = Hex(frame.base + run.page * frame.page_size)
                    rows.append(
                        (
                            film.subject, frame.event, base, run.npages, run.state, run.sizeclass, run.size,
                            run.objects, run.slots, run.released,
                        )
                    )  # fmt: skip
        return Table(SHEET, rows)

    def view(self) -> Iterator[Section | Block]:
        for film in self.films:
            for at, frame in enumerate(film.frames):
                last = at == len(film.frames) - 1
                yield Drawing(
                    lambda width, unicode, color, frame=frame, last=last: heap_text.draw(  # type: ignore[misc]
                        frame, width, unicode, color, legend=last
                    ),
                    film.subject if at == 0 else "",
                )
            yield from self._numbers(film)

    @staticmethod
    def _numbers(film: Film) -> Iterator[Block]:
        heap, t = film.last, film.last.totals
        columns = (Column("what"), Column("bytes", Bytes), Column("reads as"))
        rows = [
            ("the heap's pages", heap.pages * heap.page_size),
            ("spans with objects", t.in_use),
            ("allocated objects in them", t.live),
            ("free objects in them", t.unfilled),
            ("tails of spans", t.tails),
            ("stacks", t.stacks),
            ("free pages", t.idle),
            ("of these given back to the OS", t.released),
            ("the longest free run", t.largest_free),
        ]
        note = (
            f"{t.spans} spans in use, {t.occupancy:.1%} of their bytes in allocated objects;"
            f" {t.fragmentation:.1%} of the free bytes lie outside the longest free run"
        )
        yield Table(columns, [(what, size, human(size)) for what, size in rows], keys=0, notes=[note])
        yield Table(
            CLASSES,
            [
                (
                    c.sizeclass or None, c.size or None, c.spans, c.objects, c.free,
                    f"{c.objects / (c.objects + c.free):.1%}", c.tails, c.unfilled,
                )
                for c in heap.classes()
            ],
            "By size class, large objects first",
        )  # fmt: skip
        if film.note:
            yield Prose(film.note)

    def svg(self) -> str:
        self._one("SVG")
        return heap_svg.draw(self.films[0].frames, self.films[0].subject)

    def html(self) -> str:
        from archcalc.html.film import page

        self._one("HTML")
        return page(self, self.films[0])

    def _one(self, format: str) -> None:
        if len(self.films) != 1:
            raise UsageFault(Fault(f"{len(self.films)} heaps for one {format}", "one platform or recording"))


def totals(sample: Sample) -> dict[str, object]:
    """A moment's totals as the JSON document has them."""
    return {
        "event": sample.event,
        "live": sample.live,
        "in_use": sample.in_use,
        "stacks": sample.stacks,
        "idle": sample.idle,
        "released": sample.released,
        "span_tails": sample.tails,
        "unfilled": sample.unfilled,
        "spans": sample.spans,
        "largest_free": sample.largest_free,
    }


def moment(heap: HeapView) -> dict[str, object]:
    """A heap as the JSON document has it."""
    return {
        "event": heap.event,
        "base": heap.base,
        "page_size": heap.page_size,
        "pages": heap.pages,
        "totals": totals(heap.totals),
        "occupancy": heap.totals.occupancy,
        "fragmentation": heap.totals.fragmentation,
        "spans": [
            {
                "base": heap.base + run.page * heap.page_size,
                "pages": run.npages,
                "state": run.state,
                "class": run.sizeclass,
                "size": run.size,
                "objects": run.objects,
                "slots": run.slots,
                "released": run.released,
            }
            for run in heap.runs
        ],
        "classes": [
            {
                "class": c.sizeclass,
                "size": c.size,
                "spans": c.spans,
                "objects": c.objects,
                "free": c.free,
                "span_tails": c.tails,
                "unfilled": c.unfilled,
            }
            for c in heap.classes()
        ],
    }


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
    event. The options describe a platform's machine, as those of `boot` do. Spans stand in address
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
    if traces and after is not None:
        raise UsageFault(Fault("--after: a recording has its own workload", "a platform"))
    if traces and go is not None:
        raise UsageFault(Fault("--go: a recording says of which Go it is", "a platform"))
    if traces and machine != PROFILES_OWN:
        raise UsageFault(Fault(f"{traces[0]}: a recording has its own machine", "a platform"))
    if traces and sets:
        raise UsageFault(Fault("--set: a recording has its own constants", "a platform"))
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
        heaps._one("plot")
        output.write_bytes(plot, plots.to_bytes(films[0], plot), force)
        session.note(f"wrote {plot}")
    if moving and frames is None:
        # The page and the plot want many moments; whoever reads the text asked for none.
        return Heaps([Film(f.subject, f.frames[-1:], f.samples, f.note) for f in films])
    return heaps


def is_trace(word: str) -> bool:
    """Whether a word is the file of a recording and no platform."""
    return word.endswith((".gz", ".parquet", ".arrow")) or Path(word).is_file()
