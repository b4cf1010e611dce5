"""The pictures of releases: bars are to scale, and their words are the figures."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from archcalc import generations
from archcalc.calculator.figures import Figures, compute
from archcalc.pictures import history
from archcalc.pictures.chapters import chapters
from archcalc.profiles import platforms
from archcalc.results.tables import human

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


def test_a_base_that_is_drawn_is_a_range(releases: list[Figures]) -> None:
    drawn = dict(zip([one.generation.label for one in releases], bars(history.bases(releases)), strict=True))
    fixed, lot = drawn["go1.25"], drawn["go1.26"]
    assert fixed[0] == "0xc000000000" and fixed[1] == 3
    least, _, most = lot[0].partition(" to ")
    assert (int(least, 16), int(most, 16)) == (64 << 20, 1 << 46)
    assert lot[1] == pytest.approx((history.WIDTH - history.LEFT - history.RIGHT) / 2, abs=0.1)


# ---- chapters: ports of every kind, whichever releases they have ----


@pytest.mark.parametrize(
    "port",
    ["linux/amd64", "linux/386", "windows/amd64", "js/wasm", "aix/ppc64", "ios/arm64", "openbsd/ppc64"],
)
def test_chapters_show_each_release_that_has_the_thing(port: str) -> None:
    known = [
        compute(platforms.load(port, name)) for name in generations.known() if port in platforms.names(name)
    ]
    told = {one.title: one.pictures for one in chapters(known)}
    assert ("One piece, until 1.10" in told) == (known[0].generation.era == "contiguous")
    (starts,) = told["A tree over all addresses, since 1.14"]
    for figures in known:
        in_arenas = figures.knows("layout.start_reserved")
        assert (f">{figures.generation.label}<" in starts) == in_arenas
        if in_arenas:
            assert human(int(figures.value("start_reserved"))) in starts


def test_pieces_of_a_start_add_up_to_it(releases: list[Figures]) -> None:
    """A piece without words in the legend would be missing from the bar."""
    for port in ("linux/amd64", "linux/386", "linux/mips", "js/wasm", "windows/arm64"):
        figures = compute(platforms.load(port, "1.27"))
        assert human(int(figures.value("start_reserved"))) in history.starts([figures])


def test_the_way_of_an_address_takes_all_its_bits(releases: list[Figures]) -> None:
    widths = [width for _, width in bars(history.way(releases[-1]))]
    scale = sum(widths) / 48
    assert [round(width / scale) for width in widths] == [22, 13, 13]
