"""One thing is never told as several."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archcalc.calculator import figures
from archcalc.profiles import platforms
from archcalc.reading.words import counted, plural

TREE = Path(__file__).parents[3] / "archcalc"


@pytest.mark.parametrize(
    ("noun", "several"),
    [("byte", "bytes"), ("class", "classes"), ("entry", "entries"), ("day", "days"), ("match", "matches")],
)
def test_plurals_of_the_nouns_that_are_counted(noun: str, several: str) -> None:
    assert plural(noun) == several
    assert [counted(n, noun) for n in (0, 1, 2)] == [f"0 {several}", f"1 {noun}", f"2 {several}"]


@pytest.mark.parametrize("name", ["linux/amd64", "linux/386"])
def test_no_step_of_a_layout_has_1_bytes(name: str) -> None:
    own = figures.compute(platforms.load(name))
    steps = [step for struct in own.structs for step in own.explain(struct).steps]
    assert any(" 1 byte" in step for step in steps)
    assert not [step for step in steps if re.search(r"\b1 bytes", step)]


def test_nobody_makes_plurals_by_hand() -> None:
    by_hand = re.compile(r"""\{(''|"") if .* == 1 else '?"?s""")
    found = [path for path in TREE.rglob("*.py") if by_hand.search(path.read_text(encoding="utf-8"))]
    assert found == []
