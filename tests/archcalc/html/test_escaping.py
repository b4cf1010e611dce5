"""Whatever a profile or a file is called, a page shows the name and does not obey it."""

from __future__ import annotations

import dataclasses
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import Browser

from archcalc.calculator import figures
from archcalc.html import notebook, report
from archcalc.library.heap import Heaps
from archcalc.library.map import Mapped, atlases_of
from archcalc.library.report import Report
from archcalc.machines.options import MachineOptions
from archcalc.pictures import film
from archcalc.pictures.everything import everything
from archcalc.profiles import platforms
from archcalc.render import Page
from archcalc.render import json as json_form

EVIL = "</script><!--<script></title><img src=x onerror=\"window.hacked = 'yes'\">{{ 7 * 7 }}&amp;'"


class Seen(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile() -> figures.Figures:
    """A platform with such a name, which no profile may have: the pages do not lean on that."""
    profile = platforms.load("linux/386")
    return figures.compute(dataclasses.replace(profile, name=EVIL, file=f"{EVIL}.yaml"))


def pages() -> dict[str, str]:
    """A page of each kind, and a notebook's cell."""
    found = hostile()
    taken = dataclasses.replace(
        film.of_workload(figures.compute(found.profile), "tiny", 300, 1, frames=2), subject=EVIL
    )
    mapped = Mapped(list(atlases_of(found, MachineOptions())))
    document = "".join(json_form.render(Report([found]), Page()))
    return {
        "report": report.page(everything([found], {EVIL: 1}), document, taken),
        "map": mapped.html(),
        "heap": Heaps([taken]).html(),
        "cell": notebook.shown(Report([found])),
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("evil")
    files = {}
    for name, text in pages().items():
        files[name] = folder / f"{name}.html"
        files[name].write_text(text)
    return files


@pytest.mark.parametrize("kind", ["report", "map", "heap", "cell"])
def test_a_name_makes_no_element(written: dict[str, Path], kind: str) -> None:
    seen = Seen(written[kind].read_text())
    assert "img" not in seen.tags
    assert EVIL in seen.text


def test_the_data_hold_the_name_as_it_is(written: dict[str, Path]) -> None:
    page = written["report"].read_text()
    text = page.partition('id="report-json">')[2].partition("</script>")[0]
    assert json.loads(text)["platforms"][0]["name"] == EVIL


@pytest.mark.parametrize(
    "view", ["overview", "figures", "maps", "classes", "diff", "checks", "boots", "heap"]
)
def test_no_view_obeys_the_name(window: Browser, written: dict[str, Path], view: str) -> None:
    window.open(written["report"], view)
    if view == "figures":
        window.run("document.querySelectorAll('button.how').forEach((button) => button.click())")
    assert window.run("return window.hacked") is None
    assert window.run("return document.querySelectorAll('img').length") == 0
    assert window.complaints() == []


@pytest.mark.parametrize("kind", ["map", "heap"])
def test_no_page_obeys_the_name(window: Browser, written: dict[str, Path], kind: str) -> None:
    window.open(written[kind])
    assert window.run("return window.hacked") is None
    assert EVIL in window.run("return document.querySelector('h1').textContent")
    assert window.complaints() == []
