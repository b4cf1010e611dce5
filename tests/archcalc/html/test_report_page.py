"""The report's page: in itself, and in a real browser."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def archcalc(*arguments: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "archcalc", *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    archcalc("report", "--html", str(file))
    return file


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(archcalc("report", "all", "--format", "json"))


def element(page: str, id: str) -> str:
    found = re.search(rf'<script type="[^"]*" id="{id}">(.*?)</script>', page, re.DOTALL)
    assert found, id
    return found[1]


def test_page_is_small_and_fetches_nothing(page: Path) -> None:
    text = page.read_text()
    assert len(text.encode()) <= 400 * 1024
    links = re.findall(r"""(?:src|href|url|action)\s*[=(]\s*["']?([^"')>\s]+)""", text)
    assert {link for link in links if not link.startswith(("#", "data:", "${", "`#"))} == set()
    assert set(re.findall(r"https?://[^\"'\s<)]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_page_holds_the_very_text_of_the_json_report(page: Path) -> None:
    packed = element(page.read_text(), "report-gz")
    order, *lines = gzip.decompress(base64.b64decode(packed)).decode().split("\n")
    text = "\n".join(lines[int(number)] for number in order.split(" "))
    assert text == archcalc("report", "all", "--format", "json")


def test_small_page_holds_it_in_plain_text(tmp_path: Path) -> None:
    file = tmp_path / "one.html"
    archcalc("report", "linux/386", "--set", "_PageShift=14", "--html", str(file))
    expected = json.loads(archcalc("report", "linux/386", "--set", "_PageShift=14", "--format", "json"))
    assert json.loads(element(file.read_text(), "report-json")) == expected
    assert "What if _PageShift=14" in file.read_text()
    more = json.loads(element(file.read_text(), "more-json"))
    shift = next(item for item in more["inventory"] if item["n"] == "_PageShift")
    assert shift["how"][0][1].startswith("14, by --set instead of ")


def test_same_figures_make_the_same_page(page: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    archcalc("report", "--html", str(again))
    assert again.read_bytes() == page.read_bytes()


def test_data_formats_are_not_changed_by_a_page(tmp_path: Path) -> None:
    printed = archcalc("report", "plan9/386", "--html", str(tmp_path / "p.html"), "--format", "json")
    assert printed == archcalc("report", "plan9/386", "--format", "json")


# ---- in a browser ----


TABLE = """return [...document.querySelectorAll('#%s tbody tr:not(.derivation)')].map(
  (row) => [...row.children].map((cell) => cell.textContent))"""

HEADS = "return [...document.querySelectorAll('#%s thead button')].map((button) => button.textContent)"


def number(text: str) -> int:
    return int(text, 16 if text.startswith("0x") else 10)


def test_overview_shows_the_numbers_of_the_json(window: Any, page: Path, document: Any) -> None:
    window.open(page)
    rows = window.run(TABLE % "overview")
    assert len(rows) == len(document["platforms"]) == 38
    for row, platform in zip(rows, document["platforms"], strict=True):
        layout, constants = platform["layout"], platform["constants"]
        assert row[0] == platform["name"]
        assert [number(text) for text in row[1:9]] == [
            platform["sys"]["PtrSize"], layout["arena_size"], layout["bitmap_size"], layout["spans_size"],
            layout["reservation_size"], layout["hints"][0], constants["_MHeapMap_TotalBits"],
            constants["_FixedStack"],
        ]  # fmt: skip
        assert row[9] == "booted"
    assert window.complaints() == []


@pytest.mark.parametrize("name", ["linux/amd64", "nacl/amd64p32", "windows/386"])
def test_every_figure_on_screen_is_the_json_s(window: Any, page: Path, document: Any, name: str) -> None:
    window.turn(page, f"figures:{name.replace('/', '%2F')}")
    platform = next(p for p in document["platforms"] if p["name"] == name)
    seen = {(row[3], row[0]): row[1] for row in window.run(TABLE % "figures")}
    expected: dict[tuple[str, str], Any] = {}
    for section in ("constants", "sys"):
        expected |= {(section, key): value for key, value in platform[section].items()}
    expected |= {("structs", key): value["size"] for key, value in platform["structs"].items()}
    layout = platform["layout"]
    for key in (
        "arena_size",
        "bitmap_size",
        "spans_size",
        "reservation_size",
        "bitmap_usable",
        "spans_usable",
    ):
        expected["layout", key] = layout[key]
    expected["layout", "hint0"] = layout["hints"][0]
    expected["layout", "hints"] = len(layout["hints"])
    expected |= {("layout", f"ladder{at}"): size for at, size in enumerate(layout["ladder"])}
    expected |= {("layout", f"stack_order{o['order']}"): o["size"] for o in layout["stack_orders"]}
    assert seen.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, bool):
            assert seen[key] == str(value).lower()
        elif isinstance(value, int):
            text = seen[key]
            assert (int(text, 16) if "0x" in text else int(text)) == value, key
        else:
            assert seen[key] == value
    assert window.complaints() == []


def test_filter_filters_and_says_how_many_are_left(window: Any, page: Path) -> None:
    window.open(page)
    window.press("/")
    assert window.run("return document.activeElement.id") == "overview-filter"
    for key in "linux mips":
        window.press(key)
    rows = window.run(TABLE % "overview")
    assert [row[0] for row in rows] == ["linux/mips", "linux/mips64", "linux/mips64le", "linux/mipsle"]
    assert window.run("return document.getElementById('overview-count').textContent") == "4 of 38 rows"


def test_sorting_goes_by_the_number_and_back(window: Any, page: Path) -> None:
    window.open(page)
    click = "document.querySelectorAll('#overview th button')[5].click()"
    window.run(click)
    sizes = [int(row[5]) for row in window.run(TABLE % "overview")]
    assert sizes == sorted(sizes)
    window.run(click)
    assert [int(row[5]) for row in window.run(TABLE % "overview")] == sorted(sizes, reverse=True)
    assert window.run("return document.querySelectorAll('#overview th')[5].ariaSort") == "descending"


def test_a_click_shows_how_a_figure_comes_about(window: Any, page: Path) -> None:
    window.open(page, "figures:linux%2Famd64")
    window.run(
        "[...document.querySelectorAll('#figures tr')].find((r) => r.children[0].textContent === '_MaxMem')"
        ".querySelector('button').click()"
    )
    text = window.run("return document.querySelector('tr.derivation').textContent")
    explained = json.loads(archcalc("explain", "_MaxMem", "linux/amd64", "--format", "json"))
    one = explained["explanations"][0]
    for step in one["steps"]:
        assert step in text
    assert one["source"] in text


@pytest.mark.parametrize("size", ["1", "17", "1200", "32768", "40k"])
def test_size_class_explorer_agrees_with_the_command(window: Any, page: Path, size: str) -> None:
    window.turn(page, f"classes:linux%2Famd64:{size}")
    pairs = window.run(
        "return Object.fromEntries([...document.querySelectorAll('#class-answer dd')]"
        ".map((d) => [d.dataset.key, d.textContent]))"
    )
    sizes = archcalc("sizeclass", size, "--platform", "linux/amd64", "--format", "json")
    (known,) = json.loads(sizes)["sizes"]
    assert pairs["rounded to"] == f"{known['rounded']} bytes"
    assert pairs["lost inside"].startswith(f"{known['inside_waste']} bytes, ")
    shares = [float(pairs[key].rpartition(" ")[2].rstrip("%")) for key in ("lost inside", "lost in all")]
    assert shares == pytest.approx([known["rounding_share"] * 100, known["waste_share"] * 100], abs=0.051)
    assert pairs["objects a span"] == str(known["objects"])
    assert pairs["lost at its tail"] == f"{known['tail_waste']} bytes"


def test_diff_has_what_the_command_has(window: Any, page: Path) -> None:
    window.open(page, "diff:linux%2Famd64:windows%2Famd64")
    rows = {row[0]: row[1:3] for row in window.run(TABLE % "diff")}
    assert rows["_MHeapMap_TotalBits"] == ["39", "35"]
    assert rows["GOOS"] == ["linux", "windows"]
    assert "_PageSize" not in rows


@pytest.mark.parametrize("view", ["overview", "figures", "maps", "classes", "diff", "checks", "boots"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_view_fits_the_window_and_is_readable(window: Any, page: Path, view: str, width: int) -> None:
    window.resize(width, 760)
    window.turn(page, view)
    assert window.run("return document.documentElement.scrollWidth") <= width
    assert window.run("return document.querySelector('nav a[aria-current]').hash") == f"#{view}"
    small = window.run(
        "return [...document.querySelectorAll('main td, main p, nav a')].filter((e) => e.offsetHeight"
        " && parseFloat(getComputedStyle(e).fontSize) < 11).length"
    )
    assert small == 0
    assert window.complaints() == []


def test_overview_is_cards_on_a_phone(window: Any, page: Path) -> None:
    window.resize(360, 760)
    window.open(page)
    cell = "document.querySelector('#overview tbody tr').children[5]"
    assert window.run(f"return getComputedStyle({cell}).display") == "block"
    assert "reservation" in window.run(f"return getComputedStyle({cell}, '::before').content")
    assert window.run(f"return {cell}.getBoundingClientRect().right") <= 360


def test_keys_and_colours(window: Any, page: Path) -> None:
    window.open(page)
    window.press("3")
    assert window.run("return location.hash") == "#maps"
    assert window.run("return document.querySelectorAll('.maps svg').length") == 1
    backgrounds = []
    for _ in range(3):
        window.run("document.getElementById('theme').click()")
        theme = window.run("return document.getElementById('theme').dataset.chosen")
        backgrounds.append((theme, window.run("return getComputedStyle(document.body).backgroundColor")))
    assert dict(backgrounds)["light"] == "rgb(255, 255, 255)"
    assert dict(backgrounds)["dark"] == "rgb(22, 24, 28)"
    assert window.complaints() == []


def test_plots_add_a_film_that_can_be_stepped_through(window: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "plots.html"
    archcalc("report", "linux/386", "--html", str(file), "--plots", "trees")
    window.open(file, "heap")
    seen = (
        "return [...document.querySelectorAll('.fr')].filter((f) => "
        "getComputedStyle(f).visibility === 'visible').length"
    )
    assert window.run("return document.querySelectorAll('.fr').length") == 16
    assert window.run(seen) == 1
    last = window.run("return document.getElementById('event').textContent")
    window.run("const r = document.getElementById('frame'); r.value = 3; r.dispatchEvent(new Event('input'))")
    assert window.run("return document.getElementById('event').textContent") != last
    assert window.run(seen) == 1
    assert window.run("return document.querySelectorAll('.plot svg').length") == 1
    assert window.complaints() == []


def test_page_of_a_heap_plays(window: Any, tmp_path: Path) -> None:
    file = tmp_path / "heap.html"
    archcalc("heap", "linux/386", "-n", "500", "--frames", "4", "--html", str(file))
    file.write_text(file.read_text().replace("<html ", '<html data-ready="yes" '))
    window.open(file)
    window.run("document.getElementById('play').click()")
    texts = set()
    for _ in range(40):
        texts.add(window.run("return document.getElementById('event').textContent"))
        if len(texts) == 4:
            break
        __import__("time").sleep(0.1)
    assert len(texts) == 4
    assert window.complaints() == []


# ---- several releases ----


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "releases.html"
    options = [word for release in ("7aefdfded", "1.21", "1.27") for word in ("--go", release)]
    archcalc("report", "linux/amd64", "linux/386", *options, "--html", str(file))
    return file


def test_a_page_of_releases_shows_all_and_then_the_one_that_is_chosen(window: Any, releases: Path) -> None:
    window.open(releases)
    names = [row[0] for row in window.run(TABLE % "overview")]
    assert len(names) == 6 and "linux/386 go1.27" in names and "linux/amd64 7aefdfded" in names
    window.run("""const chosen = document.getElementById("release");
      chosen.value = "go1.21"; chosen.dispatchEvent(new Event("change"))""")
    rows = window.run(TABLE % "overview")
    assert [row[0] for row in rows] == ["linux/amd64 go1.21", "linux/386 go1.21"]
    heads = window.run(HEADS % "overview")
    assert [number(row[heads.index("an arena")]) for row in rows] == [64 << 20, 4 << 20]


def test_figures_of_a_chosen_release_have_its_packages(window: Any, releases: Path) -> None:
    window.open(releases)
    window.run("""const chosen = document.getElementById("release");
      chosen.value = "go1.27"; chosen.dispatchEvent(new Event("change")); location.hash = "#figures" """)
    window.run("document.dispatchEvent(new Event('x'))")
    rows = {row[0]: row[1] for row in window.run(TABLE % "figures")}
    assert rows["GreenTeaGC"] == "true" and number(rows["start_reserved"]) == 1252130816


@pytest.mark.parametrize(
    "view", ["overview", "history", "figures", "maps", "classes", "diff", "checks", "boots"]
)
def test_every_view_of_a_page_of_releases_shows(window: Any, releases: Path, view: str) -> None:
    window.turn(releases, view)
    assert window.run("return document.querySelector('#view h2').textContent")
    assert window.run("return document.querySelector('nav a[aria-current]').hash") == f"#{view}"


def test_the_history_shows_the_releases_of_the_port_that_is_chosen(window: Any, releases: Path) -> None:
    window.open(releases)
    window.run("location.hash = '#history'; dispatchEvent(new Event('hashchange'))")
    labels = "return [...document.querySelectorAll('#view svg text')].map((one) => one.textContent)"
    assert {"7aefdfded", "go1.21", "go1.27"} <= set(window.run(labels))
    window.run("""const chosen = document.getElementById("history-port");
      chosen.value = "linux/386"; chosen.dispatchEvent(new Event("change"));
      dispatchEvent(new Event("hashchange"))""")
    assert "Addresses that a start takes on linux/386" in window.run(labels)
    painted = """return [...document.querySelectorAll("#view rect[fill^=url]")]
      .map((one) => one.attributes.fill.value)"""
    for paint in set(window.run(painted)):
        assert window.run(f"return document.querySelector('{paint[4:-1]}') !== null"), paint
    assert window.complaints() == []


def test_a_page_of_one_release_has_no_history(page: Path) -> None:
    assert "#history" not in page.read_text()
