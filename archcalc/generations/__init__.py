"""Source generations: what one commit of Go declares, as data, a folder each; and what reads them.

A folder holds the formulas of all constants (constants.txt, parts.txt), those
of the layout (layout.txt), the types (types.txt, typeparts.txt) and where a
constant's line differs between ports (where.txt). Each file tells its form in
its first lines. Another generation is another folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from archcalc.calculator.goexpr import Function

CURRENT = "7aefdfded"
COMMITS = {"7aefdfded": "7aefdfded022f9775eb463156eda3a25a658a0ae"}


class Source(NamedTuple):
    """A place in Go's source: a path under src/ and a line from 1, or 0 for the whole file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Row(NamedTuple):
    """One formula of a table.

    `package` is runtime, sys or layout; `when` a condition on the platform, empty
    where the row always stands; `members` how many a family has, as a formula.
    """

    package: str
    name: str
    type_name: str
    formula: str
    when: str
    members: str
    source: Source
    iota: int | None
    unit: str
    what: str
    reported: bool


class Place(NamedTuple):
    """Where constants stand on some ports, when it is not where their row says."""

    file: str
    platforms: tuple[str, ...]
    lines: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Generation:
    """The data of one commit. `rows` has for each qualified name its alternatives, in order."""

    name: str
    commit: str
    rows: Mapping[str, tuple[Row, ...]]
    families: Mapping[str, tuple[Row, ...]]
    functions: Mapping[str, Function]
    places: tuple[Place, ...]
    folder: Path = field(repr=False)

    @cached_property
    def reported_types(self) -> tuple[str, ...]:
        """The types that reports show, in alphabetical order."""
        texts = (self.folder / "types.txt").read_text(encoding="utf-8")
        return tuple(sorted(re.findall(r"^type (\w+)", texts, re.MULTILINE)))

    def names(self, package: str, reported: bool = True) -> tuple[str, ...]:
        """The qualified names of a package's rows, in alphabetical order; all, or those that reports show."""
        return self._names[reported].get(package, ())

    @cached_property
    def _names(self) -> Mapping[bool, Mapping[str, tuple[str, ...]]]:
        names: dict[bool, dict[str, tuple[str, ...]]] = {True: {}, False: {}}
        for name, (row, *_) in sorted(self.rows.items()):
            for found in (names[True], names[False]) if row.reported else (names[False],):
                found[row.package] = (*found.get(row.package, ()), name)
        return names

    def type_texts(self) -> Iterator[tuple[str, str, str]]:
        """Source file, package and text of the type declarations, file by file."""
        for name in ("types.txt", "typeparts.txt"):
            text = (self.folder / name).read_text(encoding="utf-8")
            _, *sections = re.split(r"^file ", text, flags=re.MULTILINE)
            for section in sections:
                header, body = section.split("\n", 1)
                file, _, package = header.partition(" as ")
                yield file, package or "runtime", body

    def source(self, row: Row, goos: str, goarch: str) -> Source:
        """Where a row's constant stands on a port."""
        platform = f"{goos}/{goarch}"
        file, line = row.source
        for place in self.places:
            beside = file.rpartition("/")[0] == place.file.rpartition("/")[0]
            if beside and platform in place.platforms and row.name in place.lines:
                file, line = place.file, place.lines[row.name]
                break
        return Source(file.format(goos=goos, goarch=goarch), line)


_ROW = re.compile(
    r"(?P<name>\w+(?:\{i\})?)(?:\[(?P<members>\w+)\])?(?: (?P<type>\w+))? = (?P<formula>.+?)"
    r" // (?P<line>\d+)(?: iota=(?P<iota>\d+))? (?P<unit>\w+): (?P<what>.+)"
)


def _read(path: Path, package: str, reported: bool) -> Iterator[Row]:
    file = own = when = ""
    for text in path.read_text(encoding="utf-8").splitlines():
        if not text or text.startswith(("#", "func ")):
            continue
        if text.startswith("file "):
            file, _, own = text[5:].partition(" as ")
            own, when = own or ("sys" if "/internal/sys/" in file else package), ""
        elif text.startswith("when "):
            when = text[5:]
        else:
            match = _ROW.fullmatch(text)
            if match is None:
                raise ValueError(f"{path.name}: this is no row: {text}")
            yield Row(
                own,
                match["name"],
                match["type"] or "",
                match["formula"],
                when,
                match["members"] or "",
                Source(file, int(match["line"])),
                int(match["iota"]) if match["iota"] else None,
                match["unit"],
                match["what"],
                reported,
            )


_FUNCTION = re.compile(r"^func (?P<name>\w+)\((?P<parameters>[\w, ]+)\) = (?P<body>.+?) // ", re.MULTILINE)


def _functions(path: Path) -> dict[str, Function]:
    """The functions that formulas of a table call; their parameters are uintptr."""
    text = path.read_text(encoding="utf-8")
    return {
        match["name"]: Function(tuple(match["parameters"].split(", ")), match["body"])
        for match in _FUNCTION.finditer(text)
    }


def _places(path: Path) -> Iterator[Place]:
    for text in path.read_text(encoding="utf-8").splitlines():
        if text and not text.startswith("#"):
            where, rows = text.split(": ")
            file, platforms = where.split(" on ")
            lines = dict(row.split(" ") for row in rows.split(", "))
            yield Place(file, tuple(platforms.split(" ")), {name: int(line) for name, line in lines.items()})


@cache
def load(name: str = CURRENT) -> Generation:
    """The data of one generation, by the name of its folder."""
    folder = Path(__file__).parent / name
    rows: dict[str, tuple[Row, ...]] = {}
    families: dict[str, tuple[Row, ...]] = {}
    for file, package, reported in (
        ("constants.txt", "runtime", True),
        ("parts.txt", "runtime", False),
        ("layout.txt", "layout", True),
    ):
        for row in _read(folder / file, package, reported):
            table = families if row.members else rows
            key = f"{row.package}.{row.name.removesuffix('{i}')}"
            table[key] = (*table.get(key, ()), row)
    functions = _functions(folder / "layout.txt")
    return Generation(
        name, COMMITS[name], rows, families, functions, tuple(_places(folder / "where.txt")), folder
    )
