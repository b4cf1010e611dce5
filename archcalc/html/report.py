"""The one-page report: every figure of the platforms, with derivations, maps, checks and boots.

The page holds the same JSON document that `report --format json` gives, as text in a script element.
Where it is long (all platforms are 1 MB) it stands there compressed, and the page itself puts the text
back into the element `report-json` before it shows anything; likewise what belongs to it (`more-json`).
Compression is gzip without a name or a time, so the same figures make the same page.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import archcalc
from archcalc import checks, generations
from archcalc.calculator.figures import Explanation, Figures, Scalar
from archcalc.calculator.inventory import Inventory, labels, shown_areas
from archcalc.html.film import section
from archcalc.html.fragments import table
from archcalc.html.page import asset
from archcalc.machines import computer
from archcalc.pictures import map_svg, svg
from archcalc.pictures.atlas import survey
from archcalc.pictures.film import Film
from archcalc.pictures.palette import SPANS, looks_of
from archcalc.questions import boot
from archcalc.questions.boot import Boot
from archcalc.reading.errors import UsageFault
from archcalc.results.tables import Bytes, Column, Hex, Table

PLAIN = 100_000  # characters of JSON that are put into the page as they are
TITLE = "archcalc: memory layout of Go's runtime"
VIEWS = (
    ("overview", "Overview"),
    ("figures", "Figures"),
    ("maps", "Maps"),
    ("classes", "Size classes"),
    ("diff", "Diff"),
    ("checks", "Checks"),
    ("boots", "Boots"),
)


def page(
    platforms: Sequence[Figures], document: str, sets: Mapping[str, Scalar], film: Film | None = None
) -> str:
    """The page. `document` is the JSON text of `report --format json` for the same platforms.

    A `film` of a heap adds a view with its frames and its curves.
    """
    boots: list[Boot | None] = []
    maps = []
    kinds: set[str] = set()
    for figures in platforms:
        if not _can(figures, "boot", "map"):
            boots.append(None)
            maps.append("")
            continue
        machine = computer.machine_of(figures.profile)
        booted = boot.try_boot(figures)
        boots.append(booted)
        atlas = survey(booted, machine.low, machine.end, "after boot")
        kinds |= {region.kind for region in atlas.regions}
        maps.append(map_svg.draw([atlas], bare=True, keyed=False).strip())
    more = {
        "generation": ", ".join(dict.fromkeys(figures.generation.label for figures in platforms)),
        "names": labels(platforms),
        "releases": [figures.generation.label for figures in platforms],
        "packages": {own: path for figures in platforms for own, path in figures.generation.packages.items()},
        "areas": [
            None if figures.generation.era == "contiguous" else shown_areas(figures) for figures in platforms
        ],
        "set": dict(sets),
        "inventory": inventory(platforms),
        "boots": [_boot(b) for b in boots],
        "findings": findings([figures for figures in platforms if _can(figures, "check")]),
        "maps": maps,
        "legend": legend(platforms, kinds),
    }
    absent = {
        *(() if any(boots) else ("maps", "boots")),
        *(() if any(_can(figures, "check") for figures in platforms) else ("checks",)),
    }
    views = [view for view in (*VIEWS, ("heap", "Heap")) if view[0] not in absent]
    if film is None:
        views.remove(("heap", "Heap"))
    nav = "".join(f'<a href="#{name}">{words}</a>' for name, words in views)
    heap = ""
    if film is not None:
        heap = f'<template id="heap">{section(film, bare=True)}</template><script>{asset("film.js")}</script>'
    static = overview(platforms, boots)
    patterns = svg.patterns({**looks_of(kinds), **SPANS})
    about = f"Go runtime at {more['generation']}, archcalc {archcalc.__version__}, {len(platforms)} platform"
    about += "" if len(platforms) == 1 else "s"
    if sets:
        about += ". What if " + ", ".join(f"{name}={value}" for name, value in sets.items())
    chooser = release_choice(platforms)
    body = f"""<header><h1>{escape(TITLE)}</h1>
<p class="dim">{escape(about)}</p>
{chooser}<button id="theme" type="button" aria-label="Colours: as the system has them">Colours: auto</button>
<nav aria-label="Views">{nav}</nav></header>
<main id="view" tabindex="-1"><noscript><p>This page filters, sorts and explains with JavaScript, which is
switched off. Without it there is this overview.</p>{table(static)}</noscript></main>
<footer class="dim"><p>Keys: <kbd>/</kbd> goes to the filter, <kbd>1</kbd> to <kbd>{len(views)}</kbd> to the
views. Numbers are exact; sizes in powers of 1024.</p></footer>
<svg width="0" height="0" style="position:absolute" aria-hidden="true">{patterns}</svg>{heap}"""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<meta name="generator" content="archcalc {archcalc.__version__}">'
        f'<link rel="icon" href="data:,"><title>{escape(TITLE)}</title>'
        f"<style>{asset('page.css')}{asset('report.css')}{svg.style()}</style></head><body>"
        f"{body}{embedded('report', document)}{embedded('more', json.dumps(more, separators=(',', ':')))}"
        f"<script>{asset('report.js')}</script></body></html>\n"
    )


def _can(figures: Figures, *commands: str) -> bool:
    """Whether these commands know the generation of some figures."""
    known = generations.said(figures.generation.name, "can").split()
    return all(command in known for command in commands)


def release_choice(platforms: Sequence[Figures]) -> str:
    """What chooses among releases, where the page shows several."""
    releases = list(dict.fromkeys(figures.generation.label for figures in platforms))
    if len(releases) < 2:
        return ""
    options = "".join(f"<option>{escape(release)}</option>" for release in releases)
    return f'<label>Go <select id="release"><option value="">all</option>{options}</select></label>\n'


def embedded(name: str, text: str) -> str:
    """A script element with JSON text, `NAME-json`; longer texts stand in `NAME-gz`, gzip in base64."""
    if len(text) <= PLAIN:
        # The only text that would end the element early; JSON reads the escape as the same.
        plain = text.replace("</", "<\\/")
        return f'<script type="application/json" id="{name}-json">{plain}</script>\n'
    packed = base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
    return f'<script type="application/gzip;base64" id="{name}-gz">{packed}</script>\n'


def overview(platforms: Sequence[Figures], boots: Sequence[Boot | None]) -> Table:
    """The table for browsers without script."""
    if any(figures.generation.era != "contiguous" for figures in platforms):
        return sparse_overview(platforms)
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
        for figures, booted in zip(platforms, boots, strict=True)
    ]
    return Table(columns, rows)


def sparse_overview(platforms: Sequence[Figures]) -> Table:
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
            figures.areas.get("start_reserved") if figures.generation.era != "contiguous" else None,
        )
        for name, figures in zip(labels(platforms), platforms, strict=True)
    ]
    return Table(columns, rows)


def inventory(platforms: Sequence[Figures]) -> list[dict[str, object]]:
    """What each figure is, and how it comes about: derivations that platforms share are there once."""
    found: list[dict[str, object]] = []
    for key, entry in Inventory(platforms).entries.items():
        section, name = key
        qualified = f"runtime.{name}" if section == "constants" else f"{section}.{name}"
        variants: dict[tuple[object, ...], list[int]] = {}
        for at, figures in enumerate(platforms):
            try:
                one = figures.explain(name if section == "structs" else qualified)
            except UsageFault:
                continue
            given = one.name in figures.sets
            variants.setdefault(_variant(one, given), []).append(at)
        how = [[who, *variant] for variant, who in variants.items()]
        found.append({"s": section, "n": name, "u": entry.unit, "w": entry.what, "how": how})
    return found


def _variant(one: Explanation, given: bool) -> tuple[object, ...]:
    """What of a derivation is shown, in the order in which the page reads it; what --set gave has none."""
    if given:
        formula = f"{one.value}, by --set" + (f" instead of {one.formula}" if one.formula else "")
        return formula, (), (), one.source, one.type, one.dependents
    mentions = tuple((m.name, m.value, m.origin) for m in one.mentions)
    return one.formula, one.steps, mentions, one.source, one.type, one.dependents


def findings(platforms: Sequence[Figures]) -> list[dict[str, object]]:
    """What the checks find."""
    cases = checks.run(list(checks.registry().values()), platforms)
    return [
        {"id": f.id, "platform": f.platform, "severity": f.severity.value, "message": f.message}
        for case in cases
        for f in case.findings
    ]


def legend(platforms: Sequence[Figures], kinds: Iterable[str] = ()) -> list[tuple[str, str]]:
    """The patterns of the maps with their words; `kinds` are those that occur."""
    return [(svg.ident(kind), look.words) for kind, look in looks_of(kinds).items()] if platforms else []


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
