"""CONTRIBUTING's walks through the rooms name files, classes and functions that there are."""

from __future__ import annotations

import re

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
