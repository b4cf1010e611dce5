"""Markdown, checked on its own structure: rows of the table and what is escaped."""

from __future__ import annotations

import re

from archcalc.render import Page, render
from archcalc.results.result import Result


def test_cells_are_kept_apart_and_mean_themselves(figures: Result) -> None:
    lines = "".join(render(figures, "markdown", Page(80))).splitlines()
    assert lines[0] == "## Figures"
    table = [line for line in lines if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]
    assert [row[0] for row in cells] == ["name", cells[1][0], "uintptrMask", "\\_PageSize", "usesLR", "hint"]
    assert all(len(row) == 4 for row in cells)
    assert set("".join(cells[1])) <= set("-:")
    assert cells[3] == ["\\_PageSize", "8192", "8192", 'a "page", in bytes\\|kept']
    assert cells[5][1:3] == ["0xc000000000", "n/a"]
    assert lines[-1].startswith("Words that stand")
