"""Every release's figures are what the Go type checker computes for the port from that release's own files.

The data have all ports of a release: constants of package runtime and of those beside it, and the structs,
by the gc compiler's rules. What systems' headers say (_PROT_NONE and its like) comes from the profiles.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import golang
import pytest
import typechecker

from archcalc import generations
from archcalc.calculator.figures import Figures, compute
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault

DATA = Path(__file__).parents[2] / "data" / "facts"
RELEASES = tuple(name for name in generations.known() if name.startswith("1."))


def checked(release: str) -> Iterator[dict[str, Any]]:
    """What the type checker says, port by port."""
    with lzma.open(DATA / f"go{release}.jsonl.xz", "rt") as lines:
        for line in lines:
            yield json.loads(line)


def plain(value: Any) -> Any:
    return value if isinstance(value, bool | str) else int(value)


@pytest.mark.parametrize("release", RELEASES)
def test_all_ports_constants_and_structs(release: str) -> None:
    generation = generations.load(release)
    ports = list(checked(release))
    assert sorted(port["platform"] for port in ports) == sorted(generation.ports)
    for port in ports:
        found = compute(platforms.load(port["platform"], release)).engine
        for own, path in generation.packages.items():
            if not generation.names(own):
                continue
            values = {name.partition(".")[2]: plain(one.value) for name, one in found.package(own).items()}
            assert values == port["constants"][path], (port["platform"], path)
        shown = [name for name in generation.reported_types if found.is_struct(name)]
        assert sorted(port["structs"]) == shown
        for name in shown:
            layout, expected = found.struct(name), port["structs"][name]
            fields = [{"name": f.name, "offset": f.offset, "size": f.size} for f in layout.fields]
            own_struct = {"size": layout.size, "align": layout.align, "fields": fields}
            assert own_struct == expected, (port["platform"], name)


PORTS = ("linux/amd64", "linux/386", "aix/ppc64", "js/wasm", "windows/arm64", "ios/arm64")


@pytest.mark.parametrize("port", PORTS)
def test_the_installed_go_s_type_checker_says_so_today(port: str) -> None:
    """The kept data came from the same program; here it runs."""
    tool = golang.installed()
    go = str(tool.command)
    release = generations.named(".".join(tool.release.removeprefix("go").split(".")[:2]))
    found, _ = typechecker.compare(release, typechecker.computed(typechecker.checker(go), go, port))
    assert found.different == [] and len(found.equal) > 900


def test_a_value_that_differs_is_reported() -> None:
    port = next(port for port in checked(RELEASES[-1]) if port["platform"] == "linux/amd64")
    port["constants"]["runtime"]["heapArenaBytes"] += 1
    port["structs"]["mspan"]["fields"][3]["offset"] += 8
    found, _ = typechecker.compare(RELEASES[-1], port)
    assert len(found.different) == 3 and any("heapArenaBytes" in line for line in found.different)


@pytest.fixture(params=RELEASES)
def figures(request: pytest.FixtureRequest) -> Figures:
    return compute(platforms.load("linux/amd64", request.param))


def test_every_reported_constant_says_what_it_is_and_where_it_stands(figures: Figures) -> None:
    for package in figures.generation.packages:
        for name in figures.engine.package(package):
            row, source = figures.engine.row(name), figures.engine.source(name)
            assert row is not None and row.unit not in ("", "TODO"), name
            assert source is not None and (source.line > 0 or package == "goexperiment"), name


def test_a_derived_release_says_only_what_differs(figures: Figures) -> None:
    generation = figures.generation
    if generation.base is None:
        return
    for name, rows in generation.rows.items():
        theirs = generation.base.rows.get(name)
        if rows is not theirs and theirs is not None:
            assert list(map(said, rows)) != list(map(said, theirs)), name


def said(row: generations.Row) -> tuple[object, ...]:
    """What a row says; of a constant lines.txt tells where it stands."""
    file = row.source.file if row.package == "layout" else ""
    return row.type_name, row.formula, row.when, row.iota, row.reported, file


def test_packages_have_import_paths_of_the_release() -> None:
    def paths(go: str) -> list[str]:
        return list(compute(platforms.load("linux/amd64"), go=go).packages)

    assert "runtime/internal/sys" in paths("1.21")
    assert {"internal/runtime/gc", "internal/runtime/sys", "internal/goarch"} <= set(paths("1.27"))


def test_an_experiment_is_a_what_if_that_everything_follows() -> None:
    profile = platforms.load("linux/amd64")
    usual = compute(profile, go="1.27")
    without = compute(profile, {"GreenTeaGC": "false", "RandomizedHeapBase64": "false"}, "1.27")
    assert usual.constants["randomizeHeapBase"] is True
    assert without.constants["randomizeHeapBase"] is False
    assert without.packages["internal/goexperiment"]["GreenTeaGCInt"] == 0
    assert without.structs["spanInlineMarkBits"].size == 0 < usual.structs["spanInlineMarkBits"].size


def test_a_goexperiment_is_read_word_by_word() -> None:
    told = generations.load("1.27").experiments
    assert told("") == {} == told("nosuchthing")
    assert told("nogreenteagc,arenas") == {"GreenTeaGC": False, "Arenas": True}
    off = told("none,arenas")  # all that the release has on is off then
    assert off["Arenas"] is True and off["RandomizedHeapBase64"] is False and len(off) > 10
    found = compute(platforms.load("linux/amd64", "1.27"), off)
    assert found.structs["spanInlineMarkBits"].size == 0


def experimental() -> list[dict[str, Any]]:
    """What the type checker says of some ports with another GOEXPERIMENT than a release's own."""
    with lzma.open(DATA / "experiments.jsonl.xz", "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    "port", experimental(), ids=lambda port: f"{port['release']} {port['platform']} {port['experiments']}"
)
def test_experiments_as_what_ifs_give_what_a_build_with_them_has(port: dict[str, Any]) -> None:
    generation = generations.load(port["release"])
    names = {name.partition(".")[2].lower(): name for name in generation.names("goexperiment")}
    sets = {
        names[word.removeprefix("no")]: str(word[:2] != "no").lower()
        for word in port["experiments"].split(",")
    }
    found = compute(platforms.load(port["platform"], port["release"]), sets)
    assert {"runtime": found.constants, **found.packages} == port["constants"]
    for name, struct in found.structs.items():
        expected = port["structs"][name]
        assert [(f.name, f.offset, f.size) for f in struct.fields] == [
            (f["name"], f["offset"], f["size"]) for f in expected["fields"]
        ]
        assert (struct.size, struct.align) == (expected["size"], expected["align"])


def test_a_layout_in_one_piece_is_not_that_of_a_later_release() -> None:
    with pytest.raises(UsageFault, match="does not lie in one piece"):
        _ = compute(platforms.load("linux/amd64", "1.27")).layout


@pytest.mark.parametrize("text", ["1.27", "go1.27", "go1.27.3", "1.27.0"])
def test_a_release_is_known_by_what_people_call_it(text: str) -> None:
    assert generations.named(text) == "1.27"


@pytest.mark.parametrize("text", ["7aefdfded", "7aefdfded022f9775eb463156eda3a25a658a0ae"])
def test_so_is_a_commit(text: str) -> None:
    assert generations.named(text) == "7aefdfded"


@pytest.mark.parametrize("text", ["1.28", "1.20", "", "go", "tip"])
def test_an_unknown_release_is_a_usage_fault(text: str) -> None:
    with pytest.raises(UsageFault, match="no generation"):
        generations.named(text)


# ---- the layout of a heap in arenas ----


def layout(platform: str, go: str, **sets: str) -> dict[str, Any]:
    return dict(compute(platforms.load(platform, go), sets).areas)


@pytest.mark.parametrize("release", RELEASES)
def test_the_arena_map_reaches_all_addresses_of_every_port(release: str) -> None:
    for port in checked(release):
        found = compute(platforms.load(port["platform"], release)).engine
        reach = found.value("layout.arena_map_reach").value
        bits = found.value("runtime.heapAddrBits").value
        assert reach == 1 << int(bits), port["platform"]


@pytest.mark.parametrize("release", RELEASES)
def test_every_layout_figure_stands_somewhere_in_the_source(release: str) -> None:
    generation = generations.load(release)
    found = {**generation.rows, **generation.families}
    for name in (name for name in found if name.startswith("layout.")):
        for row in found[name]:
            assert generation.source(row, "linux", "amd64").line or "#" not in row.source.file, name


def test_page_summaries_of_a_64_bit_address_space() -> None:
    found = layout("linux/amd64", "1.27")
    assert [found[f"summary_size{i}"] for i in range(5)] == [128 << 10, 1 << 20, 8 << 20, 64 << 20, 512 << 20]
    assert [found[f"summary_shift{i}"] for i in range(5)] == [34, 31, 28, 25, 22]
    assert found["summary_mapped_arena0"] == 128 << 10  # the root is one block of entries
    assert found["summary_mapped_arena4"] == 4096  # 16 entries of 8 bytes


def test_a_start_takes_what_limits_of_the_address_space_were_measured_at() -> None:
    # Under a falling `ulimit -v`, programs of 1.21 to 1.27 begin to live at 1226000 to 1228000 KB; the
    # program itself takes some. The scavenge index of 1.19 has a bit a chunk, and those live at 712000.
    for release in ("1.21", "1.24", "1.27"):
        assert 1220000 < layout("linux/amd64", release)["start_reserved"] >> 10 < 1226000
    assert 700000 < layout("linux/amd64", "1.19")["start_reserved"] >> 10 < 712000


def test_the_scavenge_index_grew_by_half_a_gigabyte_after_1_19() -> None:
    old, new = (layout("linux/arm64", go)["scavenge_index_size"] for go in ("1.19", "1.22"))
    assert (old, new) == (8 << 20, 512 << 20)


def test_records_of_all_arenas_of_32_bit_ports_shrank_with_the_bitmap() -> None:
    sizes = {go: layout("linux/386", go)["metadata_reservation"] for go in ("1.19", "1.21", "1.27")}
    assert sizes["1.19"] >> 20 == 258
    assert sizes["1.21"] >> 20 == 134
    assert sizes["1.27"] >> 10 == 2312


@pytest.mark.parametrize(
    ("platform", "go", "first", "last", "users"),
    [
        ("linux/amd64", "1.19", 0xC000000000, 0x7FC000000000, None),
        ("linux/amd64", "1.21", 0xC000000000, 0x3FC000000000, 0x40C000000000),
        ("linux/arm64", "1.25", 0x4000000000, 0x3F4000000000, 0x404000000000),
        ("linux/386", "1.27", 0x28400000, 0x28400000, 0x28400000),
    ],
)
def test_hints(platform: str, go: str, first: int, last: int, users: int | None) -> None:
    figures = compute(platforms.load(platform, go))
    hints = figures.family("hint")
    assert (hints[0], hints[-1]) == (first, last)
    assert figures.family("user_arena_hint")[:1] == ([] if users is None else [users])


def test_hints_drawn_at_random_are_reported_by_their_bits() -> None:
    found = layout("linux/amd64", "1.27")
    assert "hint0" not in found
    drawn = [found[f"random_{what}_bits"] for what in ("arena", "chunk", "page")]
    assert drawn == [20, 4, 9] and found["random_bits"] == 33
    assert found["random_base_limit"] == 1 << 46
    usual = layout("linux/amd64", "1.27", RandomizedHeapBase64="false")
    assert usual["hint0"] == 0xC000000000 and "random_bits" not in usual


def test_the_race_detector_keeps_hints_within_its_shadows() -> None:
    figures = compute(platforms.load("linux/amd64", "1.27"), {"raceenabled": "true"})
    hints = figures.family("hint")
    assert set(hints) == {i << 32 for i in range(0xC0, 0xE0)} and not figures.family("user_arena_hint")


def test_a_heap_that_grows_at_the_break_has_no_hints() -> None:
    assert "hint0" in layout("plan9/amd64", "1.23")
    assert "hint0" not in layout("plan9/amd64", "1.24")


@pytest.mark.parametrize(
    ("platform", "go"), [("linux/386", "1.19"), ("windows/arm64", "1.24"), ("js/wasm", "1.27")]
)
def test_every_figure_can_be_explained_up_to_its_value(platform: str, go: str) -> None:
    figures = compute(platforms.load(platform, go))
    for name in figures.names():
        told = figures.explain(name)
        if told.kind in ("constant", "layout"):
            assert ":" in told.source and "#" not in told.source, name
            if told.steps and told.type not in ("string", "untyped string"):
                assert told.steps[-1] == str(told.value).lower(), name


def test_every_step_of_a_layout_figure_is_explained() -> None:
    figures = compute(platforms.load("linux/amd64", "1.27"))
    told = figures.explain("start_reserved")
    assert told.steps[-1] == str(told.value) and told.source.startswith("runtime/malloc.go:")
    assert {"summary_reserved", "arena_map_l2_size"} <= {one.name for one in told.mentions}
    assert figures.explain("heapArena.size").value == 69648
