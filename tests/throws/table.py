"""The table of all last words with the tests that reach them.

`python tests/throws/table.py` writes docs/throws.md.
Which test reaches a row is read from the tests themselves: `reaches("FILE.go:LINE", …)` within it.
"""

from __future__ import annotations

import ast
from pathlib import Path

from archcalc.questions import throws

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "throws.md"

HEAD = """\
# Last words

Every `throw`, `panic`, `exit` and error `print` of the files that the model stands for, and whether an input
leads there. `archcalc explain "WORDS"` says what one means and what helps. This file is
written by `python tests/throws/table.py`; a test fails when a row is missing or reached by nothing.

{counts}

| where | what | reached by |
|---|---|---|
"""


def reached_by() -> dict[str, list[str]]:
    """By site, the tests that lead there."""
    found: dict[str, list[str]] = {}
    for path in sorted(set(HERE.glob("test_*.py")) - {HERE / "test_reached_today.py"}):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for call in ast.walk(node):
                    if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "reaches":
                        site = call.args[0]
                        assert isinstance(site, ast.Constant), (
                            f"{path.name}:{call.lineno}: a site written out"
                        )
                        tests = found.setdefault(str(site.value), [])
                        if node.name not in tests:
                            tests.append(node.name)
    return found


def text() -> str:
    """The document."""
    tests = reached_by()
    rows = throws.table()
    counts = (
        f"{len(rows)} places: {sum(row.reachable for row in rows)} reached, "
        f"{sum(bool(row.unreachable) for row in rows)} that no input reaches, "
        f"{sum(bool(row.scope) for row in rows)} out of scope."
    )
    lines = []
    for row in rows:
        words = " / ".join((*row.printed, row.words)).replace("|", "\\|")
        kind = "" if row.kind == "throw" else f"{row.kind}: "
        if row.reachable:
            why = ", ".join(f"`{test}`" for test in tests.get(row.site, ())) or "nothing"
        else:
            why = f"unreachable: {row.unreachable}" if row.unreachable else f"out of scope: {row.scope}"
        lines.append(f"| {row.site} | {kind}`{words}` | {why} |\n")
    return HEAD.format(counts=counts) + "".join(lines)


if __name__ == "__main__":
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(text(), encoding="utf-8")
