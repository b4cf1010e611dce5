"""A file's private names are its own: no other file calls them, and none imports them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from imports import modules

# Names with an underscore that are documented all the same: of tuples with names, and of os.
PUBLIC = {"_replace", "_asdict", "_fields", "_exit", "_getframe"}
# A proof runs single parts of its own machine, from any state that they may find.
INSIDE = ("archcalc.proofs.contiguous.", "archcalc.proofs.sparse.")


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def own_names(tree: ast.Module) -> set[str]:
    """What a module defines: functions, classes, attributes that it sets, and fields that it declares."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.attr if isinstance(node, ast.Attribute) else node.id)
    return names


def foreign(tree: ast.Module) -> Iterator[str]:
    """Private names of others that a module touches or imports."""
    own = own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr) and node.attr not in own:
            base = node.value
            of_itself = isinstance(base, ast.Name) and base.id in ("self", "cls")
            above = isinstance(base, ast.Call) and ast.unparse(base.func) == "super"
            if not (of_itself or above):
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if private(alias.name))


def test_no_file_touches_what_is_private_to_another() -> None:
    found = {
        name: touched
        for name, path in modules().items()
        if not name.startswith(INSIDE) and (touched := set(foreign(ast.parse(path.read_text()))))
    }
    assert found == {}


def test_what_is_private_to_another_is_found() -> None:
    text = (
        "from a import _b, c\n\n\ndef f(x):\n    x._own = 1\n    return x._own + x._other + x._replace(a=1)\n"
    )
    assert set(foreign(ast.parse(text))) == {"_b", "x._other"}
