"""Who imports whom in the two packages, as their sources say, whether at run time or for types only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

TREE = Path(__file__).parents[2]
PACKAGES = ("allocator", "archcalc")


class Import(NamedTuple):
    """One module imports another. `types`: under TYPE_CHECKING only; `late`: within a function."""

    importer: str
    imported: str
    types: bool
    late: bool


@cache
def modules() -> dict[str, Path]:
    """Every module of the two packages, by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((TREE / package).rglob("*.py")):
            parts = path.relative_to(TREE).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Every import of one of our modules by another, however it is written."""
    return tuple(one for name, path in modules().items() for one in _of(name, ast.parse(path.read_text())))


def _of(name: str, tree: ast.Module) -> Iterator[Import]:
    def visit(node: ast.AST, types: bool, late: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inner_types = types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test))
            inner_late = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for imported in _named(child):
                if imported in modules() and imported != name:
                    yield Import(name, imported, types, late)
            yield from visit(child, inner_types, inner_late)

    yield from visit(tree, False, False)


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.module is not None and node.level == 0, "imports are written in full"
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            yield full if full in modules() else node.module


def circles(found: tuple[Import, ...]) -> list[list[str]]:
    """The sets of modules that reach each other (Tarjan), each in alphabetical order."""
    graph: dict[str, list[str]] = {name: [] for name in modules()}
    for one in found:
        graph[one.importer].append(one.imported)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    result: list[list[str]] = []

    def walk(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                walk(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            circle = stack[at:]
            del stack[at:]
            if len(circle) > 1:
                result.append(sorted(circle))

    for name in graph:
        if name not in index:
            walk(name)
    return result
