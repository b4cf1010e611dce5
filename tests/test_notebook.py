"""The example notebook runs, and what its cells show is HTML where it should be."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from archcalc import api
from archcalc.reading.errors import UsageFault

NOTEBOOK = Path(__file__).parents[1] / "examples" / "layouts.ipynb"


def cells() -> list[str]:
    document = json.loads(NOTEBOOK.read_text())
    assert document["nbformat"] == 4
    assert all(cell["outputs"] == [] for cell in document["cells"] if cell["cell_type"] == "code")
    return ["".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == "code"]


def run(source: str, names: dict[str, Any]) -> Any:
    """Runs a cell as a kernel does: its last expression is what it shows."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


def test_notebook_runs_from_top_to_bottom() -> None:
    names: dict[str, Any] = {}
    shown = [run(source, names) for source in cells()]
    pages = [value._repr_html_() for value in shown if hasattr(value, "_repr_html_")]
    assert len(pages) == 4
    assert all("<table>" in page for page in pages)
    assert "512 GB" in pages[0] and "34359738368" in pages[1]
    assert pages[2].startswith("<svg") and "0xc420000000" in pages[2]
    assert isinstance(shown[-1], int) and shown[-1] > 0


def test_a_picture_is_drawn_once_as_svg() -> None:
    shown = api.map("linux/386")._repr_html_()
    assert shown is not None and shown.count("<svg") == 1 and "<pre>" not in shown
    assert "<table>" in shown and not hasattr(api.map("linux/386"), "_repr_svg_")


def test_tables_go_to_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frame = api.report("linux/386", "linux/amd64", only=["_PageSize", "arena_size"]).to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame[frame.platform == "linux/amd64"].set_index("name").value["arena_size"] == 1 << 39


def test_without_pandas_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(UsageFault, match="needs pandas, which is not installed; expected pip install pandas"):
        api.diff("linux/386", "linux/arm").to_pandas()


def test_api_is_the_commands() -> None:
    assert api.boot("linux/386", ulimit_v=200 << 20).document()["ok"] is False
    assert api.check("linux/386", sets={"_PageShift": 14}).ok is False
    assert api.heap("linux/386", after="tiny", n=300).document()["heaps"][0]["subject"].endswith("smoke:tiny")
    with pytest.raises(UsageFault, match="linux/vax"):
        api.report("linux/vax")
