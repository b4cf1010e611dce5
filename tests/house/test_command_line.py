"""typer and click are used as their documentation shows: no private name of theirs, no signature made up."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from imports import modules

from archcalc.cli.app import LazyGroup
from archcalc.cli.command import Command
from archcalc.cli.params import PlainArgument, PlainOption

LIBRARIES = {"typer", "click"}


def private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module takes from the two."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in LIBRARIES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def touched(tree: ast.AST) -> Iterator[str]:
    """Private attributes that a module reads or sets on anything but itself and its own class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            base = node.value
            own = isinstance(base, ast.Name) and base.id in ("self", "cls")
            if not own:
                yield ast.unparse(node)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("getattr", "setattr", "hasattr")
            and len(node.args) > 1
            and isinstance(node.args[1], ast.Constant)
            and private(str(node.args[1].value))
        ):
            yield ast.unparse(node)


def sources(*words: str, under: str = "") -> Iterator[tuple[str, ast.Module]]:
    """The modules whose names begin so, of which only those are parsed that have one of the words in them."""
    for name, path in modules().items():
        text = path.read_text() if name.startswith(under) else ""
        if any(word in text for word in words):
            yield name, ast.parse(text)


def test_no_private_name_of_theirs_is_imported() -> None:
    taken = {(name, one) for name, tree in sources(*LIBRARIES) for one in imported(tree)}
    assert taken
    assert {(name, one) for name, one in taken if any(map(private, one.split(".")))} == set()


def test_no_private_attribute_of_theirs_is_touched() -> None:
    # Only the command line knows the two at all.
    users = {name for name, tree in sources(*LIBRARIES) if any(imported(tree))}
    assert {name for name in users if not name.startswith("archcalc.cli")} == set()
    found = {(name, one) for name, tree in sources("_", under="archcalc.cli") for one in touched(tree)}
    assert found == set()


@pytest.mark.parametrize("attribute", ["__signature__", "__annotations__"])
def test_what_python_says_of_a_function_is_not_rewritten(attribute: str) -> None:
    set_there = {
        name
        for name, tree in sources(attribute)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == attribute and isinstance(node.ctx, ast.Store)
    }
    assert set_there == set()


@pytest.mark.parametrize("ours", [LazyGroup, Command, PlainOption, PlainArgument])
def test_a_class_of_ours_defines_no_private_name_that_theirs_have(ours: type) -> None:
    theirs = {
        name for base in ours.__mro__ if base.__module__.split(".")[0] in LIBRARIES for name in vars(base)
    }
    assert theirs
    own = vars(ours).keys() - {"_abc_impl"}  # that Python itself gives to each subclass of an abstract class
    assert {name for name in own if private(name) and name in theirs} == set()


# What is about the command line itself: the terminal, its width, the variables that it reads.
OF_THE_COMMAND_LINE = {"archcalc.cli.env.Environment"}


def test_results_are_the_librarys() -> None:
    bases = {"Result", "Judged", "Pictured", "Listing"}
    made = {
        f"{name}.{node.name}"
        for name, tree in sources(*bases, under="archcalc.cli.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and bases & {ast.unparse(base) for base in node.bases}
    }
    assert made == OF_THE_COMMAND_LINE
