"""Heaps as pictures, with their tables: of machines after a workload, of recordings at an event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from archcalc.machines.options import MachineOptions
from archcalc.pictures import heap_svg, heap_text
from archcalc.pictures.film import Film
from archcalc.pictures.heap import HeapView, Sample
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results.result import Pictured
from archcalc.results.tables import Block, Bytes, Column, Drawing, Hex, Pages, Prose, Section, Table, human

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
            ("the heap's pages", heap.held * heap.page_size),
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
            f"{counted(t.spans, 'span')} in use, {t.occupancy:.1%} of their bytes in allocated objects;"
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
        self.only_one("SVG")
        return heap_svg.draw(self.films[0].frames, self.films[0].subject)

    def html(self) -> str:
        from archcalc.html.film import page

        self.only_one("HTML")
        return page(self, self.films[0])

    def only_one(self, format: str) -> None:
        """Raises UsageFault where there is more than one heap for one picture."""
        if len(self.films) != 1:
            raise UsageFault(
                Fault(f"{counted(len(self.films), 'heap')} for one {format}", "one platform or recording")
            )


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


def is_trace(word: str) -> bool:
    """Whether a word is the file of a recording, not a platform."""
    return word.endswith((".gz", ".parquet", ".arrow")) or Path(word).is_file()


def refuse_what_it_has(trace: Path, after: object, go: object, machine: MachineOptions, sets: object) -> None:
    """Raises UsageFault for an option that a recording answers itself."""
    said = {
        "--after: a recording has its own workload": after is not None,
        "--go: a recording says of which Go it is": go is not None,
        f"{trace}: a recording has its own machine": machine != MachineOptions(),
        "--set: a recording has its own constants": bool(sets),
    }
    for found, wrong in said.items():
        if wrong:
            raise UsageFault(Fault(found, "a platform"))
