"""JSON: one document, exact integers, one line for each innermost object.

Laid out by hand because `json.dumps(indent=…)` leaves the fast encoder and takes a line for
every number of a list. What holds no further containers is encoded at once, and then broken into
lines where it is long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from json import JSONEncoder
from types import NoneType

from archcalc.render import Page
from archcalc.results.result import Result
from archcalc.results.tables import Bytes, Hex, Pages, plain

LINE = 110
SCALARS = frozenset((int, str, bool, float, NoneType, Hex, Bytes, Pages))
encode = JSONEncoder(default=plain, ensure_ascii=True, allow_nan=False).encode


def render(result: Result, page: Page) -> Iterator[str]:
    """The result's document and a newline."""
    yield from lay_out(result.whole(), "")
    yield "\n"


def lay_out(value: object, margin: str) -> Iterator[str]:
    """A value in pieces; what fits a line and holds no further containers stays on one."""
    deeper = margin + " "
    if isinstance(value, Mapping):
        if is_flat(value.values()):
            yield flat_object(encode(dict(value)), len(value), margin)
            return
        for at, (key, item) in enumerate(value.items()):
            yield f"{',' if at else '{'}\n{deeper}{encode(str(key))}: "
            yield from lay_out(item, deeper)
        yield f"\n{margin}}}"
    elif isinstance(value, (list, tuple)):
        if is_flat(value):
            yield encode(value)
            return
        if all(type(item) is dict and is_flat(item.values()) for item in value):
            text = encode(value)
            # As many joints as there must be: then none of them stands inside a text.
            if text.count("}, {") == len(value) - 1 and len(text) < (LINE - 2) * len(value):
                text = text[1:-1].replace("}, {", f"}},\n{deeper}{{")
                yield f"[\n{deeper}{text}\n{margin}]"
                return
        for at, item in enumerate(value):
            yield f"{',' if at else '['}\n{deeper}"
            yield from lay_out(item, deeper)
        yield f"\n{margin}]"
    else:
        yield encode(value)


def flat_object(text: str, count: int, margin: str) -> str:
    """An encoded object without inner containers, a line an entry where it does not fit one."""
    if len(text) <= LINE or text.count(', "') != count - 1:
        return text
    deeper = margin + " "
    entries = text[1:-1].replace(', "', f',\n{deeper}"')
    return f"{{\n{deeper}{entries}\n{margin}}}"


def is_flat(values: object) -> bool:
    """Whether no value is a container, or encoded as one."""
    return SCALARS.issuperset(map(type, values))  # type: ignore[call-overload]  # lists and views of values
