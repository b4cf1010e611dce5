"""No code stands twice: six lines and more that are the same in two places are listed, each with a reason."""

from __future__ import annotations

import ast
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from imports import modules

LINES = 6


class Line(NamedTuple):
    """A line of code without its indentation, and where it stands."""

    module: str
    number: int
    text: str


def code(module: str, path: Path) -> list[Line]:
    """The lines of code of a module: no imports, signatures, docstrings, comments, or brackets alone."""
    source = path.read_text()
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, ast.AnnAssign) and node.value is None:
            left_out.add(node.lineno)  # a field's declaration
        elif isinstance(node, ast.FunctionDef):
            # Signatures are the same wherever something is implemented that another file declares.
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            left_out |= set(range(first, node.body[0].lineno))
    found = []
    for number, text in enumerate(source.splitlines(), 1):
        text = text.strip()
        if number not in left_out and text.strip("()[]{},: ") and not text.startswith("#"):
            found.append(Line(module, number, text))
    return found


def repeated() -> dict[tuple[str, str], list[tuple[int, int, str]]]:
    """Pairs of modules, and the first lines and text of what is the same in both (or twice in one)."""
    windows: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for module, path in modules().items():
        lines = code(module, path)
        for at in range(len(lines) - LINES + 1):
            windows[tuple(line.text for line in lines[at : at + LINES])].append(lines[at])
    found: dict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
    for texts, places in windows.items():
        for first, second in pairwise(places):
            pair = sorted((first, second))
            found[pair[0].module, pair[1].module].append((pair[0].number, pair[1].number, texts[0]))
    return found


# What is the same, and why it is in both places.
REASONS = {
    ("allocator.contiguous.runtime", "allocator.sparse.heap"): "doors of two machines to parts of their own",
    ("allocator.sparse.mcentral", "allocator.sparse.mcentral"): "cacheSpan goes through two lists alike",
    (
        "allocator.sparse.sysstats",
        "archcalc.recorder.text",
    ): "counters, and the codes that a raw log has for them",
}


def test_what_stands_twice_is_known_with_its_reason() -> None:
    found = repeated()
    assert {pair: places for pair, places in found.items() if pair not in REASONS} == {}
    assert set(REASONS) == set(found), "a reason for what no longer stands twice"


def test_a_repeated_part_is_found(tmp_path: Path) -> None:
    body = "\n".join(f"    x{i} = {i} + y" for i in range(LINES))
    path = tmp_path / "a.py"
    path.write_text(f"def a(y):\n{body}\n\n\ndef b(y):\n{body}\n")
    lines = [line.text for line in code("a", path)]
    assert lines[:LINES] == lines[LINES:]
