"""`report`: the JSON shape that others rely on, what is left out when asked, and that text fits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archcalc.calculator import figures
from archcalc.library.report import Report
from archcalc.profiles import platforms
from archcalc.results.tables import Section, Table

Cli = Callable[..., Any]
EVERY = platforms.names()


def test_json_has_the_shape_that_others_rely_on(cli: Cli) -> None:
    run = cli("report", "all", "--format", "json")
    assert run.code == 0
    found = {entry["platform"]: entry for entry in run.json["platforms"]}
    assert sorted(found) == EVERY
    for name, entry in found.items():
        own = figures.compute(platforms.load(name))
        assert entry["constants"] == dict(own.constants)
        assert entry["sys"] == dict(own.sys)
        assert {kind: (part["size"], part["align"]) for kind, part in entry["structs"].items()} == {
            kind: (struct.size, struct.align) for kind, struct in own.structs.items()
        }
        assert all(
            set(field) == {"name", "offset", "size"}
            for s in entry["structs"].values()
            for field in s["fields"]
        )
        layout = entry["layout"]
        for key in ("bitmap_size", "spans_size", "arena_size", "reservation_size"):
            assert layout[key] == getattr(own.layout, key) and type(layout[key]) is int
        assert layout["hints"] == [hint.address for hint in own.layout.hints] and len(layout["hints"]) <= 128
        assert layout["ladder"] == list(own.layout.ladder)
        assert [set(order) for order in layout["stack_orders"]] == [{"order", "size", "cached"}] * len(
            own.layout.stack_orders
        )
        assert [entry["class"] for entry in entry["size_classes"]] == list(range(1, 67))
        assert set(entry["size_classes"][0]) == {"class", "size", "pages", "objects", "tail_waste"}


def test_no_number_is_a_float_or_a_string(cli: Cli) -> None:
    document = json.loads(cli("report", "all", "--format", "json").out, parse_float=pytest.fail)
    amd64 = next(entry for entry in document["platforms"] if entry["platform"] == "linux/amd64")
    assert amd64["constants"]["uintptrMask"] == 18446744073709551615
    assert amd64["constants"]["_PageSize"] == 8192
    assert amd64["structs"]["mspan"]["size"] == 152
    assert amd64["layout"]["reservation_size"] == 567472562176


def test_formats_say_the_same(cli: Cli) -> None:
    document = cli("report", "linux/386", "linux/arm", "--format", "json").json
    lines = cli("report", "linux/386", "linux/arm", "--format", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == document["platforms"]
    rows = list(csv.DictReader(io.StringIO(cli("report", "linux/386", "linux/arm", "--format", "csv").out)))
    values = {(row["platform"], row["section"], row["name"]): row["value"] for row in rows}
    for entry in document["platforms"]:
        for section in ("constants", "sys"):
            for name, value in entry[section].items():
                expected = str(value).lower() if isinstance(value, bool) else str(value)
                assert values[entry["platform"], section, name] == expected
        assert values[entry["platform"], "structs", "mspan"] == str(entry["structs"]["mspan"]["size"])
        assert values[entry["platform"], "layout", "bitmap_size"] == str(entry["layout"]["bitmap_size"])


def test_the_default_is_the_environment_s_platform(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOS", "plan9")
    monkeypatch.setenv("GOARCH", "arm")
    assert [entry["platform"] for entry in cli("report", "--format", "json").json["platforms"]] == [
        "plan9/arm"
    ]


def test_only_leaves_out_all_else(cli: Cli) -> None:
    words = [
        "report",
        "linux/amd64",
        "linux/386",
        "--format",
        "json",
        "--only",
        "_Page*,mspan",
        "--only",
        "hint3",
    ]
    document = cli(*words).json
    for entry in document["platforms"]:
        assert set(entry) == {"platform", "name", "constants", "structs", "figures"}
        assert set(entry["constants"]) == {"_PageSize", "_PageShift", "_PageMask"}
        assert set(entry["structs"]) == {"mspan"}
    assert document["platforms"][0]["figures"] == {"hint3": 0x3C0_0000_0000}
    assert set(document["platforms"][1]["figures"]["hint3"]) == {"not_applicable"}


def test_differs_leaves_out_what_is_equal(cli: Cli) -> None:
    document = cli("report", "linux/mips", "linux/mipsle", "--differs", "--format", "json").json
    first, second = document["platforms"]
    assert set(first) == {"platform", "name", "constants", "sys"}
    assert all(first["sys"][name] != second["sys"][name] for name in first["sys"])
    assert {"BigEndian", "GOARCH"} <= set(first["sys"])


def test_what_if_is_followed_and_told(cli: Cli) -> None:
    document = cli("report", "linux/amd64", "--set", "_PageShift=14", "--format", "json").json
    assert document["set"] == {"_PageShift": 14}
    (entry,) = document["platforms"]
    assert entry["constants"]["_PageSize"] == 16384
    assert entry["layout"]["spans_size"] == (1 << 39 - 14) * 8


@pytest.mark.parametrize("width", [60, 80, 132, 400])
@pytest.mark.parametrize(
    "words", [["linux/arm64"], ["all"], ["all", "--only", "_PageSize,_StackGuard,hint0"]]
)
def test_text_fits_the_terminal(
    width: int, words: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    run = cli("report", *words)
    assert run.code == 0
    assert max(map(len, run.out.splitlines())) <= width


def test_full_text_shows_every_figure(cli: Cli) -> None:
    words = set(cli("report", "all", "--full").out.split())
    own = figures.compute(platforms.load("linux/amd64"))
    assert {*own.constants, *own.structs, *(f"sys.{name}" for name in ("GOOS", "PtrSize"))} <= words


SIZES = {"arena_size", "bitmap_size", "spans_size", "reservation_size", "hint0", "ladder3"}
SAYS_THE_PORT = {"GOOS", "GOARCH", "GoosLinux", "GoarchAmd64", "GoarchSparc64", "IsLinux", "IsRiscv64"}


@pytest.mark.parametrize("name", EVERY)
def test_a_platform_s_first_screen_is_its_layout(
    name: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli("report", name).out.splitlines()
    screen = {word for line in lines[:24] for word in line.split()}
    found = figures.compute(platforms.load(name)).layout
    assert {*SIZES, str(found.arena_size), f"{found.hints[0].address:#x}", str(found.ladder[-1])} <= screen


@pytest.mark.parametrize("words", [["linux/amd64"], ["all"], ["linux/386", "windows/amd64"]])
@pytest.mark.parametrize("go", ["7aefdfded", "1.27"])
def test_no_screen_of_flags_that_say_which_port_it_is(words: list[str], go: str, cli: Cli) -> None:
    shown = cli("report", *words, "--go", go).out.split()
    assert SAYS_THE_PORT.isdisjoint(word.rpartition(".")[2] for word in shown)
    full = {word.rpartition(".")[2] for word in cli("report", *words, "--go", go, "--full").out.split()}
    assert {"GOOS", "GOARCH"} <= full


def test_data_formats_have_everything_without_full(cli: Cli) -> None:
    for format in ("json", "csv", "jsonl"):
        words = ("report", "linux/amd64", "linux/386", "--format", format)
        assert cli(*words).out == cli(*words, "--full").out


def test_platforms_with_equal_columns_share_one() -> None:
    found = [figures.compute(platforms.load(name)) for name in EVERY]
    for item in Report(found).view():
        for block in item.blocks if isinstance(item, Section) else (item,):
            if isinstance(block, Table):
                columns = list(zip(*block.rows, strict=True))[1:]
                assert len(set(columns)) == len(columns)


def test_a_page_is_written_beside_the_report_that_is_printed(cli: Cli, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    plain = cli("report", "linux/386")
    run = cli("report", "linux/386", "--html", str(page))
    assert run.out == plain.out and page.read_text().lower().startswith("<!doctype html>")
    assert cli("report", "linux/386", "--html", str(page)).code == 2
    assert cli("report", "linux/386", "--html", str(page), "--force").code == 0
