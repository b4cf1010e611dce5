"""What CI systems are shown: findings and faults at lines of files, in the asked format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

Cli = Callable[..., Any]
BROKEN = """schema: 1
platform: linux/foo
inherit: linux/amd64
machine:
  phys_page_size: 5000
  nonsense: 1
"""
# A limit that mallocinit does not fit in.
POOR = """schema: 1
platform: linux/386
name: poor
inherit: linux/386
machine:
  ulimit_v: 100m
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder in a repository, with a broken profile and a poor one."""
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "ports"
    folder.mkdir()
    (folder / "broken.yaml").write_text(BROKEN)
    (folder / "poor.yaml").write_text(POOR)
    return folder


COMMANDS = [
    ["check", "--profile"],
    ["boot", "--profile"],
    ["smoke", "--profile"],
    ["prove", "--profile"],
    ["profile", "validate"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_broken_profile_comes_out_in_the_asked_format(
    words: list[str], cli: Cli, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = repository / "broken.yaml"
    plain = cli(*words, broken)
    assert (plain.code, plain.out) == (2, "") and f"{broken}:5:19: " in plain.err
    github = cli(*words, broken, "--format", "github")
    assert github.code == 2 and github.err == plain.err
    assert [line.partition(",title")[0] for line in github.out.splitlines()] == [
        "::error file=ports/broken.yaml,line=5,col=19",
        "::error file=ports/broken.yaml,line=6,col=3",
    ]
    sarif = cli(*words, broken, "--format", "sarif")
    (run,) = sarif.json["runs"]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert sarif.code == 2 and [(p["artifactLocation"]["uri"], p["region"]["startLine"]) for p in places] == [
        ("ports/broken.yaml", 5),
        ("ports/broken.yaml", 6),
    ]
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(ids[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    junit = cli(*words, broken, "--format", "junit")
    suite = ElementTree.fromstring(junit.out)[0]
    assert (junit.code, suite.get("name"), suite.get("failures")) == (2, "ports/broken.yaml", "1")


def test_a_broken_profile_is_written_where_the_result_was_to_go(
    cli: Cli, repository: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.sarif"
    run = cli("check", "--profile", repository / "broken.yaml", "--format", "sarif", "--output", out)
    assert run.code == 2 and len(json.loads(out.read_text())["runs"][0]["results"]) == 2


def test_a_mistake_in_no_file_has_no_result(cli: Cli) -> None:
    run = cli("check", "linux/vax", "--format", "sarif")
    assert (run.code, run.out) == (2, "")


@pytest.mark.parametrize(
    "words",
    [
        ["check", "linux/*"],
        ["check", "linux/arm64", "windows/386", "--set", "_TinySize=24"],
        ["boot", "--profile", "poor.yaml"],
        ["boot", "linux/arm", "--ulimit-v", "100m"],
        ["smoke", "-n", "50", "--profile", "poor.yaml"],
    ],
    ids=" ".join,
)
def test_every_finding_points_at_a_line_of_a_file(
    words: list[str], cli: Cli, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    results = cli(*words, "--format", "sarif").json["runs"][0]["results"]
    assert results
    for result in results:
        place = result["locations"][0]["physicalLocation"]
        uri = place["artifactLocation"]["uri"]
        assert not uri.startswith(("/", "..")) and place["region"]["startLine"] >= 1
    github = cli(*words, "--format", "github").out.splitlines()
    found = [line for line in github if "title=set::" not in line]
    assert found and all(re.match(r"::\w+ file=[^/,][^,]*,line=\d", line) for line in found)


def test_profiles_that_can_be_used_are_a_case_each(cli: Cli, repository: Path) -> None:
    run = cli("profile", "validate", repository / "poor.yaml", "--format", "junit")
    suite = ElementTree.fromstring(run.out)[0]
    assert (run.code, suite.get("name"), suite.get("failures")) == (0, "ports/poor.yaml", "0")
    assert (
        cli("profile", "validate", repository / "poor.yaml", "--format", "sarif").json["runs"][0]["results"]
        == []
    )


# Fewer addresses than the arena counts on: hints that no process can have.
SMALL = """schema: 1
platform: linux/mine
inherit: linux/arm64
machine:
  user_address_bits: 36
  address_high: 0x1000000000
  mmap_base: 0xff0000000
"""


@pytest.mark.parametrize("words", [["check"], ["prove", "--property", "prove-hints-in-user-space"]])
def test_every_finding_about_a_profile_stands_at_a_line_of_it(
    words: list[str], cli: Cli, repository: Path
) -> None:
    if words[0] == "prove":
        pytest.importorskip("z3")
    (repository / "small.yaml").write_text(SMALL)
    given = [*words, "linux/mine", "--profile", repository / "small.yaml"]
    sarif = cli(*given, "--format", "sarif")
    (run,) = sarif.json["runs"]
    assert sarif.code == 1 and run["results"]
    for result in run["results"]:
        (place,) = result["locations"]
        physical = place["physicalLocation"]
        assert physical["artifactLocation"]["uri"] == "ports/small.yaml", result["ruleId"]
        assert physical["region"]["startLine"] in (5, 6, 7)
    lines = cli(*given, "--format", "github").out.splitlines()
    assert len(lines) == len(run["results"])
    assert all(re.match(r"::\w+ file=ports/small\.yaml,line=[567],col=\d+,title=", line) for line in lines)
