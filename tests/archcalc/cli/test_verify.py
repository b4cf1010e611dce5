"""`archcalc verify` and `archcalc drift` from the command line, their CI formats, and examples/ci."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from jsonschema import Draft4Validator

from archcalc.host import extras
from tests.support import golang, gotree

ROOT = Path(__file__).parents[3]
TESTS = ROOT / "tests"
EXAMPLES = ROOT / "examples" / "ci"
SARIF = Draft4Validator(json.loads((TESTS / "data/schemas/sarif-2.1.0.json").read_text()))
SUITE = {"id", "name", "package", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"}

Cli = Callable[..., Any]


@pytest.fixture
def fork(whole_tree: Path, tmp_path: Path) -> Path:
    """A fork that has changed one constant and kept one comment of those that are wrong."""
    root = Path(shutil.copytree(whole_tree, tmp_path / "fork"))
    gotree.edit(root, "runtime/sema.go", "semTabSize = 251", "semTabSize = 509")
    gotree.edit(root, "runtime/stack.go", "package runtime", "// 0xfffffade in hex\npackage runtime")
    return root


def program(folder: Path, platform: str, *flags: str) -> Path:
    """A program of the installed Go, to be changed."""
    return Path(shutil.copy(golang.program(platform, *flags), folder / "program"))


# ---- documents and exit codes ----


def test_a_tree_as_json(cli: Cli, whole_tree: Path) -> None:
    run = cli("verify", "--goroot", whole_tree, "linux/*", "--format", "json")
    assert run.code == 0 and run.json["ok"] is True and run.json["differences"] == []
    assert run.json["compared"] > 15_000 and run.json["era"]["current"] is True
    assert {p["platform"] for p in run.json["platforms"]} >= {"linux/amd64", "linux/mips64le"}


def test_without_a_platform_all_are_compared(cli: Cli, whole_tree: Path) -> None:
    assert len(cli("verify", "--goroot", whole_tree, "--format", "json").json["platforms"]) == 38


def test_a_difference_as_json_names_value_place_and_formula(cli: Cli, fork: Path) -> None:
    run = cli("verify", "--goroot", fork, "linux/amd64", "--format", "json")
    assert run.code == 1 and run.json["ok"] is False
    (one,) = run.json["differences"]
    assert {key: one[key] for key in ("platform", "name", "computed", "found", "where")} == {
        "platform": "linux/amd64", "name": "semTabSize", "computed": 251, "found": 509,
        "where": "runtime/sema.go:38",
    }  # fmt: skip
    assert (one["formula"], one["source"], one["theirs"]) == ("251", "runtime/sema.go:38", "509")


def test_two_trees_as_json(cli: Cli, whole_tree: Path, fork: Path) -> None:
    run = cli("verify", "--what-changed", whole_tree, fork, "linux/arm", "--format", "json")
    assert run.code == 1
    assert [(d["name"], d["computed"], d["found"]) for d in run.json["differences"]] == [
        ("semTabSize", 251, 509)
    ]
    assert cli("verify", "--what-changed", fork, fork, "linux/arm").code == 0


def test_a_program_as_json(cli: Cli, tmp_path: Path) -> None:
    run = cli("verify", "--binary", program(tmp_path, "windows/386"), "--format", "json")
    assert run.code == 0 and run.json["ok"] is True and run.json["compared"] > 1800
    assert run.json["version"] == run.json["go"] == golang.installed().release
    assert (run.json["platform"], run.json["format"], run.json["dwarf"]) == ("windows/386", "PE", True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to verify"),
        (("--goroot", ".", "--binary", "x"), "--goroot and --binary together"),
        (("--what-changed", "one"), "--what-changed without two trees"),
        (("--goroot", "."), "has no src/runtime"),
        (("--goroot", "nowhere"), "is not a folder"),
        (("--binary", "nowhere"), "cannot read"),
        (("--binary", "."), "a folder"),
        (("--what-changed", "one", "two"), "one is not a folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(cli: Cli, words: tuple[str, ...], message: str) -> None:
    run = cli("verify", *words)
    assert run.code == 2 and run.out == "" and message in run.err
    assert "Traceback" not in run.err


def test_a_program_for_a_platform_without_figures_is_named(cli: Cli, tmp_path: Path) -> None:
    data = program(tmp_path, "plan9/386", "-s", "-w").read_bytes()
    path = tmp_path / "other"
    path.write_bytes(data.replace(b"_rt0_386_plan9\0", b"_rt0_386_hurd\0\0"))
    run = cli("verify", "--binary", path)
    assert run.code == 2 and "for 386/hurd" not in run.err and "for hurd/386, which has no profile" in run.err


@pytest.mark.parametrize(
    ("module", "option", "platform"),
    [
        ("tree_sitter", "--goroot", "linux/arm"),
        ("lief", "--binary", "darwin/arm64"),
        ("lief", "--binary", "windows/amd64"),
        ("elftools.elf.elffile", "--binary", "linux/amd64"),
        ("elftools.dwarf.dwarfinfo", "--binary", "darwin/arm64"),
    ],
)
def test_a_missing_extra_is_named(
    cli: Cli,
    whole_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    option: str,
    platform: str,
) -> None:
    from archcalc.goverify import gofile

    def missing(name: str) -> Any:
        if name == module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return import_module(name)

    gofile._parser.cache_clear()
    monkeypatch.setattr(extras, "import_module", missing)
    tree = option == "--goroot"
    target = whole_tree if tree else program(tmp_path, platform)
    run = cli("verify", option, target, *([platform] if tree else []))
    assert run.code == 2 and "pip install 'archcalc[verify]'" in run.err


def test_drift_as_json(cli: Cli) -> None:
    run = cli("drift", "linux/amd64", "--format", "json")
    assert run.code == 1
    first = run.json["findings"][0]
    assert (first["file"], first["line"], first["platforms"]) == ("runtime/malloc.go", 273, ["linux/amd64"])
    assert {"says", "computed"} <= first.keys() and first["derivation"][0]["name"] == "reservation_size"
    assert len(cli("drift", "--format", "json").json["findings"]) >= 18


def test_drift_follows_a_what_if(cli: Cli) -> None:
    ids = [{f["id"] for f in cli("drift", "linux/arm", *more, "--format", "json").json["findings"]}
           for more in ((), ("--set", "_PageShift=12"))]  # fmt: skip
    assert ids[0] - ids[1] == {"page-4k", "spans-page-at-a-time"}


def test_drift_in_a_tree_says_what_has_gone(cli: Cli, fork: Path) -> None:
    run = cli("drift", "--goroot", fork, "--format", "json")
    assert [(f["id"], f["line"], f["moved_from"]) for f in run.json["findings"]] == [("preempt-hex", 1, 108)]
    assert {one["id"] for one in run.json["gone"]} >= {"page-4k", "three-bit-arenas", "windows-35-bits"}


# ---- formats of CI systems ----


@pytest.fixture
def commands(fork: Path, tmp_path: Path) -> dict[str, list[str]]:
    changed = program(tmp_path, "linux/amd64", "-s", "-w")
    data = bytearray(changed.read_bytes())
    at = data.index(bytes([0, 0, 8, 0, 16, 0, 24, 0, 32, 0, 48, 0]))
    data[at + 4] = 20
    changed.write_bytes(data)
    return {
        "tree": ["verify", "--goroot", str(fork), "linux/amd64", "linux/386"],
        "program": ["verify", "--binary", str(changed)],
        "trees": ["verify", "--what-changed", str(fork), str(fork), "plan9/arm"],
        "drift": ["drift"],
        "drift in a tree": ["drift", "--goroot", str(fork)],
    }


@pytest.mark.parametrize("which", ["tree", "program", "trees", "drift", "drift in a tree"])
def test_sarif_is_valid(cli: Cli, commands: dict[str, list[str]], which: str) -> None:
    log = cli(*commands[which], "--format", "sarif").json
    SARIF.validate(log)
    results = log["runs"][0]["results"]
    assert bool(results) is (which != "trees")
    prints = [one["partialFingerprints"]["archcalcFinding/v1"] for one in results]
    assert len(set(prints)) == len(prints)
    assert log == cli(*commands[which], "--format", "sarif").json


@pytest.mark.parametrize("which", ["tree", "program", "trees", "drift", "drift in a tree"])
def test_junit_is_valid(cli: Cli, commands: dict[str, list[str]], which: str) -> None:
    run = cli(*commands[which], "--format", "junit")
    root = ElementTree.fromstring(run.out)
    assert root.tag == "testsuites" and len(root)
    failures = 0
    for number, suite in enumerate(root):
        assert set(suite.attrib) == SUITE and suite.get("id") == str(number)
        cases = [child for child in suite if child.tag == "testcase"]
        assert int(suite.attrib["tests"]) == len(cases)
        failed = [case for case in cases if case.find("failure") is not None]
        assert int(suite.attrib["failures"]) == len(failed)
        failures += len(failed)
        assert [c.tag for c in suite] == [
            "properties",
            *["testcase"] * len(cases),
            "system-out",
            "system-err",
        ]
    assert bool(failures) is (run.code == 1) is (which != "trees")


@pytest.mark.parametrize("which", ["tree", "program", "trees", "drift", "drift in a tree"])
def test_annotations_are_valid(cli: Cli, commands: dict[str, list[str]], which: str) -> None:
    lines = cli(*commands[which], "--format", "github").out.splitlines()
    assert bool(lines) is (which != "trees")
    for line in lines:
        assert re.fullmatch(
            r"::(error|warning|notice) file=[^,:]+(,line=\d+)?,title=(verify|drift)-[a-z]+::.+", line
        )


def test_a_fingerprint_stays_when_lines_move_and_numbers_change(cli: Cli, fork: Path) -> None:
    def prints() -> list[str]:
        log = cli("verify", "--goroot", fork, "linux/arm", "--format", "sarif").json
        return [one["partialFingerprints"]["archcalcFinding/v1"] for one in log["runs"][0]["results"]]

    before = prints()
    gotree.edit(fork, "runtime/sema.go", "const semTabSize = 509", "\n\n\nconst semTabSize = 1021")
    assert prints() == before and len(before) == 1


# ---- examples/ci ----


def steps() -> list[str]:
    """The command lines of the workflow that are ours."""
    workflow = yaml.safe_load((EXAMPLES / "workflow.yaml").read_text())
    found = []
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert "uses" not in step or re.fullmatch(r"[\w./-]+@v\d+", step["uses"])
            if step.get("run", "").startswith("archcalc"):
                found.append(step["run"])
    return found


def hooks() -> list[str]:
    """The command lines of the pre-commit hooks."""
    config = yaml.safe_load((EXAMPLES / "pre-commit-config.yaml").read_text())
    found = []
    for repo in config["repos"]:
        for hook in repo["hooks"]:
            assert {"id", "name", "entry", "language"} <= hook.keys() and hook["pass_filenames"] is False
            assert re.compile(hook["files"]).search("src/runtime/malloc.go")
            found.append(hook["entry"])
    return found


def baselines() -> list[str]:
    """The command lines that write the baselines, as the README there has them."""
    block = (EXAMPLES / "README.md").read_text().split("```sh\n")[1].split("```")[0]
    return [line for line in block.splitlines() if line.startswith("archcalc")]


def run_all(cli: Cli, lines: list[str]) -> list[Any]:
    return [cli(*shlex.split(line)[1:]) for line in lines]


@pytest.mark.parametrize("use", [steps, hooks])
def test_the_examples_pass_on_a_fork_and_fail_on_a_change(
    cli: Cli, fork: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[], list[str]]
) -> None:
    monkeypatch.chdir(fork)
    os.mkdir(".archcalc")
    assert [run.code for run in run_all(cli, baselines())] == [0, 0]
    lines = use()
    assert len(lines) == (3 if use is steps else 2)
    assert [run.code for run in run_all(cli, lines)] == [0] * len(lines)
    if use is steps:
        log = json.loads(Path("archcalc.sarif").read_text())
        SARIF.validate(log)
        assert {one["baselineState"] for one in log["runs"][0]["results"]} == {"unchanged"}
        os.remove("archcalc.sarif")
    gotree.edit(fork, "runtime/hashmap.go", "maxKeySize = 128", "maxKeySize = 64")
    line = gotree.edit(fork, "runtime/extern.go", "package runtime", "// pages (4k pages)\npackage runtime")
    runs = run_all(cli, lines)
    # That comment is in none of the files that had it, so only the constant is new.
    assert line == 1 and [run.code for run in runs] == ([1, 0, 1] if use is steps else [1, 0])
    if use is steps:
        assert runs[0].out.count("::error ") == 38 and "maxKeySize is 64" in runs[0].out


def test_the_readme_of_the_examples_shows_what_there_is() -> None:
    text = (EXAMPLES / "README.md").read_text()
    assert all(path.name in text for path in EXAMPLES.glob("*.yaml"))
    assert (
        "examples/ci" in (ROOT / "examples/README.md").read_text()
        or "`ci/" in (ROOT / "examples/README.md").read_text()
    )
