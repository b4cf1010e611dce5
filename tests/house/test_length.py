"""A function fits a screen; one that does not is listed, with what it gains by that."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from imports import modules

SCREEN = 60
"""Lines of code, after the signature and the docstring."""

REASONS = {
    "allocator.contiguous.malloc.malloc": "an allocation's short way; its comment says what a call costs",
    "allocator.contiguous.malloc.mallocgc": "Go's function; its docstring says what a call costs",
    "archcalc.machines.contiguous.config": "a table: a field of the machine's Config a line",
    "archcalc.machines.sparse.config": "a table: a field of the machine's Config a line",
    "archcalc.recorder.edits.wraps": "a table: what is put around a function of the runtime a row",
    "archcalc.traces.replayer.feed_parted": "the loop over lines; its docstring says what a call costs",
}


def functions(name: str, tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Each function of a module with the lines of its body, docstring left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            if body:
                yield f"{name}.{node.name}", (node.end_lineno or 0) - body[0].lineno + 1


def test_functions_fit_a_screen_or_say_why_not() -> None:
    long = {
        function
        for name, path in modules().items()
        for function, lines in functions(name, ast.parse(path.read_text()))
        if lines > SCREEN
    }
    assert long - set(REASONS) == set(), "split them, or say what was measured"
    assert set(REASONS) - long == set(), "a reason for what is short by now"


def test_lines_are_counted_after_the_docstring() -> None:
    tree = ast.parse(
        'def f(\n    x: int,\n) -> int:\n    """What.\n\n    More.\n    """\n    y = x\n    return y\n'
    )
    assert dict(functions("m", tree)) == {"m.f": 2}
