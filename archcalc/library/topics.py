"""What `explain` knows beside figures and checks: the runtime's last words, and why VIRT is so large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from archcalc.calculator.figures import Figures
from archcalc.calculator.inventory import labels
from archcalc.questions import throws, vsz
from archcalc.questions.throws import LastWords
from archcalc.questions.vsz import Footprint
from archcalc.results.result import Result
from archcalc.results.tables import Block, Bytes, Column, Prose, Section, Table

ALL_ERAS = tuple(throws.FILES)
VSZ = ("vsz", "virt", "VSZ", "VIRT")


class WordsExplained(Result):
    """Places in the source that say these words."""

    def __init__(self, asked: str, rows: Sequence[LastWords]) -> None:
        self.asked = asked
        self.rows = rows

    def document(self) -> Mapping[str, object]:
        return {"name": self.asked, "kind": "throw", "throws": [describe(row) for row in self.rows]}

    def sheet(self) -> Table:
        columns = [Column(key) for key in ("site", "kind", "words", "means", "when", "mends")]
        return Table(columns, [[str(describe(row)[c.name]) for c in columns] for row in self.rows])

    def view(self) -> Iterable[Section]:
        for row in self.rows:
            where = ", ".join(
                part for part in (row.site, row.function, row.go and f"up to Go {row.go}") if part
            )
            yield Section(f"{row.kind}: {row.words} ({where})", tuple(words_blocks(row)))


def describe(row: LastWords) -> dict[str, object]:
    """A row as JSON has it."""
    return {
        "site": row.site,
        "also": list(row.also),
        "function": row.function or None,
        "until": row.go or None,
        "kind": row.kind,
        "words": row.words,
        "printed": list(row.printed),
        "means": row.means,
        "when": row.when,
        "mends": row.mends,
        "incidents": list(row.incidents),
        "unreachable": row.unreachable or None,
        "scope": row.scope or None,
    }


def words_blocks(row: LastWords) -> Iterable[Block]:
    """What a row tells, paragraph by paragraph."""
    if row.printed:
        yield Prose("\n".join(row.printed), "printed before", verbatim=True)
    if row.means:
        yield Prose(row.means)
    if row.when:
        yield Prose(row.when, "when")
    if row.mends:
        yield Prose(row.mends, "what helps")
    if row.unreachable:
        yield Prose(row.unreachable, "no input leads here")
    if row.scope:
        yield Prose(row.scope, "not modelled")
    if row.incidents:
        files = "\n".join(f"archcalc run incidents/{name} --verbose" for name in row.incidents)
        yield Prose(files, "shown by", verbatim=True)


class FootprintExplained(Result):
    """The address space of programs that have just begun."""

    def __init__(self, found: Sequence[Footprint]) -> None:
        self.found = found

    def document(self) -> Mapping[str, object]:
        return {"name": "vsz", "kind": "topic", "platforms": [footprint(one) for one in self.found]}

    def sheet(self) -> Table:
        columns = (
            Column("platform"),
            Column("part"),
            Column("planned", Bytes),
            Column("held", Bytes),
            Column("mapped", Bytes),
        )
        rows = [(one.platform, p.name, p.planned, p.held, p.mapped) for one in self.found for p in one.parts]
        return Table(columns, rows)

    def view(self) -> Iterable[Section]:
        columns = (
            Column("part"),
            Column("set aside", Bytes),
            Column("in VIRT", Bytes),
            Column("mapped", Bytes),
            Column("what it is", wrap=True),
        )
        for one in self.found:
            rows: list[tuple[str, Bytes | None, Bytes, Bytes, str]] = [
                (p.name, Bytes(p.planned), Bytes(p.held), Bytes(p.mapped), p.why) for p in one.parts
            ]
            rows.append(
                ("in all", None, Bytes(one.virt), Bytes(one.mapped), "the resident size is smaller still")
            )
            title = f"VIRT of a program on {one.platform} with one object on its heap"
            yield Section(title, (*((Table(columns, rows),) if one.parts else ()), Prose(vsz.story(one))))


def footprint(one: Footprint) -> dict[str, object]:
    """A footprint as JSON has it, in bytes."""
    return {
        "platform": one.platform,
        "virt": one.virt,
        "mapped": one.mapped,
        "reserved": one.reserved,
        "attempts": one.attempts,
        "throw": one.death or None,
        "parts": [
            {"part": p.name, "planned": p.planned, "held": p.held, "mapped": p.mapped, "why": p.why}
            for p in one.parts
        ],
        "story": vsz.story(one),
    }


def about_vsz(targets: Sequence[Figures]) -> FootprintExplained:
    """The footprint on each platform, in each release."""
    found = [
        replace(vsz.footprint(figures), platform=label)
        for figures, label in zip(targets, labels(targets), strict=True)
    ]
    return FootprintExplained(found)


def eras(releases: Iterable[str]) -> list[str]:
    """The families of machines that releases have, each once."""
    from archcalc import generations

    return list(dict.fromkeys(generations.load(release).era for release in releases))


def about_words(words: str, eras: Sequence[str] = ALL_ERAS) -> WordsExplained | None:
    """The places in the source that these words come from; None where they are unknown.

    They are looked for in the first of the families of machines that says something like it.
    """
    rows = next((found for era in eras if (found := throws.find(words, era))), [])
    return WordsExplained(words, rows) if rows else None
