"""CONTRIBUTING's walks through the rooms name files, classes and functions that there are."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from imports import TREE

TEXT = (TREE / "CONTRIBUTING.md").read_text()
WALKS = TEXT[TEXT.index("## Three walks") : TEXT.index("## Adding a command")]
SOURCES = {
    path: path.read_text() for room in ("allocator", "archcalc") for path in (TREE / room).rglob("*.py")
}


def test_every_file_that_a_walk_names_is_there() -> None:
    named = set(re.findall(r"`([\w/-]+\.(?:py|yaml))`", WALKS))
    known = [path.as_posix() for path in (*SOURCES, *(TREE / "platforms").rglob("*.yaml"))]
    assert len(named) > 20
    assert {name for name in named if not any(path.endswith(f"/{name}") for path in known)} == set()


def test_every_function_that_a_walk_names_is_there() -> None:
    text = "\n".join(SOURCES.values())
    named = set(re.findall(r"`(?:\w+\.)*([A-Za-z_]+)(?:\(\))?`", WALKS)) - {"archcalc", "py"}
    assert len(named) > 30
    defined = {
        name
        for name in named
        if re.search(rf"^\s*(?:def|class) {name}\b|^\s*(?:self\.)?{name}\b.*[=:]", text, re.M)
    }
    assert named - defined == set()


def test_what_a_walk_names_behind_a_file_is_in_that_file() -> None:
    """As "`measure.py` `Tape.length`" names it: a function, a class, or a class's method."""
    pairs = re.findall(r"`([\w/-]+\.py)`\s+\(?`(\w+)(?:\.\w+)?(?:\(\))?`", WALKS)
    assert len(pairs) > 12
    for file, name in pairs:
        texts = [text for path, text in SOURCES.items() if path.as_posix().endswith(f"/{file}")]
        assert any(re.search(rf"^(?:def|class) {name}\b|^ +def {name}\b", text, re.M) for text in texts), (
            file,
            name,
        )


def test_every_method_that_a_walk_names_is_its_class_s() -> None:
    """Its own, or one that it has from a class that it is made of."""
    bases: dict[str, set[str]] = defaultdict(set)
    own: dict[str, set[str]] = defaultdict(set)
    for text in SOURCES.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                bases[node.name] |= {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                own[node.name] |= {inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)}

    def methods(name: str) -> set[str]:
        return own[name].union(*(methods(base) for base in bases[name]))

    named = re.findall(r"`([A-Z]\w+)\.(\w+)(?:\(\))?`", WALKS)
    assert len(named) > 12
    assert [f"{owner}.{method}" for owner, method in named if method not in methods(owner)] == []
