"""Address maps: what they say, and that they are drawn to scale, in any width, charset and format."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc import generations
from archcalc.calculator.figures import compute
from archcalc.library.map import Mapped, atlases_of
from archcalc.machines.options import MachineOptions
from archcalc.pictures import map_svg, map_text, palette
from archcalc.pictures.atlas import Atlas, AtlasRegion, tiled
from archcalc.pictures.zoom import levels
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault
from archcalc.render import Page, render


def atlases(name: str, after: str | None = None, **machine: object) -> list[Atlas]:
    return list(atlases_of(compute(platforms.load(name)), MachineOptions(**machine), after, 400))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def everywhere() -> list[Atlas]:
    return [atlas for name in platforms.names() for atlas in atlases(name, "mixed")]


def test_regions_tile_the_user_addresses_everywhere(everywhere: list[Atlas]) -> None:
    assert len(everywhere) == 2 * 38
    for atlas in everywhere:
        assert atlas.regions[0].start == atlas.low and atlas.regions[-1].end == atlas.high
        assert all(a.end == b.start for a, b in pairwise(atlas.regions))
        assert all(r.start < r.end and r.kind in palette.LOOKS for r in atlas.regions)


def test_the_known_addresses_are_where_people_meet_them() -> None:
    before, after = atlases("linux/amd64", "mixed")
    used = next(r for r in after.regions if r.kind == "arena-used")
    assert used.start == 0xC420000000
    assert {0xC000000000, 0xC420000000} <= {mark.address for mark in before.marks}
    assert not any(r.kind == "arena-used" for r in before.regions)
    sizes = {
        kind: sum(r.size for r in after.regions if r.kind.startswith(kind))
        for kind in ("spans", "bitmap", "arena")
    }
    assert sizes == {"spans": 512 << 20, "bitmap": 16 << 30, "arena": (512 << 30) + 8192}


def test_a_taken_hint_is_refused_and_says_why() -> None:
    (atlas,) = atlases("linux/amd64", taken=((0xC000000000, 0xC040000000),))
    first, second = atlas.asked[:2]
    assert (first.state, first.obstacle) == ("refused", "0xc000000000-0xc040000000 is taken")
    assert (second.address, second.state) == (0x1C000000000, "had")
    assert {one.state for one in atlas.asked[2:]} == {"untried"} and len(atlas.asked) == 128
    assert any(r.kind == "foreign" and r.start == 0xC000000000 and r.size == 1 << 30 for r in atlas.regions)


def test_holes_are_what_is_free_largest_first() -> None:
    (atlas,) = atlases("linux/386")
    holes = atlas.holes()
    assert [h.size for h in holes] == sorted((h.size for h in holes), reverse=True)
    assert holes[0].size > 2 << 30


def test_a_machine_that_does_not_boot_is_drawn_too() -> None:
    (atlas,) = atlases("linux/386", ulimit_v=200 << 20)
    assert atlas.outcome.endswith("cannot reserve arena virtual address space")
    assert [one.state for one in atlas.asked] == ["refused"] * 4
    assert all("ulimit -v" in one.obstacle for one in atlas.asked)
    assert {r.kind for r in atlas.regions} == {"free", "foreign"}


def test_an_arena_that_reaches_beyond_the_addresses_is_reported() -> None:
    (atlas,) = atlases("linux/arm64", va_bits=39)
    assert atlas.high == 1 << 39
    assert "counts on addresses to 0xc420002000" in atlas.outcome


@st.composite
def layers(draw: st.DrawFn) -> list[list[AtlasRegion]]:
    kinds = st.sampled_from(["spans", "bitmap", "arena", "foreign", "own"])
    region = st.builds(
        lambda a, n, k: AtlasRegion(a, a + n, k, k), st.integers(-50, 250), st.integers(0, 80), kinds
    )

    def apart(found: list[AtlasRegion]) -> list[AtlasRegion]:
        kept: list[AtlasRegion] = []
        for one in sorted(found, key=lambda r: r.start):
            if not kept or one.start >= kept[-1].end:
                kept.append(one)
        return kept

    return draw(st.lists(st.lists(region, max_size=6).map(apart), max_size=3))


@given(layers())
def test_tiling_gives_each_address_to_the_first_layer_that_has_it(found: list[list[AtlasRegion]]) -> None:
    tiles = list(tiled(found, 0, 200))
    assert tiles[0].start == 0 and tiles[-1].end == 200
    assert all(a.end == b.start and (a.kind, a.what) != (b.kind, b.what) for a, b in pairwise(tiles))
    for address in range(200):
        owner = next((r.kind for layer in found for r in layer if r.start <= address < r.end), "free")
        assert next(t.kind for t in tiles if t.start <= address < t.end) == owner


def test_enlargements_show_what_was_too_small(everywhere: list[Atlas]) -> None:
    for atlas in everywhere:
        for cells in (42, 90, 150):
            shown = levels(atlas, cells)
            assert (shown[0].low, shown[0].high, shown[0].number) == (0, atlas.high, 0)
            for level in shown:
                for group in level.groups:
                    assert level.low <= group.low < group.high <= level.high
                    assert group.size * 2 < level.size
                    assert group.depth == level.depth + 1 <= 4
            assert [level.number for level in shown] == list(range(len(shown)))


def test_bars_are_to_scale() -> None:
    (atlas,) = atlases("linux/386")
    cells = 400
    kinds = map_text.shown_kinds(levels(atlas, cells)[0], cells)
    for kind in ("bitmap", "arena"):
        share = sum(r.size for r in atlas.regions if r.kind == kind) / atlas.high
        assert kinds.count(kind) == pytest.approx(share * cells, abs=2)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 92, 120, 200, 500])
@pytest.mark.parametrize("unicode", [True, False])
def test_text_fits_the_width_and_the_charset(everywhere: list[Atlas], width: int, unicode: bool) -> None:
    for atlas in everywhere[::7]:
        lines = map_text.draw([atlas, atlas], width, unicode, False)
        drawn = lines[: lines.index("", 5)] if width >= 40 else []
        assert all(len(line) <= width for line in drawn), width
        if not unicode:
            assert "\n".join(lines).isascii()


def test_several_stand_side_by_side_where_there_is_room() -> None:
    two = atlases("linux/amd64") + atlases("linux/386")
    wide = map_text.draw(two, 120, True, False)
    assert "linux/amd64" in wide[0] and "linux/386" in wide[0]
    narrow = map_text.draw(two, 60, True, False)
    assert "linux/386" not in narrow[0] and any("linux/386, after boot" in line for line in narrow)


def test_colour_only_adds_to_what_letters_say() -> None:
    found = atlases("linux/amd64", "mixed")
    plain = map_text.draw(found, 100, True, False)
    colored = map_text.draw(found, 100, True, True)
    assert plain != colored
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in colored] == plain


def test_kinds_differ_by_letter_and_by_pattern_or_lightness() -> None:
    one_arena, arenas = palette.REGIONS, {**palette.ARENAS, **{k: palette.REGIONS[k] for k in SHARED}}
    for looks in (one_arena, arenas, palette.SPANS):
        assert len({look.letter for look in looks.values()}) == len(looks)
        for one, other in combinations(looks.values(), 2):
            different = abs(lightness(one.color) - lightness(other.color)) > 0.03
            assert different or one.pattern != other.pattern, (one.words, other.words)


def lightness(color: str) -> float:
    """Relative luminance, which people with any kind of colour blindness see much alike."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_svg_is_well_formed_everywhere_and_says_what_it_shows(everywhere: list[Atlas]) -> None:
    for atlas in everywhere:
        root = ET.fromstring(map_svg.draw([atlas]))
        space = "{http://www.w3.org/2000/svg}"
        assert root.tag == f"{space}svg" and root.get("role") == "img"
        assert root.findtext(f"{space}title") == f"Address space of {atlas.platform}"
        width, height = float(root.get("width", "")), float(root.get("height", ""))
        for rect in root.iter(f"{space}rect"):
            if rect.get("x"):
                assert float(rect.get("x", "")) >= 0
                assert float(rect.get("x", "")) + float(rect.get("width", "")) <= width + 1.6
                assert float(rect.get("y", "")) <= height
        known = {pattern.get("id") for pattern in root.iter(f"{space}pattern")}
        used = set(re.findall(r"url\(#([^)]+)\)", ET.tostring(root, encoding="unicode")))
        assert used and used <= known


def test_every_format_has_the_same_regions() -> None:
    result = Mapped(atlases("linux/amd64"))
    for format in result.formats:
        text = "".join(render(result, format, Page(120)))
        assert "runtime's own" in text.replace("&#x27;", "'"), format
    page = "".join(render(result, "html", Page()))
    assert page.startswith("<!doctype html>") and page.count('role="img"') == 2  # wide, and for phones
    assert "http://" not in page.replace("http://www.w3.org/", "")


def test_an_unknown_workload_is_reported_with_what_was_meant() -> None:
    from archcalc.cli.picture import parse_workload

    assert parse_workload("smoke:mixed") == parse_workload("mixed") == "mixed"
    with pytest.raises(UsageFault, match="did you mean 'mixed'"):
        parse_workload("mixd")
    with pytest.raises(UsageFault):
        parse_workload("")


@pytest.mark.parametrize(
    ("environment", "beyond"),
    [
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "en_GB.utf8"}, True),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "C"}, False),
        ({"LC_CTYPE": "POSIX", "LANG": "C.UTF-8"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({}, False),
        ({"PYTHONUTF8": "1"}, True),
        ({"PYTHONIOENCODING": "ascii", "LANG": "C.UTF-8"}, False),
    ],
)
def test_the_locale_says_whether_there_is_more_than_ascii(
    environment: dict[str, str], beyond: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archcalc.cli.reporter import beyond_ascii

    for name in ("LANG", "LC_ALL", "LC_CTYPE", "PYTHONUTF8", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert beyond_ascii() is beyond


SHARED = ("free", "foreign", "own", "arena")  # kinds that heaps in arenas have too
RELEASES = [name for name in generations.known() if generations.said(name, "era") == "sparse"]


@pytest.mark.parametrize("go", RELEASES)
@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386", "windows/amd64", "openbsd/arm64"])
def test_heaps_in_arenas_are_drawn_whole(platform: str, go: str) -> None:
    figures = compute(platforms.load(platform, go), None, go)
    for atlas in atlases_of(figures, MachineOptions()):
        assert atlas.outcome == "booted"
        assert {r.kind for r in atlas.regions} <= set(palette.LOOKS)
        assert {"heap-used", "foreign", "free"} <= {r.kind for r in atlas.regions}
        assert [r.end for r in atlas.regions[:-1]] == [r.start for r in atlas.regions[1:]]
        ET.fromstring(map_svg.draw([atlas]))


def test_a_heap_in_arenas_says_where_it_asked_and_where_it_would_have() -> None:
    figures = compute(platforms.load("linux/amd64", "1.25"), None, "1.25")
    (atlas,) = atlases_of(figures, MachineOptions(taken=((0xC000000000, 0xC000001000),)))
    states = {one.address: one.state for one in atlas.asked}
    assert (states[0xC000000000], states[0x1C000000000]) == ("moved", "had")
    assert states[0x2C000000000] == "untried"


def test_named_mappings_are_listed_as_the_kernel_has_them() -> None:
    found = compute(platforms.load("linux/amd64", go="1.27"), go="1.27")
    mapped = Mapped(list(atlases_of(found, MachineOptions())))
    (told,) = mapped.document()["maps"]  # type: ignore[attr-defined]
    first, second = told["mappings"][:2]
    assert first == {
        "start": 0xC000000000,
        "end": 0xC000400000,
        "permissions": "rw-p",
        "name": "[anon: Go: heap]",
    }
    assert (second["start"], second["name"]) == (0xC000400000, "[anon: Go: heap reservation]")
    (told,) = Mapped(list(atlases_of(compute(platforms.load("linux/amd64")), MachineOptions()))).document()[
        "maps"
    ]  # type: ignore[attr-defined]
    assert told["mappings"] == []
