"""--go and `generations`: releases side by side, what changed from one to another, and trees as releases."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from archcalc import api, generations
from archcalc.calculator import spans
from archcalc.calculator.figures import compute
from archcalc.goverify import anytree, shapes, writing
from archcalc.profiles import platforms
from archcalc.questions import vsz
from archcalc.reading.errors import UsageFault
from tests.support import golang

Cli = Callable[..., Any]
SCHEMAS = Path(generations.__file__).parents[1] / "schemas"


def test_generations_are_listed_from_the_oldest_with_ports_and_what_can_be_done(cli: Cli) -> None:
    document = cli("generations", "--format", "json").json
    jsonschema.validate(document, json.loads((SCHEMAS / "generations.json").read_text()))
    known = {one["generation"]: one for one in document["generations"]}
    first, *_, last = known
    assert (first, last) == ("7aefdfded", "go1.27")
    assert known["7aefdfded"]["era"] == "contiguous" and len(known["7aefdfded"]["ports"]) == 38
    assert known["go1.27"]["era"] == "sparse" and len(known["go1.27"]["ports"]) == 47
    assert all("report" in one["can"] for one in known.values())


TRIED = {
    "list": ("list", "linux/amd64", "--go", "{go}"),
    "report": ("report", "linux/amd64", "--go", "{go}"),
    "explain": ("explain", "_PageSize", "linux/386", "--go", "{go}"),
    "diff": ("diff", "linux/amd64", "linux/386", "--go", "{go}"),
    "sizeclass": ("sizeclass", "100", "--go", "{go}"),
    "map": ("map", "linux/amd64", "--go", "{go}"),
    "heap": ("heap", "linux/amd64", "--go", "{go}"),
    "boot": ("boot", "linux/amd64", "--go", "{go}"),
    "smoke": ("smoke", "linux/amd64", "--go", "{go}"),
    "run": ("run", "{scenario}"),
    "sweep": ("sweep", "{sweep}", "--go", "{go}", "--output", "table.csv"),
    "check": ("check", "linux/amd64", "--go", "{go}"),
    "drift": ("drift", "--go", "{go}"),
    "replay": ("replay", "{recording}"),
    "trace": ("trace", "stats", "{recording}"),
}
"""A command line for each command that needs no Go, no solver and no source tree."""
RECORDINGS = {"7aefdfded": "traces/linux-386.mixed.stw.trace.gz"}


@pytest.mark.parametrize("name", generations.known())
@pytest.mark.parametrize("command", TRIED)
def test_what_is_said_to_be_possible_is(cli: Cli, tmp_path: Path, name: str, command: str) -> None:
    if command not in generations.said(name, "can").split():
        pytest.skip(f"{command} does not know {name}, and says so in `generations`")
    scenario = tmp_path / "boots.yaml"
    scenario.write_text(
        f'schema: 1\nabout: it boots\nplatform: linux/amd64\ngo: "{name}"\nexpect: {{outcome: booted}}\n'
    )
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("schema: 1\ngrid: {workload: [mixed, churn], classes: [go, quarters], n: 200}\n")
    data = Path(__file__).parents[2] / "data"
    recording = data / RECORDINGS.get(name, f"version2/go{name}-linux-amd64.trace.gz")
    files = {"scenario": scenario, "sweep": sweep, "recording": recording}
    words = [word.format(go=name, **files) for word in TRIED[command]]
    run = cli(*words, "--format", "json")
    assert run.code == 0 or (command == "drift" and run.code == 1)
    assert run.json.get("generation", generations.label(name)) == generations.label(name)
    assert run.json.get("outcomes", {"ok": 4}) == {"ok": 4}


def test_a_report_of_a_release_has_the_constants_of_all_packages(cli: Cli) -> None:
    document = cli("report", "linux/amd64", "--go", "1.27", "--format", "json").json
    jsonschema.validate(document, json.loads((SCHEMAS / "report.json").read_text()))
    assert document["generation"] == "go1.27"
    (one,) = document["platforms"]
    assert one["packages"]["internal/goexperiment"]["GreenTeaGC"] is True
    assert one["packages"]["internal/goarch"]["PtrSize"] == 8
    assert one["structs"]["mspan"]["fields"][0] == {"name": "_", "offset": 0, "size": 0}
    assert [level["size"] for level in one["layout"]["summary_levels"]][-1] == 512 << 20


def test_a_report_of_2017_says_nothing_of_later_packages(cli: Cli) -> None:
    document = cli("report", "linux/amd64", "--format", "json").json
    assert document["generation"] == "7aefdfded" and "packages" not in document["platforms"][0]


def test_a_figure_through_all_releases(cli: Cli) -> None:
    run = cli(
        "report", "linux/amd64", "--go", "all", "--only", "heapArena.size,_NumStackOrders", "--format", "json"
    )
    sizes = {one["generation"]: one["figures"]["heapArena.size"] for one in run.json["platforms"]}
    assert list(sizes) == [generations.label(name) for name in generations.known()]
    assert (sizes["go1.21"], sizes["go1.22"], sizes["go1.27"]) == (1133584, 68624, 69648)
    assert "not_applicable" in sizes["7aefdfded"]
    assert {one["constants"]["_NumStackOrders"] for one in run.json["platforms"]} == {4}


def test_the_release_can_come_from_the_environment_or_the_configuration(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARCHCALC_GO", "go1.24.11")
    run = cli("report", "linux/amd64", "--only", "heapArenaBytes", "--format", "json")
    assert run.json["generation"] == "go1.24"
    assert cli("report", "linux/amd64", "--go", "1.21", "--format", "json").json["generation"] == "go1.21"


def test_diff_of_two_releases_tells_values_and_formulas(cli: Cli) -> None:
    document = cli("diff", "linux/amd64", "--go", "1.21", "--go", "1.27", "--format", "json").json
    jsonschema.validate(document, json.loads((SCHEMAS / "diff.json").read_text()))
    assert (document["a"], document["b"]) == ("go1.21", "go1.27")
    changed = {one["name"]: one for one in document["differences"]}
    assert changed["minTagBits"]["a_formula"] == "10" and changed["minTagBits"]["b_formula"] == "16"
    assert changed["hchanSize"]["delta"] == 16
    assert "not_applicable" in changed["randomizeHeapBase"]["a"]


def test_diff_with_more_than_two_releases_is_wrong(cli: Cli) -> None:
    run = cli("diff", "linux/amd64", "--go", "all")
    assert run.code == 2 and "one or two" in run.err


def test_a_platform_that_a_release_lacks_is_reported(cli: Cli) -> None:
    assert cli("report", "linux/loong64").code == 2
    assert cli("report", "linux/loong64", "--go", "1.19", "--only", "heapAddrBits").code == 0
    run = cli("report", "nacl/386", "--go", "1.27")
    assert run.code == 2 and "nacl/386" in run.err


def test_explain_of_a_release_has_its_formula_and_its_line(cli: Cli) -> None:
    document = cli("explain", "logHeapArenaBytes", "linux/amd64", "--go", "1.27", "--format", "json").json
    (one,) = document["explanations"]
    assert (
        one["value"] == 26
        and "goos.IsWindows" in one["formula"]
        and one["source"].startswith("runtime/malloc.go:")
    )
    assert {entry["value"] for entry in document["values"]} == {19, 22, 26}


# What programs of these releases did on linux/amd64: objects in a page, and the bytes that each takes.
MEASURED = {
    "1.21": {(8, True): (1024, 8), (16, True): (512, 16), (512, True): (16, 512), (520, True): (14, 576),
             (512, False): (16, 512), (16, False): (512, 16)},
    "1.24": {(8, True): (1008, 8), (16, True): (504, 16), (512, True): (15, 512), (520, True): (14, 576),
             (512, False): (16, 512), (16, False): (512, 16)},
    "1.27": {(8, True): (1008, 8), (16, True): (496, 16), (512, True): (15, 512), (520, True): (14, 576),
             (512, False): (15, 512), (16, False): (504, 16)},
}  # fmt: skip


@pytest.mark.parametrize("release", MEASURED)
def test_spans_hold_what_was_measured(release: str) -> None:
    figures = compute(platforms.load("linux/amd64", release))
    for (size, pointers), (objects, element) in MEASURED[release].items():
        span = spans.of_object(figures, size, pointers)
        assert span is not None and (span.objects, span.element) == (objects, element), (size, pointers)


@pytest.mark.parametrize("release", [name for name in generations.known() if name.startswith("1.")])
@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386"])
def test_every_span_is_used_up_to_its_last_byte(platform: str, release: str) -> None:
    figures = compute(platforms.load(platform, release))
    for size in range(1, spans.small_limit(figures) + 1, 7):
        for pointers in (False, True):
            span = spans.of_object(figures, size, pointers)
            assert span is not None
            used = span.objects * span.element + span.heap_bits + span.inline_marks + span.tail
            assert used == span.pages * figures.size_classes.page_size
            assert size + span.header <= span.element and span.tail < span.element


def test_sizeclass_of_a_release_tells_what_pointers_cost(cli: Cli) -> None:
    run = cli("sizeclass", "512", "513", "--platform", "linux/amd64", "--go", "1.27", "--format", "json")
    jsonschema.validate(run.json, json.loads((SCHEMAS / "sizeclass.json").read_text()))
    small, header = (one["pointers"] for one in run.json["sizes"])
    assert (small["header"], small["heap_bits"], small["inline_marks"], small["objects"]) == (0, 128, 128, 15)
    assert (header["header"], header["element"], header["objects"]) == (8, 576, 14)


# ---- trees ------------------------------------------------------------------------------------


def distribution() -> tuple[Path, str]:
    """The source of an installed Go that there are tables of, and its release."""
    root = Path(golang.installed().goroot).resolve()
    release = ".".join(writing.version_of(root / "src").removeprefix("go").split(".")[:2])
    if release not in generations.known():
        pytest.skip(f"no tables of Go {release}")
    return root, release


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of what of an installed Go is read, to change."""
    root, release = distribution()
    folder = tmp_path_factory.mktemp("goroot")
    for package in ("runtime", "internal", "cmd/dist"):
        shutil.copytree(root / "src" / package, folder / "src" / package, symlinks=False)
    shutil.copy(root / "VERSION", folder)
    return folder, release


def changed(tree: tuple[Path, str], tmp_path: Path, file: str, old: str, new: str) -> anytree.AnyTree:
    """The tree with one text in one file changed."""
    folder = tmp_path / "goroot"
    folder.mkdir()
    (folder / "VERSION").write_bytes((tree[0] / "VERSION").read_bytes())
    shutil.copytree(tree[0] / "src", folder / "src")
    path = folder / "src" / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    return anytree.read(folder)


def test_a_tree_of_a_known_release_gives_the_values_of_its_tables(tree: tuple[Path, str]) -> None:
    found = anytree.read(tree[0])
    assert found.nearest == tree[1] and not found.unknown
    for platform in ("linux/amd64", "linux/386", "windows/arm64", "js/wasm", "aix/ppc64"):
        profile = platforms.load(platform, tree[1])
        theirs, ours = compute(profile, go=found.generation), compute(profile)
        assert theirs.constants == ours.constants and theirs.packages == ours.packages
        assert theirs.areas == ours.areas and theirs.structs.keys() == ours.structs.keys()
        for name, struct in ours.structs.items():
            other = theirs.structs[name]
            assert (other.size, other.align, other.fields) == (struct.size, struct.align, other.fields)
            assert [(f.name, f.offset, f.size, f.line) for f in other.fields] == [
                (f.name, f.offset, f.size, f.line) for f in struct.fields
            ]


def test_a_changed_constant_gives_changed_figures(tree: tuple[Path, str], tmp_path: Path) -> None:
    found = changed(
        tree, tmp_path, "runtime/malloc.go", "logHeapArenaBytes = (6+20)", "logHeapArenaBytes = (7+20)"
    )
    figures = compute(platforms.load("linux/amd64", tree[1]), go=found.generation)
    assert figures.constants["heapArenaBytes"] == 128 << 20
    assert figures.areas["arena_map_l2_entries"] == 1 << 21 and not found.unknown


def test_a_changed_number_in_a_function_gives_changed_hints(tree: tuple[Path, str], tmp_path: Path) -> None:
    old = "uintptr(i)<<40 | uintptrMask&(0x00c0<<32)"
    found = changed(tree, tmp_path, "runtime/malloc.go", old, old.replace("c0", "d0"))
    off = (
        {"goexperiment.RandomizedHeapBase64": "false"}
        if "goexperiment.RandomizedHeapBase64" in found.generation.rows
        else {}
    )
    figures = compute(platforms.load("linux/amd64", tree[1]), off, found.generation)
    assert figures.family("hint")[1] == 1 << 40 | 0xD0 << 32 and not found.unknown
    assert figures.family("user_arena_hint")[0] == 0x40 << 40 | 0xD0 << 32


def test_a_function_of_another_shape_is_reported_and_the_rest_is_given(
    tree: tuple[Path, str], tmp_path: Path
) -> None:
    found = changed(
        tree, tmp_path, "runtime/malloc.go", "if minTagBits > ", "if raceenabled && minTagBits > "
    )
    (unknown,) = found.unknown
    assert unknown.function == "mallocinit" and "unknown shape" in str(unknown)
    figures = compute(platforms.load("linux/amd64", tree[1]), go=found.generation)
    assert "start_reserved" not in figures.areas and figures.areas["summary_size4"] == 512 << 20


def test_what_mentions_something_that_is_gone_is_reported_and_the_rest_is_given(
    tree: tuple[Path, str], tmp_path: Path
) -> None:
    found = changed(tree, tmp_path, "runtime/mpagealloc.go", "\tpallocSumBytes = ", "\tpallocSumSize = ")
    assert any("pallocSumBytes" in str(one) for one in found.unknown)
    figures = compute(platforms.load("linux/amd64", tree[1]), go=found.generation)
    assert "start_reserved" not in figures.areas and figures.constants["heapAddrBits"] == 48
    assert "pallocSumBytes" not in figures.constants and "mspan" in figures.structs


def test_go_takes_the_folder_of_a_tree(cli: Cli, tree: tuple[Path, str]) -> None:
    run = cli("report", "linux/amd64", "--go", str(tree[0]), "--format", "json")
    assert run.code == 0 and run.json["generation"] == writing.version_of(tree[0] / "src")


def test_a_folder_that_is_not_a_tree_is_wrong(cli: Cli, tmp_path: Path) -> None:
    run = cli("report", "linux/amd64", "--go", str(tmp_path))
    assert run.code == 2 and "no src/runtime" in run.err


def test_a_new_release_begins_with_what_differs(cli: Cli, tree: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "next"
    run = cli(
        "generations", "new", str(tree[0]), "--base", tree[1], "--into", str(folder), "--format", "json"
    )
    assert run.code == 0 and run.json["folder"] == str(folder)
    fresh = generations.read(folder)
    assert fresh.base is generations.load(tree[1])
    figures = compute(platforms.load("linux/arm", tree[1]), go=fresh)
    assert figures.constants == compute(platforms.load("linux/arm", tree[1])).constants
    assert not (folder / "types.txt").exists() and (folder / "lines.txt").exists()
    assert cli("generations", "new", str(tree[0]), "--into", str(folder)).code == 2


def test_a_shape_is_all_but_numbers_comments_and_spaces() -> None:
    one = shapes.shape_of("func f() { // what\n\treturn 1<<40 | 0x00c0 }")
    other = shapes.shape_of("func f() {\n\treturn 2 << 40 | 0x00d0 /* so */ }")
    assert one.digest == other.digest and (one.numbers, other.numbers) == (
        ("1", "40", "0x00c0"),
        ("2", "40", "0x00d0"),
    )
    assert shapes.shape_of("func f() { return 1<<40 & 0x00c0 }").digest != one.digest


def test_what_is_not_a_tree_is_a_usage_fault(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="no src/runtime"):
        anytree.read(tmp_path)
    (tmp_path / "src/runtime").mkdir(parents=True)
    with pytest.raises(UsageFault, match="another era"):
        anytree.read(tmp_path)


# ---- what a start takes ----


# VmSize in KB, as programs print it that copy their own /proc/self/status.
REAL_VIRT = [
    ("linux/amd64", "1.22", 1225112),
    ("linux/amd64", "1.27", 1226648),
    ("linux/386", "1.27", 533772),
]


@pytest.mark.parametrize(("platform", "release", "virt"), REAL_VIRT)
def test_virt_is_what_the_system_tells_of_a_real_program(
    cli: Cli, platform: str, release: str, virt: int
) -> None:
    """But for stack, vdso, what the runtime keeps of threads, and the program's own size: under half a MB."""
    document = cli("explain", "vsz", platform, "--go", release, "--format", "json").json
    (one,) = document["platforms"]
    assert abs(virt - (one["virt"] >> 10)) < 512
    assert sum(part["held"] for part in one["parts"]) == one["virt"] and "ulimit" in one["story"]


def test_virt_is_what_a_limit_must_leave(cli: Cli) -> None:
    # Under a falling `ulimit -v` a program of 1.19 begins to live at these KB, with what else it has.
    document = cli("explain", "vsz", "linux/amd64", "--go", "1.19", "--format", "json").json
    (one,) = document["platforms"]
    assert 712000 - 12000 < one["virt"] >> 10 < 712000 + 4000


@pytest.mark.parametrize("release", [generations.known()[1], generations.known()[-1]])
def test_every_port_tells_who_holds_its_addresses(release: str) -> None:
    for platform in generations.ports(release):
        found = vsz.footprint(compute(platforms.load(platform, release)))
        assert 0 < found.mapped <= found.virt < 2 << 30, platform
        assert all(0 <= part.mapped <= part.held <= part.planned for part in found.parts), platform


def test_the_library_takes_releases_too() -> None:
    assert api.report("linux/amd64", only=["mspan"], go="1.27").document()["generation"] == "go1.27"
    assert api.diff("linux/amd64", go=["1.26", "1.27"]).document()["b"] == "go1.27"
    assert api.explain("heapAddrBits", "linux/amd64", go="1.21").document()["explanations"][0]["value"] == 48


# ---- families of figures ----


@pytest.mark.parametrize("name", ["hint", "hints"])
def test_a_family_is_explained_with_its_formula_and_all_members(cli: Cli, name: str) -> None:
    document = cli("explain", name, "linux/amd64", "linux/arm64", "--go", "1.25", "--format", "json").json
    jsonschema.validate(document, json.loads((SCHEMAS / "explain.json").read_text()))
    assert [one["platform"] for one in document["members"]] == ["linux/amd64", "linux/arm64"]
    for one, low in zip(document["members"], (0x00C0, 0x0040), strict=True):
        assert one["values"] == [i << 40 | low << 32 for i in range(64)] and "(i)<<40" in one["formula"]


def test_where_the_base_is_drawn_hints_are_none_and_the_random_bits_are_named(cli: Cli) -> None:
    run = cli("explain", "hints", "linux/amd64", "--go", "1.27")
    assert run.code == 2 and "base is random" in run.err and "random_bits" in run.err
