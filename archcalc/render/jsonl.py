"""JSON lines: one object a line, for streams and line-wise tools."""

from __future__ import annotations

from collections.abc import Iterator
from json import JSONEncoder

from archcalc.render import Page
from archcalc.results import what_ifs
from archcalc.results.result import Result
from archcalc.results.tables import plain


def render(result: Result, page: Page) -> Iterator[str]:
    """The result's records."""
    encode = JSONEncoder(default=plain, ensure_ascii=True, allow_nan=False).encode
    for record in what_ifs.records(result):
        yield encode(record) + "\n"
