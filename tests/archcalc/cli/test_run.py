"""`run`: scenario files from the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

from archcalc import schema
from tests.support.expectations import changed

FOLDER = Path(__file__).parents[3] / "examples" / "incidents"

SMALL = """\
schema: 1
about: one object
platform: linux/amd64
steps:
  - malloc: {size: 8}
expect:
  outcome: booted
  arena: {arena_start: 0xc420000000}
"""


def expectations_of(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all expectations in a file."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "expect":
                yield from leaves(value, (*path, key))
            else:
                yield from expectations_of(value, (*path, key))
    elif isinstance(document, list):
        for i, item in enumerate(document):
            yield from expectations_of(item, (*path, i))


def leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    else:
        yield path


CHOICES = {"outcome": {"booted": "throw", "throw": "booted", "refused": "booted"}}


def other(path: tuple[Any, ...], value: Any) -> Any:
    """What a file could say there instead."""
    if path[-1] == "outcome":
        return CHOICES["outcome"][value]
    if path[-1] == "last_call":
        return "sysFault"
    if path[-1] == "last_answer" and isinstance(value, str):
        return "errno=999"
    if isinstance(value, str) and re.fullmatch(r"[0-9]+[kmgt]", value):
        return "3k"
    if path[-1] == "overwritten":
        return []
    return changed(value)


@pytest.mark.parametrize(
    "name", ["bsd-reserves-without-asking", "crowded-address-space", "windows-commit-limit"]
)
def test_a_file_with_one_expectation_changed_exits_1(name: str, tmp_path: Path, cli: Any) -> None:
    document = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    places = list(expectations_of(document))
    assert len(places) > 10
    for place in places:
        mutant = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
        at = mutant
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = other(place, at[place[-1]])
        path = tmp_path / "mutant.yaml"
        path.write_text(yaml.safe_dump(mutant, sort_keys=False))
        run = cli("run", path, "--format", "json")
        assert run.code == 1, place
        failed = [e for s in run.json["scenarios"] for e in s["expectations"] if not e["ok"]]
        # One in the file itself also applies to its variants, unless they have it, too.
        assert failed and all(e["what"].rpartition(".")[2].endswith(str(place[-1])) for e in failed), place
        assert all(e["came"] != e["expected"] for e in failed)
    assert cli("run", FOLDER / f"{name}.yaml").code == 0


def test_the_folder_stands_for_all_of_them(cli: Any) -> None:
    run = cli("run", FOLDER, "--format", "json")
    assert (run.code, run.json["ok"]) == (0, True)
    jsonschema.Draft202012Validator(schema.load("run")).validate(run.json)
    names = [scenario["name"] for scenario in run.json["scenarios"]]
    assert {path.stem for path in FOLDER.glob("*.yaml")} <= set(names)
    assert len(set(names)) == len(names)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A file with one expectation that does not hold."""
    path = tmp_path / "broken.yaml"
    path.write_text(SMALL.replace("0xc420000000", "0xc420002000"))
    return path


def test_what_came_is_shown_with_its_place(broken: Path, cli: Any) -> None:
    run = cli("run", broken)
    assert run.code == 1
    assert f"{broken}:8:24: arena.arena_start: expected 0xc420002000, got 0xc420000000" in run.out
    assert "FAILED: 1 scenario, 2 expectations, 1 failed" in run.out


def test_json_keeps_its_shape(broken: Path, cli: Any) -> None:
    document = cli("run", broken, "--format", "json").json
    assert document["ok"] is False
    (scenario,) = document["scenarios"]
    assert (scenario["name"], scenario["ok"], scenario["outcome"]) == ("broken", False, "booted")
    assert scenario["expectations"][1] == {
        "what": "arena.arena_start",
        "ok": False,
        "expected": 0xC420002000,
        "came": 0xC420000000,
        "line": 8,
    }
    assert scenario["attempts"] == [{"hint": 0xC000000000, "size": 567472562176, "answer": 0xC000000000}]


def test_ci_formats_point_at_the_expectation(broken: Path, cli: Any) -> None:
    run = cli("run", broken, "--format", "github")
    assert run.code == 1
    assert run.out.startswith(f"::error file={broken},line=8,col=24,title=scenario-expectation::")
    suites = ElementTree.fromstring(cli("run", broken, "--format", "junit").out)
    (suite,) = suites
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("broken", "2", "1")
    sarif = json.loads(cli("run", broken, "--format", "sarif").out)
    (result,) = sarif["runs"][0]["results"]
    assert result["ruleId"] == "scenario-expectation"
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 8


def test_verbose_tells_what_can_be_done(cli: Any) -> None:
    run = cli("run", FOLDER / "heap-past-512-gb.yaml", "--verbose")
    assert run.code == 0
    assert "Split the work over processes" in run.out


def test_mistakes_of_all_files_are_shown_at_once(tmp_path: Path, cli: Any) -> None:
    (tmp_path / "a.yaml").write_text(SMALL.replace("malloc", "maloc"))
    (tmp_path / "b.yaml").write_text(SMALL.replace("arena_start", "arena_stat"))
    run = cli("run", tmp_path)
    assert (run.code, run.out) == (2, "")
    assert "a.yaml:5:5: unknown step maloc in steps[0]" in run.err
    assert "did you mean malloc?" in run.err
    assert "b.yaml:8:11: unknown key" in run.err and "did you mean arena_start?" in run.err


def test_a_folder_without_scenarios_is_a_mistake(tmp_path: Path, cli: Any) -> None:
    (tmp_path / "empty").mkdir()
    run = cli("run", tmp_path / "empty")
    assert run.code == 2
    assert "a folder without scenarios" in run.err
