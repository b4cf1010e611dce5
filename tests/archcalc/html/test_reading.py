"""Pages as a reader meets them: on a phone, in the dark, with a pointer, with the keyboard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser import Browser

from archcalc.cli import sizeclass
from archcalc.reading.errors import UsageFault

PHONE, DESK = 375, 1280
BACKGROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 28)"}


def archcalc(*arguments: str) -> None:
    """Runs a command."""
    subprocess.run([sys.executable, "-m", "archcalc", *arguments], capture_output=True, check=True)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of today's machine and of 2017's, of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    files = {name: folder / f"{name}.html" for name in ("report", "map", "map127", "heap", "heap127")}
    archcalc(
        "report", "linux/amd64", "linux/386", "--go", "7aefdfded", "--go", "1.27", "--html",
        str(files["report"]),
    )  # fmt: skip
    archcalc("map", "linux/amd64", "linux/386", "--format", "html", "-o", str(files["map"]))
    archcalc("map", "linux/amd64", "--go", "1.27", "--format", "html", "-o", str(files["map127"]))
    film = ("heap", "linux/386", "-n", "800", "--frames", "4", "--format", "html", "-o")
    archcalc(*film, str(files["heap"]))
    archcalc(*film, str(files["heap127"]), "--go", "1.27")
    return files


@pytest.mark.parametrize("kind", ["map", "map127", "heap", "heap127"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_makes_the_page_wider_than_the_window(
    window: Browser, pages: dict[str, Path], kind: str, width: int
) -> None:
    window.resize(width, 760)
    window.open(pages[kind])
    assert window.run("return document.documentElement.scrollWidth") <= width
    assert window.complaints() == []


@pytest.mark.parametrize("kind", ["map", "map127"])
def test_maps_are_whole_on_a_phone_and_their_letters_large_enough(
    window: Browser, pages: dict[str, Path], kind: str
) -> None:
    window.resize(PHONE, 760)
    window.open(pages[kind])
    maps = window.run(
        "return [...document.querySelectorAll('.maps svg')].filter((s) => s.clientWidth).map((s) => "
        "[s.getBoundingClientRect().right, s.getBoundingClientRect().width / s.viewBox.baseVal.width])"
    )
    assert len(maps) == (2 if kind == "map" else 1)
    assert all(right <= PHONE and 11 * scale >= 10 for right, scale in maps)
    outside = window.run(
        "return [...document.querySelectorAll('.narrow svg')].flatMap((s) => [...s.querySelectorAll('text')]"
        ".filter((t) => t.getBBox().x < 0 || t.getBBox().x + t.getBBox().width"
        " > s.viewBox.baseVal.width + 1).map((t) => t.textContent))"
    )
    assert outside == []


@pytest.mark.parametrize("kind", ["map", "map127", "heap", "heap127"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_legend_is_whole(window: Browser, pages: dict[str, Path], kind: str, width: int) -> None:
    window.resize(width, 760)
    window.open(pages[kind])
    ends = window.run(
        "return [...document.querySelectorAll('.swatches li, .note')].map((l) => "
        "[l.getBoundingClientRect().right, l.scrollWidth - l.clientWidth])"
    )
    assert len(ends) >= 5
    assert all(right <= width and hidden <= 0 for right, hidden in ends)
    drawn = window.run(
        "return [...document.querySelectorAll('.swatches rect')].map((r) => r.getAttribute('fill'))"
    )
    known = window.run("return [...document.querySelectorAll('pattern')].map((p) => `url(#${p.id})`)")
    assert {name for name in drawn if name} <= set(known)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_curves_have_the_colours_of_the_page(window: Browser, pages: dict[str, Path], scheme: str) -> None:
    pytest.importorskip("matplotlib")
    window.resize(DESK, 760, scheme=scheme)
    window.open(pages["heap"])
    assert window.run("return getComputedStyle(document.body).backgroundColor") == BACKGROUND[scheme]
    text = window.run("return getComputedStyle(document.querySelector('.plot text')).fill")
    assert text == window.run("return getComputedStyle(document.body).color")
    filled = window.run(
        "return [...document.querySelectorAll('.plot [id^=patch] path')].map((p) => getComputedStyle(p).fill)"
    )
    assert len(filled) >= 3 and set(filled) == {"none"}


def test_no_curve_lies_under_a_legend(window: Browser, pages: dict[str, Path]) -> None:
    pytest.importorskip("matplotlib")
    window.resize(DESK, 760)
    window.open(pages["heap"])
    under = window.run(
        "const boxes = (q) => [...document.querySelectorAll(q)].map((e) => e.getBoundingClientRect());"
        "const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;"
        "const legends = boxes('.plot [id^=legend]'), curves = boxes('.plot [id^=axes] > [id^=line2d]');"
        "return [legends.length, curves.length, legends.filter((l) => curves.some((c) => meet(l, c))).length]"
    )
    assert under[0] == 3 and under[1] >= 7 and under[2] == 0


def test_sizes_have_a_unit_beside_the_exact_number(window: Browser, pages: dict[str, Path]) -> None:
    window.resize(DESK, 760)
    window.open(pages["report"])
    cells = window.run(
        "return [...document.querySelectorAll('#overview td[data-reads]')].map((c) => "
        "[c.textContent, c.dataset.reads, c.title, getComputedStyle(c, '::after').content])"
    )
    assert ["549755813888", "512 GB", "549755813888 bytes = 512 GB", '"512 GB"'] in cells
    beside = {exact: reads for exact, reads, _, _ in cells}
    assert beside["567472562176"] == "≈ 529 GB" and beside["4096"] == "4 KB"


def test_address_bits_are_the_address_s(window: Browser, pages: dict[str, Path]) -> None:
    window.resize(DESK, 760)
    window.open(pages["report"])
    heads = window.run(
        "return [...document.querySelectorAll('#overview thead button')].map((b) => b.textContent)"
    )
    rows = window.run(
        "return [...document.querySelectorAll('#overview tbody tr')].map((r) => "
        "[...r.children].map((c) => c.textContent))"
    )
    found = {row[0]: (row[heads.index("address bits")], row[heads.index("arena bits")]) for row in rows}
    assert found == {
        "linux/amd64 7aefdfded": ("47", "39"), "linux/amd64 go1.27": ("47", ""),
        "linux/386 7aefdfded": ("32", "32"), "linux/386 go1.27": ("32", ""),
    }  # fmt: skip


# ---- films ----


@pytest.mark.parametrize("kind", ["heap", "heap127"])
def test_every_frame_of_a_film_shows_its_own_heap(window: Browser, pages: dict[str, Path], kind: str) -> None:
    window.resize(DESK, 760)
    window.open(pages[kind])
    seen = []
    for at in range(4):
        window.run(
            f"const r = document.getElementById('frame'); r.value = {at}; r.dispatchEvent(new Event('input'))"
        )
        seen.append(
            window.run(
                """const now = document.querySelectorAll('.fr.now');
                return [now.length, now[0].querySelectorAll('rect[fill]').length,
                  [...now[0].querySelectorAll('title')].map((t) => t.textContent).join("\\n"),
                  document.getElementById('moment').textContent,
                  document.getElementById('event').textContent]"""
            )
        )
    assert [count for count, *_ in seen] == [1] * 4
    assert all(drawn > 3 and "objects of" in told for _, drawn, told, _, _ in seen)
    assert len({told for _, _, told, _, _ in seen}) == len({words for *_, words, _ in seen}) == 4
    for *_, words, event in seen:
        assert words.startswith(event)


def test_play_goes_through_the_frames_and_stops(window: Browser, pages: dict[str, Path]) -> None:
    window.resize(DESK, 760)
    window.open(pages["heap"])
    window.click("#play")
    assert window.run("return document.activeElement.id") == "play"
    window.wait("document.getElementById('frame').value === '0'")
    window.wait("document.getElementById('frame').value === '1'")
    window.click("#play")
    assert window.run("return document.getElementById('play').textContent") == "Play"


# ---- tooltips ----


@pytest.mark.parametrize(("kind", "selector"), [("map", ".wide"), ("map127", ".wide"), ("heap", ".fr.now")])
def test_what_lies_under_the_pointer_says_what_it_is(
    window: Browser, pages: dict[str, Path], kind: str, selector: str
) -> None:
    window.resize(DESK, 1400)
    window.open(pages[kind])
    words = window.run(
        """return [...document.querySelectorAll(`${arguments[0]} rect[fill]`)].filter((rect) =>
          rect.getBoundingClientRect().width > 40 && !rect.getAttribute("fill-opacity")).map((rect) => {
            const box = rect.getBoundingClientRect();
            if (box.height < 6) return "low:";
            const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
            const told = hit.querySelector("title") ?? hit.parentElement.querySelector(":scope > title");
            return told?.textContent ?? `nothing at ${rect.outerHTML}`;
          })""",
        selector,
    )
    assert words
    assert [word for word in words if "nothing" in word or ":" not in word] == []


# ---- sizes ----


def explored(window: Browser) -> dict[str, str]:
    return dict(
        window.run(
            "return Object.fromEntries([...document.querySelectorAll('#class-answer dd')]"
            ".map((d) => [d.dataset.key, d.textContent]))"
        )
    )


@pytest.mark.parametrize(("size", "objects"), [("100", 73), ("1", 1024), ("9000", 6), ("32768", 1)])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_each_object_of_a_span_is_drawn(
    window: Browser, pages: dict[str, Path], size: str, objects: int, width: int
) -> None:
    window.resize(width, 760)
    window.turn(pages["report"], f"classes:linux%2Famd64%207aefdfded:{size}")
    drawn = window.run(
        "return [...document.querySelectorAll('.slots .object')].map((o) => "
        "[o.getBoundingClientRect().width, o.getBoundingClientRect().height, o.title])"
    )
    assert len(drawn) == objects == int(explored(window)["objects a span"])
    assert all(wide >= 3 and high >= 3 and told for wide, high, told in drawn)
    assert len({told for *_, told in drawn}) == objects


@pytest.mark.parametrize("release", ["7aefdfded", "1.27"])
@pytest.mark.parametrize(
    "size",
    ["0", "1", "15", "16", "24", "512", "513", "32759", "32760", "32761", "32768", "1.5m", "0x10000", "8e"],
)
def test_the_explorer_says_what_the_command_says(
    window: Browser, pages: dict[str, Path], release: str, size: str
) -> None:
    label = release if release == "7aefdfded" else f"go{release}"
    window.resize(DESK, 760)
    window.turn(pages["report"], f"classes:linux%2Famd64%20{label}:{size}")
    (known,) = sizeclass.command([size], "linux/amd64", go=release).records()
    pairs = explored(window)
    if not known["size"]:
        assert pairs["kind"].startswith("zerobase")
        return
    assert pairs["kind"].split()[0] == ("large" if known["large"] else "tiny" if known["tiny"] else "small")
    assert pairs["rounded to"] == f"{known['rounded']} bytes"
    assert pairs["lost inside"].startswith(f"{known['inside_waste']} bytes, ")
    assert pairs["objects a span"] == str(known["objects"])
    assert pairs["lost at its tail"] == f"{known['tail_waste']} bytes"
    assert pairs["span"].startswith(f"{known['span_pages']} page")
    shares = [float(pairs[key].rpartition(" ")[2].rstrip("%")) for key in ("lost inside", "lost in all")]
    assert shares == pytest.approx([known["rounding_share"] * 100, known["waste_share"] * 100], abs=0.051)
    pointers: dict[str, Any] | None = known.get("pointers")
    assert ("with pointers" in pairs) == bool(pointers)
    if pointers:
        assert pairs["with pointers"] == (
            f"class {pointers['class']}, {pointers['element']} bytes, {pointers['header']} of them a header;"
            f" {pointers['objects']} objects a span, {pointers['heap_bits']} bytes of heap bits and"
            f" {pointers['tail_waste'] + pointers['inline_marks']} bytes of tail"
        )


@pytest.mark.parametrize("size", ["", "1x", "-1", "1.3", "1,5k", "16e"])
def test_the_explorer_refuses_what_the_command_refuses(
    window: Browser, pages: dict[str, Path], size: str
) -> None:
    window.resize(DESK, 760)
    window.turn(pages["report"], "classes:linux%2Famd64%207aefdfded:100")
    window.run("const i = document.getElementById('size'); i.value = arguments[0];"
               "i.dispatchEvent(new Event('input'))", size)  # fmt: skip
    assert explored(window) == {}
    said = window.run("return document.querySelector('#class-answer .fault').textContent")
    with pytest.raises(UsageFault) as told:
        sizeclass.command([size], "linux/amd64")
    assert said.partition("; expected ")[2] == str(told.value).partition("; expected ")[2]


# ---- focus ----


def test_focus_stays_on_what_was_chosen(window: Browser, pages: dict[str, Path]) -> None:
    window.resize(DESK, 760)
    window.open(pages["report"], "figures")
    window.run("document.getElementById('platform').focus()")
    window.run(
        "const p = document.getElementById('platform'); p.value = 'linux/386 7aefdfded';"
        "p.dispatchEvent(new Event('change'))"
    )
    window.wait("document.querySelector('h2').textContent.includes('linux/386')")
    assert window.run("return document.activeElement.id") == "platform"


def test_focus_stays_on_a_heading_and_on_a_link(window: Browser, pages: dict[str, Path]) -> None:
    window.resize(DESK, 760)
    window.open(pages["report"])
    window.click("#overview th:nth-child(2) button")
    assert window.run("return document.activeElement.textContent") == "word"
    window.click("nav a[href='#figures']")
    window.wait("document.querySelector('h2').textContent.includes('Figures')")
    assert window.run("return document.activeElement.hash") == "#figures"


def test_what_was_typed_into_the_filter_stays(window: Browser, pages: dict[str, Path]) -> None:
    window.resize(DESK, 760)
    window.open(pages["report"], "figures")
    window.press("/", *"stack")
    count = window.run("return document.getElementById('figures-count').textContent")
    window.run("document.getElementById('release').dispatchEvent(new Event('change'))")
    assert window.run("return document.getElementById('figures-filter').value") == "stack"
    assert window.run("return document.getElementById('figures-count').textContent") == count


# ---- pictures by themselves ----


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_that_stands_alone_follows_the_system(window: Browser, tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "map.svg"
    archcalc("map", "linux/386", "--format", "svg", "-o", str(file))
    window.resize(DESK, 760, scheme=scheme)
    window.open(file)
    assert window.run("return getComputedStyle(document.querySelector('.bg')).fill") == BACKGROUND[scheme]
