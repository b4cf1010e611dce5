"""The library for programs: each function gives what its command prints, without the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archcalc import api
from archcalc.reading.errors import UsageFault
from archcalc.results.tables import plain

RECORDING = sorted((Path(__file__).parents[2] / "data" / "version2").glob("*386.trace.gz"))[0]

ALIKE: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "report": (
        lambda: api.report("linux/386", only=["_PageSize"], sets={"_PageShift": 14}),
        ["report", "linux/386", "--only", "_PageSize", "--set", "_PageShift=14"],
    ),
    "report of two releases": (
        lambda: api.report("linux/amd64", only=["mspan"], go=["1.26", "1.27"]),
        ["report", "linux/amd64", "--only", "mspan", "--go", "1.26", "--go", "1.27"],
    ),
    "explain": (lambda: api.explain("hint0", "linux/arm64"), ["explain", "hint0", "linux/arm64"]),
    "explain words": (
        lambda: api.explain("cannot reserve arena virtual address space"),
        ["explain", "cannot reserve arena virtual address space"],
    ),
    "explain a command's rule": (lambda: api.explain("smoke-audit"), ["explain", "smoke-audit"]),
    "diff": (lambda: api.diff("linux/386", "linux/arm"), ["diff", "linux/386", "linux/arm"]),
    "check": (lambda: api.check("linux/386", go="1.27"), ["check", "linux/386", "--go", "1.27"]),
    "boot": (
        lambda: api.boot("linux/amd64", go="1.27", ulimit_v=1 << 28),
        ["boot", "linux/amd64", "--go", "1.27", "--ulimit-v", "256m"],
    ),
    "map": (lambda: api.map("linux/386", go="1.22"), ["map", "linux/386", "--go", "1.22"]),
    "heap": (lambda: api.heap("linux/386", n=200), ["heap", "linux/386", "-n", "200"]),
    "sizeclass": (
        lambda: api.sizeclass("linux/386", 100, 4096, go="1.27"),
        ["sizeclass", "100", "4k", "linux/386", "--go", "1.27"],
    ),
    "sizeclass, backwards": (
        lambda: api.sizeclass("linux/386", waste=0.2),
        ["sizeclass", "linux/386", "--waste", "20%"],
    ),
    "smoke": (
        lambda: api.smoke("linux/386", workload=["tiny", "exhaust"], n=200, go="1.27", ulimit_v=1 << 29),
        [
            "smoke",
            "linux/386",
            "-w",
            "tiny",
            "-w",
            "exhaust",
            "-n",
            "200",
            "--go",
            "1.27",
            "--ulimit-v",
            "512m",
        ],
    ),
    "run": (
        lambda: api.run("incidents/today-strict-overcommit"),
        ["run", "incidents/today-strict-overcommit"],
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_function_gives_what_its_command_prints(name: str, cli: Callable[..., Any]) -> None:
    function, words = ALIKE[name]
    result = function()
    run = cli(*words, "--format", "json")
    assert run.code == result.exit_code
    printed = json.loads(run.out)
    said = json.loads(json.dumps(plain(result.document())))
    # What the command says of the line itself comes beside the document.
    assert {key: printed[key] for key in said} == said
    assert set(printed) - set(said) <= {"generation", "set"}


TIMED: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "replay": (lambda: api.replay(RECORDING), ["replay", str(RECORDING)]),
    "prove": (
        lambda: api.prove("linux/386", only=["prove-ladder-fits"]),
        ["prove", "linux/386", "--property", "prove-ladder-fits"],
    ),
}


def timeless(found: Any) -> Any:
    """A document without the seconds that it took."""
    if isinstance(found, dict):
        return {key: timeless(value) for key, value in found.items() if "second" not in key}
    return [timeless(one) for one in found] if isinstance(found, list) else found


@pytest.mark.parametrize("name", TIMED)
def test_a_function_finds_what_its_command_finds(name: str, cli: Callable[..., Any]) -> None:
    function, words = TIMED[name]
    if name == "prove":
        pytest.importorskip("z3")
    result = function()
    run = cli(*words, "--format", "json")
    assert run.code == result.exit_code == 0
    said = timeless(json.loads(json.dumps(plain(result.document()))))
    printed = timeless(json.loads(run.out))
    assert said and {key: printed[key] for key in said} == said


SETS = {"_MaxMem": 68719476735}
WITH_SETS: dict[str, Callable[[dict[str, int | str]], Any]] = {
    "report": lambda sets: api.report("linux/amd64", only=["_MaxMem"], sets=sets),
    "explain": lambda sets: api.explain("_MaxMem", "linux/amd64", sets=sets),
    "diff": lambda sets: api.diff("linux/amd64", "linux/arm64", sets=sets),
    "check": lambda sets: api.check("linux/amd64", sets=sets),
    "boot": lambda sets: api.boot("linux/amd64", sets=sets),
    "map": lambda sets: api.map("linux/amd64", sets=sets),
    "heap": lambda sets: api.heap("linux/amd64", n=100, sets=sets),
    "sizeclass": lambda sets: api.sizeclass("linux/amd64", sets=sets),
    "smoke": lambda sets: api.smoke("linux/amd64", n=100, sets=sets),
}


@pytest.mark.parametrize("name", WITH_SETS)
def test_a_result_says_what_was_set(name: str) -> None:
    assert WITH_SETS[name](SETS).whole()["set"] == SETS


@pytest.mark.parametrize("name", ["boot", "map", "heap"])
@pytest.mark.parametrize("sets", [{"stackDebug": 1}, {"GOOS": "windows"}, {"noSuchName": 1}])
def test_a_machine_refuses_what_it_does_not_read(name: str, sets: dict[str, int | str]) -> None:
    with pytest.raises(UsageFault, match=next(iter(sets))):
        WITH_SETS[name](sets)


def test_programs_may_ask_why() -> None:
    (boot,) = api.boot("linux/386", why=True, ulimit_v="900m").document()["boots"]  # type: ignore[misc]
    assert boot["stops"][0]["line"] == "ulimit -v 265587"


def test_a_platform_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageFault, match="linux/vax"):
        api.boot("linux/vax")


WITHOUT = """
import sys
sys.modules["archcalc.cli"] = sys.modules["typer"] = sys.modules["click"] = None
from archcalc import api
from archcalc.boot import boot
assert boot("linux/amd64").audit() == []
results = [
    api.report("linux/386"), api.explain("hint0", "linux/386"), api.explain("replay-difference"),
    api.diff("linux/386", "linux/arm"), api.check("linux/386"), api.boot("linux/386"), api.map("linux/386"),
    api.heap("linux/386", n=100),
]
assert all(result._repr_html_() for result in results)
"""


def test_nothing_of_the_library_needs_the_command_line_or_its_packages() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
