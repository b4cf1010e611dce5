"""The table of commands against the commands themselves, and what start-up imports."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from typer import Context

import archcalc
from archcalc.cli import app
from archcalc.cli.command import build
from archcalc.results.result import Result


def entries(
    commands: tuple[app.CommandEntry, ...] = app.COMMANDS, group: str = ""
) -> Iterator[tuple[str, app.CommandEntry]]:
    for entry in commands:
        if entry.commands:
            yield from entries(entry.commands, entry.name)
        else:
            yield group, entry


@pytest.mark.parametrize(("group", "entry"), list(entries()))
def test_the_help_line_is_the_first_line_of_the_docstring(group: str, entry: app.CommandEntry) -> None:
    function = import_module(entry.module(group)).command
    assert entry.help == inspect.getdoc(function).splitlines()[0]  # type: ignore[union-attr]


@pytest.mark.parametrize(("group", "entry"), list(entries()))
def test_every_command_returns_a_result_and_has_help(
    group: str, entry: app.CommandEntry, cli: Callable[..., object]
) -> None:
    function = import_module(entry.module(group)).command
    assert issubclass(inspect.signature(function, eval_str=True).return_annotation, Result)
    run = cli(*([group] if group else []), entry.name, "--help")
    assert (run.code, run.err) == (0, "")  # type: ignore[attr-defined]


def test_the_version_is_the_package_s(cli: Callable[..., object]) -> None:
    run = cli("--version")
    assert (run.code, run.out) == (0, f"archcalc {archcalc.__version__}\n")  # type: ignore[attr-defined]


IMPORTED = """
import json, sys
from archcalc.cli.main import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words", [["--version"], ["--help"], ["report", "linux/amd64"], ["report", "--help"]]
)
def test_nothing_is_imported_that_is_not_needed(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words], capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stderr)
    assert code == 0
    unwanted = {"rich", "pydantic", "tabulate", "numpy", "archcalc.checks"}
    if words[0].startswith("--"):
        unwanted |= {"yaml", "archcalc.cli.report"}
        unwanted |= {"archcalc.calculator.figures", "archcalc.profiles.profile"}
    assert unwanted.isdisjoint(modules)


def options(group: str, entry: app.CommandEntry) -> Iterator[Any]:
    """The options of a command as typer has them."""
    built = build(entry.name, entry.module(group))
    yield from (param for param in built.get_params(Context(built)) if param.param_type_name == "option")


@pytest.mark.parametrize(("group", "entry"), list(entries()))
def test_one_thing_has_one_name(group: str, entry: app.CommandEntry) -> None:
    found = {name: param for param in options(group, entry) for name in param.opts}
    assert {name for name in found if "force" in name} <= {"--force"}
    for name in {"--workload", "--after", "--plots"} & found.keys():
        assert found[name].metavar == "WORKLOAD" and "smoke:" not in (found[name].help or "")
