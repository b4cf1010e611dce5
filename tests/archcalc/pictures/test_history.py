"""The pictures of releases: bars are to scale, and their words are the figures."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from archcalc import generations
from archcalc.calculator.figures import Figures, compute
from archcalc.pictures import history
from archcalc.profiles import platforms

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def releases() -> list[Figures]:
    names = [name for name in generations.known() if generations.said(name, "era") == "sparse"]
    return [compute(platforms.load("linux/amd64", name)) for name in names]


def bars(picture: str) -> list[tuple[str, float]]:
    """What each piece is and how wide it is drawn."""
    found = []
    for rect in ElementTree.fromstring(picture).iter(f"{SVG}rect"):
        title = rect.find(f"{SVG}title")
        if title is not None and title.text:
            found.append((title.text.partition(":")[0], float(rect.get("width", "0"))))
    return found


def test_every_release_has_its_bar(releases: list[Figures]) -> None:
    for picture in (history.starts(releases), history.records(releases), history.pages(releases, 16)):
        for figures in releases:
            assert f">{figures.generation.label}<" in picture


def test_pieces_are_to_one_scale(releases: list[Figures]) -> None:
    drawn = bars(history.starts(releases))
    summaries = [width for name, width in drawn if name == "page summaries"]
    index = [width for name, width in drawn if name == "scavenge index"]
    assert max(summaries) - min(summaries) < 0.2  # the same in all
    assert index[0] < 4 and index[-1] / summaries[-1] == pytest.approx(512 / 585.125, rel=0.01)


def test_a_page_tells_its_objects(releases: list[Figures]) -> None:
    assert re.findall(r"(\d+) objects<", history.pages(releases, 16))[-1] == "496"


def test_the_way_of_an_address_takes_all_its_bits(releases: list[Figures]) -> None:
    widths = [width for _, width in bars(history.way(releases[-1]))]
    scale = sum(widths) / 48
    assert [round(width / scale) for width in widths] == [22, 13, 13]
