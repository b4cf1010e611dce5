"""Typed values, columns and tables: the parts of a result before it is printed.

Hexadecimal is a type, not a way to print: a `Hex` is an int that text shows as
0x… and JSON keeps as an exact integer. "Not applicable" is a value with its
reason. So a renderer never has to guess what a number means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from archcalc.reading.words import counted

KB = 1 << 10


class Hex(int):
    """An address, a mask or a bit pattern: text shows 0x…, data formats keep the integer."""

    __slots__ = ()


class Bytes(int):
    """A size in bytes. Text may add a readable form (8192 is 8 KB, powers of 1024 as in Go's comments)."""

    __slots__ = ()


class Pages(int):
    """A count of runtime pages (_PageSize bytes each)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """No value, and why: a hint on a 32-bit platform, the ladder where nothing falls back to it."""

    reason: str


Value = int | str | bool | float | None | NotApplicable | Hex | Bytes | Pages
Kind = type[int] | type[Hex] | type[Bytes] | type[Pages] | type[str] | type[bool] | type[float]


class Column(NamedTuple):
    """A column: its heading in text, its key in data formats, and the type of its values.

    `kind` says how plain ints of the column read; a value that is itself typed keeps its own type.
    """

    title: str
    kind: Kind = str
    key: str = ""
    wrap: bool = False

    @property
    def name(self) -> str:
        """The key that CSV and records use."""
        return self.key or self.title.lower().replace(" ", "_")


class Table(NamedTuple):
    """Rows of typed values under typed columns.

    `keys` leading columns identify a row; a renderer that has to split a wide table repeats
    them. `turnable` says that rows and columns may be exchanged where that fits better
    (figures by platform or platforms by figure).
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    title: str = ""
    keys: int = 1
    turnable: bool = False
    notes: Sequence[str] = ()

    def turned(self) -> Table:
        """The same table with rows and columns exchanged; cells take their row's type along."""
        head = Column(self.columns[0].title)
        kinds = [self.columns[1].kind if len(self.columns) > 1 else str for _ in self.rows]
        columns = [head, *(Column(str(row[0]), kind) for row, kind in zip(self.rows, kinds, strict=True))]
        rows = [
            [column.title, *(row[at] for row in self.rows)]
            for at, column in enumerate(self.columns[1:], start=1)
        ]
        return Table(columns, rows, self.title, 1, False, self.notes)


class Prose(NamedTuple):
    """Text between tables. Lines are kept as they are when `verbatim`, else wrapped to the width."""

    text: str
    title: str = ""
    indent: int = 0
    verbatim: bool = False


class Drawing(NamedTuple):
    """A picture in characters, drawn when the place for it is known.

    `draw` takes the width in characters, whether more than ASCII can be shown, and whether
    colours are; it returns lines.
    """

    draw: Callable[[int, bool, bool], Sequence[str]]
    title: str = ""


Block = Table | Prose | Drawing


class Section(NamedTuple):
    """A heading over blocks (a platform, a family of checks)."""

    title: str
    blocks: Sequence[Block] = ()


_UNITS = ("", " KB", " MB", " GB", " TB", " PB", " EB")


def human(size: int) -> str:
    """A size as people say it, exactly: 8192 is "8 KB", 807411712 is "770 MB + 8 KB"; "" below 1 KB."""
    if abs(size) < KB:
        return ""
    sign, size = ("-", -size) if size < 0 else ("", size)
    parts = []
    for power in range(len(_UNITS) - 1, -1, -1):
        count, size = divmod(size, KB**power)
        if count:
            parts.append(f"{count}{_UNITS[power] or ' B'}")
    return sign + " + ".join(parts) if len(parts) <= 3 else ""


def sized(size: int) -> str:
    """A size in a sentence: 1 byte, 8192 bytes (8 KB)."""
    words = human(size)
    return f"{counted(size, 'byte')} ({words})" if words else counted(size, "byte")


def as_kind(value: Value, kind: Kind) -> Value:
    """The value with its column's type, so that a plain int under a Hex column is a Hex."""
    if type(value) is int and kind in (Hex, Bytes, Pages):
        return kind(value)
    return value


def show(value: Value, kind: Kind = str) -> str:
    """One value as text: the only place that decides how a type reads."""
    value = as_kind(value, kind)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Hex):
        return f"-{-value:#x}" if value < 0 else f"{value:#x}"
    if isinstance(value, NotApplicable):
        return "n/a"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def plain(value: object) -> object:
    """A value for data formats: exact ints, no subclasses, {"not_applicable": why} for no value."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, NotApplicable):
        return {"not_applicable": value.reason}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def reasons(rows: Iterable[Sequence[Value]]) -> list[str]:
    """The distinct reasons behind the n/a cells of some rows, in order of appearance."""
    found: dict[str, None] = {}
    for row in rows:
        for value in row:
            if isinstance(value, NotApplicable):
                found.setdefault(value.reason)
    return list(found)


def stands_right(value: Value, column: Column) -> bool:
    """Whether a cell is right-aligned: numbers, and what stands in for one."""
    if isinstance(value, NotApplicable) or value is None:
        return column.kind is not str
    return isinstance(as_kind(value, column.kind), int | float) and not isinstance(value, bool)
