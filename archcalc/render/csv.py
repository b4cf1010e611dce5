"""CSV (RFC 4180): a header of keys, one row for each fact, integers in decimal whatever their type."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from archcalc.render import Page
from archcalc.results import what_ifs
from archcalc.results.result import Result
from archcalc.results.tables import NotApplicable, Value


def render(result: Result, page: Page) -> Iterator[str]:
    """The result's sheet; a value that does not apply is an empty cell."""
    sheet = what_ifs.sheet(result)
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(column.name for column in sheet.columns)
    for row in sheet.rows:
        writer.writerow(cell(value) for value in row)
        if line.tell() > 1 << 16:
            yield line.getvalue()
            line.seek(0)
            line.truncate()
    yield line.getvalue()


def cell(value: Value) -> str | int | float:
    """A value as a cell; booleans as JSON writes them."""
    if value is None or isinstance(value, NotApplicable):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return int(value) if isinstance(value, int) else value
