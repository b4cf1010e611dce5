"""`archcalc prove` as a porter and a build job use it: what-ifs, baselines, formats, scenarios, mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip("z3")

from archcalc.proofs import properties

HINTS = ("--property", "prove-hints-in-user-space")
KEYS = {"id", "platform", "holds", "reason", "counterexample", "scenario", "paths", "seconds"}


def test_the_json_has_what_is_promised(cli: Any) -> None:
    run = cli("prove", "linux/amd64", *HINTS, "--format", "json")
    assert run.code == 1
    assert run.json["ok"] is False
    (proof,) = run.json["proofs"]
    assert set(proof) == KEYS
    assert (proof["id"], proof["platform"], proof["holds"]) == (HINTS[1], "linux/amd64", False)
    assert proof["paths"] > 0


def test_a_known_finding_passes_and_a_new_one_does_not(cli: Any, tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    assert cli("prove", "linux/amd64", *HINTS, "--write-baseline", known).code == 0
    assert cli("prove", "linux/amd64", *HINTS, "--baseline", known).code == 0
    assert cli("prove", "linux/amd64", "linux/ppc64", *HINTS, "--baseline", known).code == 1


def test_each_format_of_checks_tells_the_finding(cli: Any) -> None:
    github = cli("prove", "linux/amd64", *HINTS, "--format", "github")
    assert github.code == 1 and f"title={HINTS[1]}" in github.out
    junit = ElementTree.fromstring(cli("prove", "linux/amd64", *HINTS, "--format", "junit").out)
    assert [case.get("name") for case in junit.iter("testcase")] == [HINTS[1]]
    assert len(list(junit.iter("failure"))) == 1
    sarif = json.loads(cli("prove", "linux/amd64", *HINTS, "--format", "sarif").out)
    assert [result["ruleId"] for result in sarif["runs"][0]["results"]] == [HINTS[1]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["linux/mips", "--set", "_PageShift=14", "--property", "prove-span*"], "prove-span-in-arena"),
        (["linux/arm64", "--page-size", "64k", "--go", "1.27", "--property", "prove-program*"],
         "prove-program-untouched"),
        (["linux/arm64", "--set", "phys_page_size=65536", "--go", "1.27", "--property", "prove-program*"],
         "prove-program-untouched"),
        # Of hints for user arenas, which only a program with such arenas asks for.
        (["openbsd/amd64", "--go", "1.22", *HINTS], HINTS[1]),
    ],
)  # fmt: skip
def test_what_a_what_if_breaks_is_shown_by_a_run(
    cli: Any, words: list[str], found: str, tmp_path: Path
) -> None:
    run = cli("prove", *words, "--scenarios", tmp_path / "found", "--format", "json")
    assert run.code == 1
    assert [proof["id"] for proof in run.json["proofs"] if proof["scenario"]] == [found]
    shown = cli("run", tmp_path / "found", "--format", "json")
    assert shown.code == 0 and len(shown.json["scenarios"]) == 1


@pytest.mark.parametrize("id", [*properties.IDS, *properties.BOOT])
def test_each_property_is_explained(cli: Any, id: str) -> None:
    run = cli("explain", id)
    assert run.code == 0 and run.out.startswith(id)


@pytest.mark.parametrize(
    "words",
    [
        ["linux/386", "--page-size", "5000"],
        ["linux/386", "--believed-page-size", "256"],
        ["mine.yaml"],
        ["linux/386", "--property", "prove-nothing"],
        ["linux/386", "--go", "1.18"],
        ["linux/386", "--fail-on", "sometimes"],
        ["linux/386", "--baseline", "missing.json"],
        ["linux/386", "--set", "_PageShift"],
        ["linux/386", "--scenarios", "/dev/null"],
        ["linux/386", "--godebug", "sbrk=1"],
        ["linux/386", "--go", "1.27", "--gomemlimit", "1g"],
    ],
)
def test_a_mistake_is_one_message(cli: Any, words: list[str]) -> None:
    run = cli("prove", *words)
    assert (run.code, run.out) == (2, "")
    assert len(run.err.splitlines()) == 1


def test_a_profile_named_as_a_platform_is_pointed_to_its_option(cli: Any) -> None:
    assert "did you mean --profile mine.yaml?" in cli("prove", "mine.yaml").err
