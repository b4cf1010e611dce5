"""`check`: what fails, what a baseline knows, what a project's configuration says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from archcalc import checks
from archcalc.profiles import platforms

Cli = Callable[..., Any]
BROKEN = ["check", "linux/386", "--set", "_PageShift=14"]
SARIF = Path(__file__).parents[2] / "data/schemas/sarif-2.1.0.json"


def test_all_ports_hold(cli: Cli) -> None:
    run = cli("check", "all", "--format", "json")
    assert run.code == 0 and run.json["ok"] is True
    assert run.json["platforms"] == platforms.names()
    assert run.json["checks"] == list(checks.registry())
    assert all(finding["severity"] != "error" for finding in run.json["findings"])
    assert all(
        {"id", "platform", "severity", "message", "fingerprint"} <= set(f) for f in run.json["findings"]
    )


def test_a_failing_check_is_1_in_every_format(cli: Cli) -> None:
    for format in ("table", "json", "jsonl", "csv", "markdown", "yaml", "github", "junit", "sarif"):
        assert cli(*BROKEN, "--format", format).code == 1
    document = cli(*BROKEN, "--format", "json").json
    assert document["ok"] is False and document["set"] == {"_PageShift": 14}
    errors = [(f["id"], f["subject"]) for f in document["findings"] if f["severity"] == "error"]
    assert errors == [("structs.atomic-alignment", "mstats.heap_live")]


def test_sarif_of_a_real_run_is_valid(cli: Cli) -> None:
    log = cli("check", "all", "--format", "sarif").json
    Draft4Validator(json.loads(SARIF.read_text())).validate(log)
    assert {rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]} == set(checks.registry())


def test_a_baseline_makes_only_what_is_new_fail(cli: Cli, tmp_path: Path) -> None:
    baseline = tmp_path / "known.json"
    assert cli(*BROKEN, "--write-baseline", baseline).code == 0
    run = cli(*BROKEN, "--baseline", baseline, "--format", "json")
    assert run.code == 0 and all(finding["known"] for finding in run.json["findings"])
    run = cli(*BROKEN, "--set", "_TinySize=8", "--baseline", baseline, "--format", "json")
    assert run.code == 1
    assert {f["id"] for f in run.json["findings"] if not f["known"]} >= {"constants.tiny-class"}
    assert [f["known"] for f in run.json["findings"] if f["id"] == "structs.atomic-alignment"] == [True]


def test_select_and_ignore(cli: Cli) -> None:
    assert cli(*BROKEN, "--select", "layout", "--select", "stacks.guard").code == 0
    assert cli(*BROKEN, "--ignore", "structs").code == 0
    assert cli(*BROKEN, "--select", "structs").code == 1


@pytest.mark.parametrize("name", ["archcalc.yaml", "pyproject.toml"])
def test_a_project_says_it_once(name: str, cli: Cli, tmp_path: Path) -> None:
    toml = '[tool.archcalc]\nplatforms = ["linux/386"]\nset = ["_PageShift=14"]\nignore = ["layout"]\n'
    yaml = "platforms: [linux/386]\nset: ['_PageShift=14']\nignore: [layout]\n"
    more = '[tool.archcalc.severity]\n"structs.atomic-alignment" = "warning"\n'
    (tmp_path / name).write_text(
        toml + more if name.endswith("toml") else yaml + "severity: {structs: warning}\n"
    )
    run = cli("check", "--format", "json")
    assert run.code == 0
    assert run.json["platforms"] == ["linux/386"] and run.json["set"] == {"_PageShift": 14}
    assert "layout.bitmap-covers-arena" not in run.json["checks"]
    assert [f["severity"] for f in run.json["findings"]] == ["warning"]


def test_list_checks_has_them_all(cli: Cli) -> None:
    entries = cli("list-checks", "--format", "json").json["checks"]
    assert [entry["id"] for entry in entries] == list(checks.every())
    assert all(set(entry) == {"id", "family", "severity", "title"} for entry in entries)
