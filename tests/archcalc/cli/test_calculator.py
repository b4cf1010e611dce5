"""explain, diff, sizeclass, list and profile: their results as data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archcalc import checks
from archcalc.calculator import figures
from archcalc.profiles import platforms
from archcalc.questions.fates import best_near, fate, wasteful
from archcalc.reading import faults

Cli = Callable[..., Any]


def test_list_has_all_platforms(cli: Cli) -> None:
    entries = cli("list", "--format", "json").json["platforms"]
    assert [entry["platform"] for entry in entries] == platforms.names()
    assert {entry["platform"]: entry["ptr_size"] for entry in entries}["nacl/amd64p32"] == 4


def test_explain_tells_formula_steps_and_where_platforms_differ(cli: Cli) -> None:
    document = cli("explain", "heapBitmapScale", "linux/386", "linux/amd64", "--format", "json").json
    assert [(one["platform"], one["value"]) for one in document["explanations"]] == [
        ("linux/386", 16),
        ("linux/amd64", 32),
    ]
    one = document["explanations"][0]
    assert one["formula"] == "sys.PtrSize * (8 / 2)" and one["steps"][-1] == "16"
    assert one["source"] == "runtime/mbitmap.go:84"
    assert {entry["value"]: len(entry["platforms"]) for entry in document["values"]} == {16: 20, 32: 18}


def test_explain_follows_a_what_if(cli: Cli) -> None:
    document = cli("explain", "_PageSize", "linux/386", "--set", "_PageShift=12", "--format", "json").json
    (one,) = document["explanations"]
    assert (one["value"], one["without_set"]) == (4096, 8192)


@pytest.mark.parametrize("id", [*checks.every(), *faults.ids()])
def test_explain_knows_every_id(id: str, cli: Cli) -> None:
    document = cli("explain", id, "--format", "json").json
    assert document["name"] == id and document["explanation"]


def test_explain_leaves_out_platforms_that_lack_the_name(cli: Cli) -> None:
    document = cli("explain", "hint100", "all", "--format", "json").json
    assert len(document["explanations"]) == 18


def test_diff_has_what_differs_and_nothing_else(cli: Cli) -> None:
    document = cli("diff", "linux/amd64", "darwin/arm64", "--format", "json").json
    rows = {(row["section"], row["name"]): row for row in document["differences"]}
    assert document["same"] is False
    row = rows["constants", "_MHeapMap_TotalBits"]
    assert (row["a"], row["b"], row["delta"]) == (39, 31, -8)
    assert ("constants", "_PageSize") not in rows
    assert rows["facts", "machine.address_high"]["b"] == 0x2_5800_0000
    assert all(row["a"] != row["b"] for row in rows.values())


def test_a_platform_does_not_differ_from_itself(cli: Cli) -> None:
    assert cli("diff", "linux/s390x", "linux/s390x", "--format", "json").json["same"] is True


def test_diff_with_a_what_if_compares_a_platform_with_itself(cli: Cli) -> None:
    document = cli("diff", "linux/386", "--set", "_PageShift=14", "--format", "json").json
    rows = {row["name"]: (row["a"], row["b"]) for row in document["differences"]}
    assert rows["_PageSize"] == (8192, 16384) and rows["_NumSizeClasses"] == (67, 70)


AMD64 = figures.compute(platforms.load("linux/amd64"))


@given(st.integers(1, 1 << 40))
def test_a_size_gets_what_mallocgc_gives_it(size: int) -> None:
    one = fate(AMD64, size)
    assert one.rounded == size + one.inside == AMD64.size_classes.round_up_size(size)
    assert one.objects * one.rounded + one.tail == one.span_pages * 8192
    assert one.large == (size > 32768) and one.tiny == (size < 16)
    assert 0 <= one.rounding <= one.share < 1


def test_the_sizes_that_waste_most_come_first() -> None:
    found = wasteful(AMD64, 0.125)
    assert len(found) == 776
    assert [one.rounding for one in found] == sorted((one.rounding for one in found), reverse=True)
    assert all(one.rounding > 0.125 for one in found)


@given(st.integers(1, 1 << 20))
def test_the_best_sizes_near_one_waste_nothing_by_rounding(size: int) -> None:
    near = best_near(AMD64, size)
    assert size in [one.size for one in near]
    assert all(one.inside == 0 for one in near if one.size != size)


def test_sizeclass_takes_its_platform_beside_the_sizes_or_by_name_but_not_both(cli: Cli) -> None:
    beside = cli("sizeclass", "100", "linux/386", "--format", "json")
    assert beside.out == cli("sizeclass", "100", "--platform", "linux/386", "--format", "json").out
    assert beside.json["platform"] == "linux/386"
    assert cli("sizeclass", "100", "linux/386", "--platform", "linux/arm").code == 2
    assert cli("sizeclass", "100", "linux/386", "linux/arm").code == 2


def test_sizeclass_as_json(cli: Cli) -> None:
    document = cli("sizeclass", "100", "40k", "--platform", "linux/386", "--format", "json").json
    small, large = document["sizes"]
    assert (small["class"], small["rounded"], small["inside_waste"], small["objects"]) == (8, 112, 12, 73)
    assert (large["class"], large["rounded"], large["large"]) == (0, 40960, True)
    assert len(cli("sizeclass", "--format", "json").json["size_classes"]) == 66


def test_a_new_profile_is_valid_and_shows_its_origins(cli: Cli, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    assert cli("profile", "new", "linux/riscv64", "--output", mine).code == 0
    assert (
        cli("profile", "validate", mine, "--format", "json").json["profiles"][0]["platform"]
        == "linux/riscv64"
    )
    schema = json.loads(cli("profile", "schema").out)
    jsonschema.validate(yaml.safe_load(mine.read_text()), schema)
    (shown,) = cli("profile", "show", "--profile", mine, "--format", "json").json["profiles"]
    origins = {fact["name"]: fact["file"] for fact in shown["facts"]}
    assert Path(origins["arch.ptr_size"]).name == "mine.yaml"
    assert {
        entry["platform"] for entry in cli("list", "--profile", mine, "--format", "json").json["platforms"]
    } == {"linux/riscv64"}
    assert cli("report", "linux/riscv64", "--profile", mine).code == 0


def test_all_faults_of_all_files_are_reported_at_their_places(cli: Cli, tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("schema: 1\nplatfrom: linux/x\ninherit: linux/amd64\nnmae: x\n")
    second.write_text("- a list\n")
    run = cli("profile", "validate", first, second)
    assert run.code == 2
    places = [line.partition(": ")[0] for line in run.err.splitlines()]
    assert f"{first}:2:1" in places and f"{first}:4:1" in places and f"{second}:1:1" in places


def test_env_and_completion(cli: Cli) -> None:
    env = cli("env", "--format", "json").json["env"]
    assert env["platforms"] == 38 and env["go"].startswith("7aefdfded")
    for shell in ("bash", "zsh", "fish", "powershell"):
        assert "_ARCHCALC_COMPLETE" in cli("completion", shell).out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("archcalc prof", {"profile"}),
        ("archcalc profile ", {"new", "show", "schema", "validate"}),
        ("archcalc report linux/mi", {"linux/mips", "linux/mipsle", "linux/mips64", "linux/mips64le"}),
        ("archcalc check --select stacks.g", {"stacks.guard", "stacks.guard-fits"}),
        ("archcalc explain _PageS", {"_PageShift", "_PageSize"}),
    ],
)
def test_a_shell_is_offered_what_can_follow(
    line: str, expected: set[str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = line.split(" ")
    monkeypatch.setenv("_ARCHCALC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert set(cli().out.split()) == expected
