"""JSON: one document, exact integers, one line for each innermost object.

Laid out by hand because `json.dumps(indent=…)` leaves the fast encoder and takes a line for
every number of a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from json import JSONEncoder
from types import NoneType

from archcalc.render import Page
from archcalc.results import Result
from archcalc.tables import NotApplicable, plain

LINE = 110
SCALARS = (int, str, float, NoneType, NotApplicable)
encode = JSONEncoder(default=plain, ensure_ascii=True, allow_nan=False).encode


def render(result: Result, page: Page) -> Iterator[str]:
    """The result's document and a newline."""
    yield from lay_out(result.document(), "")
    yield "\n"


def lay_out(value: object, margin: str) -> Iterator[str]:
    """A value; what fits a line and holds no further containers stays on one."""
    if isinstance(value, Mapping):
        if not value or (is_flat(value.values()) and len(text := encode(value)) <= LINE):
            yield text if value else "{}"
            return
        deeper = margin + " "
        for at, (key, item) in enumerate(value.items()):
            yield f"{',' if at else '{'}\n{deeper}{encode(key)}: "
            yield from lay_out(item, deeper)
        yield f"\n{margin}}}"
    elif isinstance(value, list | tuple):
        if is_flat(value):
            yield encode(value)
            return
        deeper = margin + " "
        for at, item in enumerate(value):
            yield f"{',' if at else '['}\n{deeper}"
            yield from lay_out(item, deeper)
        yield f"\n{margin}]"
    else:
        yield encode(value)


def is_flat(values: Iterable[object]) -> bool:
    """Whether no value is a container."""
    return all(isinstance(value, SCALARS) for value in values)
