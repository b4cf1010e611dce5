"""Results made by hand: the renderers are tested on these, never on what a command computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.result import Result
from archcalc.results.tables import Block, Bytes, Column, Hex, NotApplicable, Prose, Section, Table

BIG = 0xFFFF_FFFF_FFFF_FFFF


class Figures(Result):
    """Two platforms' figures with one of every type of value."""

    columns = (Column("name"), Column("linux/amd64"), Column("linux/386"), Column("why", wrap=True))
    rows = (
        ("uintptrMask", Hex(BIG), Hex(0xFFFF_FFFF), "all bits of a pointer"),
        ("_PageSize", Bytes(8192), Bytes(8192), 'a "page", in bytes|kept'),
        ("usesLR", False, False, "no link register"),
        (
            "hint",
            Hex(0xC0_0000_0000),
            NotApplicable("32-bit platforms take the hint from the data segment"),
            None,
        ),
    )

    def document(self) -> Mapping[str, object]:
        return {
            "platforms": [
                {
                    "platform": "linux/amd64",
                    "constants": {"uintptrMask": Hex(BIG), "usesLR": False},
                    "hints": [1, 2],
                },
                {
                    "platform": "linux/386",
                    "constants": {"uintptrMask": Hex(0xFFFF_FFFF), "usesLR": False},
                    "hint": NotApplicable("none here"),
                    "hints": [],
                },
            ]
        }

    def view(self) -> Sequence[Section | Block]:
        return (
            Section("Figures", (Table(self.columns, self.rows, notes=("A note.",)),)),
            Prose("Words that stand below the table and are long enough to be wrapped on a narrow page."),
        )


class Checked(Judged):
    """A check that failed, one that a baseline knows, a warning, one that held and one skipped."""

    def cases(self) -> Iterable[Case]:
        failing = Finding(
            "layout.covers",
            "linux/amd64",
            Severity.ERROR,
            "bitmap: 1 byte short,\n50% of it",
            family="layout",
            subject="bitmap_size",
            file="ports/my port,1.yaml",
            line=3,
            column=7,
            data={"bytes": Hex(BIG)},
        )
        known = Finding(
            "layout.covers", "linux/386", Severity.ERROR, "known", subject="bitmap_size", known=True
        )
        warning = Finding("stacks.dead", "linux/386", Severity.WARNING, "order 3 is dead", subject="order 3")
        info = Finding("stacks.note", "linux/386", Severity.INFO, "a \x1b control character")
        return (
            Case("layout.covers", "linux/amd64", (failing,)),
            Case("layout.covers", "linux/386", (known,)),
            Case("stacks.dead", "linux/386", (warning,), seconds=0.25),
            Case("stacks.note", "linux/386", (info,)),
            Case("structs.align", "linux/386"),
            Case("structs.size", "linux/386", skipped="no such struct"),
        )

    def rules(self) -> Iterable[Rule]:
        return (
            Rule(
                "layout.covers",
                "layout",
                Severity.ERROR,
                "The bitmap covers the arena",
                "Each word has 2 bits.",
            ),
            Rule(
                "stacks.dead",
                "stacks",
                Severity.WARNING,
                "No order is dead",
                "An order that is never asked for.",
            ),
        )

    def document(self) -> Mapping[str, object]:
        return {"ok": self.ok, "findings": [f.document() for case in self.cases() for f in case.findings]}

    def view(self) -> Sequence[Section | Block]:
        return (Prose("2 findings"),)


@pytest.fixture
def figures() -> Figures:
    return Figures()


@pytest.fixture
def checked() -> Checked:
    return Checked()
