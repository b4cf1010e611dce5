"""Changes of one line to the machines' code, for as long as a proof lasts."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from proved import proved, proved_now

USUAL = "7aefdfded"
FILE = Path(__file__).with_name("mutations.yaml")


@dataclass(frozen=True)
class Mutation:
    """A change of one line of a file of `allocator`, on a port of a release.

    `breaks`: properties of which `archcalc prove` must refute one; a harmless change has none.
    """

    file: str
    old: str
    new: str
    why: str
    port: str
    go: str
    breaks: tuple[str, ...]
    nth: int = 1
    quick: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.new} ({self.why}) on {self.port}, {self.go}"

    @property
    def module(self) -> ModuleType:
        """The module that it changes."""
        return importlib.import_module("allocator." + self.file.removesuffix(".py").replace("/", "."))

    def changed(self) -> tuple[list[str], int]:
        """The file's lines with the change, and the number of the one that is changed, from 1."""
        lines = inspect.getsource(self.module).split("\n")
        found = [i for i, line in enumerate(lines) if line.strip() == self.old]
        assert len(found) >= self.nth, f"{self.file} does not read like this any more: {self.old}"
        at = found[self.nth - 1]
        lines[at] = lines[at].replace(self.old, self.new)
        return lines, at + 1

    @contextmanager
    def made(self) -> Iterator[None]:
        """The machine with the change."""
        lines, at = self.changed()
        owner, function = _function_at(self.module, at)
        holders: list[Any] = [owner]
        old = vars(owner)[function.name]
        if isinstance(owner, ModuleType):
            named = [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
            holders = [module for module in named if vars(module).get(function.name) is old]
        new = _compiled(lines, function, owner, self.module)
        for holder in holders:
            setattr(holder, function.name, new)
        try:
            yield
        finally:
            for holder in holders:
                setattr(holder, function.name, old)


def _function_at(module: ModuleType, line: int) -> tuple[Any, ast.FunctionDef]:
    """The function that has a line, and the class or module that has the function."""
    tree = ast.parse(inspect.getsource(module))
    for owner, node in _functions(module, tree):
        assert node.end_lineno is not None
        if node.lineno <= line <= node.end_lineno:
            return owner, node
    raise AssertionError(f"{module.__name__}:{line} is in no function")


def _functions(module: ModuleType, tree: ast.Module) -> Iterator[tuple[Any, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield module, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield getattr(module, node.name), inner


def _compiled(lines: list[str], node: ast.FunctionDef, owner: Any, module: ModuleType) -> FunctionType:
    """The function with the change; it calls itself what it did before."""
    assert node.end_lineno is not None and not node.decorator_list
    source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    if isinstance(owner, type):
        source = f"class {owner.__name__}:\n{textwrap.indent(textwrap.dedent(source), '    ')}"
    space: dict[str, Any] = {}
    code = compile("from __future__ import annotations\n" + source, str(module.__file__), "exec")
    exec(code, vars(module), space)
    made = vars(space[owner.__name__])[node.name] if isinstance(owner, type) else space[node.name]
    assert isinstance(made, FunctionType)
    return made


@cache
def mutations() -> tuple[Mutation, ...]:
    """All of them."""
    said = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return tuple(_read(entry) for entry in said)


def _read(entry: Mapping[str, Any]) -> Mutation:
    port, _, go = entry["port"].partition(":")
    return Mutation(
        entry["file"], entry["old"], entry["new"], entry["why"], port, go or USUAL,
        tuple(entry.get("breaks", ())), entry.get("nth", 1), entry.get("quick", False),
    )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a change refutes that held, and what it leaves undecided that was decided."""

    mutation: Mutation
    refuted: tuple[str, ...]
    undecided: tuple[str, ...]

    @property
    def as_it_should_be(self) -> bool:
        """Whether it is refuted where it breaks something, and else is not."""
        return bool(self.refuted) is bool(self.mutation.breaks)


def outcome(mutation: Mutation) -> Outcome:
    """Proves with the change, and holds it against what is proved without."""
    what = mutation.port, mutation.go, frozenset(mutation.breaks)
    before = proved(*what)
    with mutation.made():
        found = proved_now(*what)
    changed = {id: one.holds for id, one in found.items() if one.holds is not before[id].holds}
    return Outcome(
        mutation,
        tuple(id for id, holds in changed.items() if holds is False),
        tuple(id for id, holds in changed.items() if holds is None),
    )
