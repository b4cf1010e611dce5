"""Formats that a library reads are not read by hand beside it."""

from __future__ import annotations

import ast

import pytest
from imports import modules

# Which library reads a program's file; what has none here unpacks its bytes itself.
LIBRARIES = {"elf": "elftools", "macho": "lief", "pe": "lief"}
BY_HAND = {"plan9", "wasm", "xcoff"}
FORMATS = "archcalc.goverify.formats."


def unpacks(tree: ast.AST) -> bool:
    """Whether a module takes bytes apart: by struct, or by int.from_bytes."""
    return any(
        (isinstance(node, ast.Import) and any(alias.name == "struct" for alias in node.names))
        or (isinstance(node, ast.Attribute) and node.attr == "from_bytes")
        for node in ast.walk(tree)
    )


def test_every_format_is_one_or_the_other() -> None:
    there = {name.removeprefix(FORMATS) for name in modules() if name.startswith(FORMATS)} - {"parts"}
    assert there == {*LIBRARIES, *BY_HAND}


@pytest.mark.parametrize("format", LIBRARIES)
def test_a_library_reads_it(format: str) -> None:
    text = modules()[FORMATS + format].read_text()
    assert f'needed("{LIBRARIES[format]}' in text
    assert not unpacks(ast.parse(text))


def test_reading_by_hand_is_seen() -> None:
    assert unpacks(ast.parse(modules()[FORMATS + "xcoff"].read_text()))
    assert unpacks(ast.parse("at = int.from_bytes(data[4:8], 'little')"))
