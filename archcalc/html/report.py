"""The one-page report: every figure of the platforms, with derivations, maps, checks and boots.

The page holds the same JSON document that `report --format json` gives, as text in a script element.
Where it is long (all platforms are 1 MB) it is compressed, and the page itself puts the text
back into the element `report-json` before it shows anything; likewise what belongs to it (`more-json`).
Platforms say the same in most lines, so each line is there once, with the order of all: what gzip sees is
then a sixth, as it finds nothing that is more than 32 KB away. It is gzip without a name or a time, so the
same figures make the same page.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import archcalc
from archcalc.html.fragments import swatches, table
from archcalc.html.map import drawn
from archcalc.html.templates import fill, markup
from archcalc.pictures import svg
from archcalc.pictures.atlas import Atlas
from archcalc.pictures.everything import Everything
from archcalc.pictures.history import LOOKS as LOOKS_OF_HISTORY
from archcalc.pictures.palette import LOOKS, SPANS, looks_of
from archcalc.questions.boot import Boot
from archcalc.reading.words import counted
from archcalc.results.tables import Bytes, Column, Hex, Table

if TYPE_CHECKING:
    from archcalc.pictures.film import Film

PLAIN = 100_000  # characters of JSON that are put into the page as they are
LEVEL = 6  # of compression: 9 takes twice the time, and a fiftieth less room
TITLE = "archcalc: memory layout of Go's runtime"
VIEWS = (
    ("overview", "Overview"),
    ("history", "From release to release"),
    ("figures", "Figures"),
    ("maps", "Maps"),
    ("classes", "Size classes"),
    ("diff", "Diff"),
    ("checks", "Checks"),
    ("boots", "Boots"),
    ("heap", "Heap"),
)


def page(found: Everything, document: str, film: Film | None = None) -> str:
    """The page. `document` is the JSON text of `report --format json` for the same platforms.

    A `film` of a heap adds a view with its frames and its curves.
    """
    kinds = {region.kind for atlas in found.atlases if atlas is not None for region in atlas.regions}
    history = found.history
    more = {
        "generation": ", ".join(dict.fromkeys(found.releases)),
        "names": found.names,
        "releases": found.releases,
        "address_bits": found.address_bits,
        "sizes": found.sizes,
        "packages": found.packages,
        "areas": found.areas,
        "set": found.sets,
        "inventory": found.figures,
        "boots": [_boot(boot) for boot in found.boots],
        "findings": found.findings,
        "maps": [_maps(atlas) for atlas in found.atlases],
        "history": {port: [told._asdict() for told in chapters] for port, chapters in history.items()},
    }
    absent = {
        *(() if history else ("history",)),
        *(() if any(found.boots) else ("maps", "boots")),
        *(() if found.checked else ("checks",)),
        *(() if film is not None else ("heap",)),
    }
    releases = list(dict.fromkeys(found.releases))
    return fill(
        "report.html",
        title=TITLE,
        about=_about(found),
        releases=releases if len(releases) > 1 else [],
        views=[view for view in VIEWS if view[0] not in absent],
        overview=table(overview(found)),
        patterns=markup(svg.patterns({**looks_of(kinds), **SPANS, **(LOOKS_OF_HISTORY if history else {})})),
        pictures=markup(svg.style()),
        legend=swatches((kind, LOOKS[kind]) for kind in LOOKS if kind in kinds),
        film=None if film is None else _section(film),
        data=[embedded("report", document), embedded("more", json.dumps(more, separators=(",", ":")))],
    )


def _section(film: Film) -> Mapping[str, object]:
    """The heap's view; what it needs is imported where there is one."""
    from archcalc.html.film import section

    return section(film)


def _about(found: Everything) -> str:
    """What the page is of."""
    count = len(found.platforms)
    platforms = counted(count, "platform")
    releases = ", ".join(dict.fromkeys(found.releases))
    about = f"Go runtime at {releases}, archcalc {archcalc.__version__}, {platforms}"
    if found.sets:
        about += ". What if " + ", ".join(f"{name}={value}" for name, value in found.sets.items())
    return about


def _maps(atlas: Atlas | None) -> list[str]:
    """The map for a window and that for a phone."""
    return [] if atlas is None else [str(drawn(atlas)), str(drawn(atlas, narrow=True))]


def embedded(name: str, text: str) -> Mapping[str, object]:
    """JSON text for an element `NAME-json`; longer texts are in `NAME-gz`, `packed` and in base64."""
    if len(text) <= PLAIN:
        # JSON has a < only inside of texts, where the escape reads as the same; HTML would take it for a tag.
        plain = text.replace("<", "\\u003c")
        return {"id": f"{name}-json", "type": "application/json", "text": markup(plain)}
    long = base64.b64encode(packed(text)).decode()
    return {"id": f"{name}-gz", "type": "application/gzip;base64", "text": markup(long)}


def packed(text: str) -> bytes:
    """Gzip of a text's lines, each once, after a line that has their order: the number of each line."""
    numbers: dict[str, int] = {}
    order = " ".join([str(numbers.setdefault(line, len(numbers))) for line in text.split("\n")])
    return gzip.compress("\n".join([order, *numbers]).encode(), LEVEL, mtime=0)


def overview(found: Everything) -> Table:
    """The table for browsers without script."""
    if any(areas is not None for areas in found.areas):
        return sparse_overview(found)
    columns = (
        Column("platform"),
        Column("word", Bytes),
        Column("arena", Bytes),
        Column("reservation", Bytes),
        Column("hint", Hex),
        Column("boots"),
    )
    rows = [
        (
            figures.platform,
            int(figures.sys["PtrSize"]),
            figures.layout.arena_size,
            figures.layout.reservation_size,
            figures.layout.hints[0].address if figures.layout.hints else None,
            booted.outcome if booted is not None else None,
        )
        for figures, booted in zip(found.platforms, found.boots, strict=True)
    ]
    return Table(columns, rows)


def sparse_overview(found: Everything) -> Table:
    """The same where heaps lie in arenas."""
    columns = (
        Column("platform"),
        Column("arena", Bytes),
        Column("its record", Bytes),
        Column("a start", Bytes),
    )
    rows = [
        (
            name,
            figures.constants.get("heapArenaBytes"),
            figures.structs["heapArena"].size if "heapArena" in figures.structs else None,
            None if areas is None else areas.get("start_reserved"),
        )
        for name, figures, areas in zip(found.names, found.platforms, found.areas, strict=True)
    ]
    return Table(columns, rows)


def _boot(b: Boot | None) -> dict[str, object]:
    """A boot as the page shows it; attempts as (hint, size, answer)."""
    if b is None:
        return {"outcome": "not booted", "throw": None, "arena": None, "attempts": [], "checks": []}
    return {
        "outcome": b.outcome,
        "throw": None if b.death is None else b.death["throw"],
        "arena": b.arena,
        "attempts": [(a.hint, a.size, a.answer) for a in b.attempts],
        "checks": [(c.id, c.ok, c.seen) for c in b.checks],
    }
