"""The tables of a generation: rows of formulas, types, and the lines that all of them are in.

A table is read line by line:

    file PATH [as PACKAGE]    what follows is in this file (under src/) of that package; PATH#NAME is
                              where a function, method (as T.f), type or variable of that name stands
    build CONSTRAINT          it exists where this build constraint holds, until the next file, build or when
    when CONDITION            the same, with a condition on figures and facts
    gone NAME...              what the base has under these qualified names does not exist here
    NAME [TYPE] = FORMULA // [LINE] [iota=N] UNIT: what it is

A generation with a base says what differs: a name that is here replaces all that the base has under it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from archcalc.goexpr import Function


class Source(NamedTuple):
    """A place in Go's source: a path under src/ and a line from 1, or 0 for the whole file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Row(NamedTuple):
    """One formula of a table.

    `package` is runtime, sys, another package's last word, layout, or body (numbers in function bodies);
    `when` a condition on the platform, empty where the row always stands; `members` how many a family
    has, as a formula.
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


class OtherPlace(NamedTuple):
    """Where constants are on some ports, when it is not where their row says."""

    file: str
    platforms: tuple[str, ...]
    lines: Mapping[str, int]


class TypeSection(NamedTuple):
    """Types of one file that exist under one build constraint, as text."""

    file: str
    package: str
    constraint: str
    text: str


class FileLines(NamedTuple):
    """Where declarations are in a file that belongs to the ports of a constraint.

    `members` has for a type the line of each field, in order.
    """

    file: str
    constraint: str
    names: Mapping[str, int]
    members: Mapping[str, tuple[int, ...]]


_ROW = re.compile(
    r"(?P<name>\w+(?:\{i\})?)(?:\[(?P<members>[^\]]+)\])?(?: (?P<type>\w+))? = (?P<formula>.+?)"
    r" //(?: (?P<line>\d+))?(?: iota=(?P<iota>\d+))? (?P<unit>\w+): (?P<what>.+)"
)


def package_of(file: str) -> str:
    """The package of a file, by the last word of its folder."""
    return file.rpartition("/")[0].rpartition("/")[2]


def rows(text: str, table: str, package: str, reported: bool) -> Iterator[Row | str]:
    """The rows of a table's text; a removed name is given as text."""
    file = own = when = ""
    for line in text.splitlines():
        if not line or line.startswith(("#", "func ")):
            continue
        word, _, rest = line.partition(" ")
        if word == "file":
            file, _, own = rest.partition(" as ")
            own, when = own or (package if package == "layout" else package_of(file)), ""
        elif word == "build":
            when = "build " + rest
        elif word == "when":
            when = rest
        elif word == "gone":
            yield from rest.split()
        else:
            match = _ROW.fullmatch(line)
            if match is None:
                raise ValueError(f"{table}: this is not a row: {line}")
            yield Row(
                own,
                match["name"],
                match["type"] or "",
                match["formula"],
                when,
                match["members"] or "",
                Source(file, int(match["line"] or 0)),
                int(match["iota"]) if match["iota"] else None,
                match["unit"],
                match["what"],
                reported,
            )


_FUNCTION = re.compile(r"^func (?P<name>\w+)\((?P<parameters>[\w, ]+)\) = (?P<body>.+?) // ", re.MULTILINE)


def functions(text: str) -> dict[str, Function]:
    """The functions that formulas of a table call; their parameters are uintptr."""
    return {
        match["name"]: Function(tuple(match["parameters"].split(", ")), match["body"])
        for match in _FUNCTION.finditer(text)
    }


def places(text: str) -> Iterator[OtherPlace]:
    """Where constants are on some ports (where.txt)."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            where, known = line.split(": ")
            file, platforms = where.split(" on ")
            lines = dict(row.split(" ") for row in known.split(", "))
            yield OtherPlace(
                file, tuple(platforms.split(" ")), {name: int(line) for name, line in lines.items()}
            )


def sections(text: str) -> Iterator[TypeSection]:
    """The types of a table, file by file and constraint by constraint."""
    for part in re.split(r"^file ", text, flags=re.MULTILINE)[1:]:
        header, body = part.split("\n", 1)
        file, _, own = header.partition(" as ")
        package = own or package_of(file)
        constraint = ""
        for piece in re.split(r"^(build .*)\n", body, flags=re.MULTILINE):
            if piece.startswith("build "):
                constraint = piece
            elif piece.strip():
                yield TypeSection(file, package, constraint, piece)


def names_in(section: TypeSection) -> Iterator[str]:
    """The names of the types that a section declares; those of other packages than runtime are qualified."""
    for line in section.text.splitlines():
        if line.startswith("type "):
            yield line.split(" ", 2)[1]


def file_lines(text: str) -> Iterator[FileLines]:
    """The lines of a generation's declarations (lines.txt).

    A file's line is followed by pairs of a name and its line; a type's line is followed by those of its
    fields, each as its distance from the one before: `mspan 408+1+1+3`.
    """
    for part in re.split(r"^file ", text, flags=re.MULTILINE)[1:]:
        header, body = part.split("\n", 1)
        file, _, constraint = header.partition(" build ")
        words = body.split()
        names, members = {}, {}
        for name, where in zip(words[::2], words[1::2], strict=True):
            own, *steps = map(int, where.split("+"))
            names[name] = own
            if steps:
                members[name] = tuple(own + sum(steps[: i + 1]) for i in range(len(steps)))
        yield FileLines(file, f"build {constraint}" if constraint else "", names, members)


def read(folder: Path, table: str) -> str:
    """A table's text; empty where the generation has none."""
    try:
        return (folder / table).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
