"""Whether the functions that a layout's formulas follow are what they were when the formulas were written.

A generation notes the shape of each such function: a digest of its tokens without the numbers, and the
numbers. A layout that names lines of the source and no functions has its functions' lines noted, too. A
tree's function of the same shape and with the same numbers gives the same figures. With other numbers,
formulas that the function contains literally get the tree's; a figure that cannot be followed is reported,
with its function, and left out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from archcalc.generations import Generation, Row

_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|'(?:[^'\\]|\\.)*'"
    r"|(?P<number>0[xX][0-9a-fA-F_]+|\d[\d_]*(?:\.\d+)?)|(?P<word>[A-Za-z_]\w*)|(?P<other>&\^|<<|>>|[^\s])",
    re.DOTALL,
)


class Shape(NamedTuple):
    """A function's tokens in short: a digest of all but its numbers, and these in order."""

    digest: str
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A function that is not what the layout's formulas follow, and the figures that are left out for it."""

    file: str
    line: int
    function: str
    why: str
    figures: tuple[str, ...]

    def __str__(self) -> str:
        left_out = f"; left out: {', '.join(self.figures)}" if self.figures else ""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {f'{self.function} {self.why}'.strip()}{left_out}"


def tokens(text: str) -> list[str]:
    """The tokens of Go text, without comments and with all strings as one."""
    found = []
    for match in _TOKEN.finditer(text):
        if match.lastgroup is not None:
            found.append(match[0])
        elif match[0][0] in "\"'`":
            found.append('""')
    return found


def shape_of(text: str) -> Shape:
    """The shape of a function's text."""
    of = tokens(text)
    bare = " ".join("#" if one[0].isdigit() else one for one in of)
    digest = hashlib.sha256(bare.encode()).hexdigest()[:12]
    return Shape(digest, tuple(one for one in of if one[0].isdigit()))


class TreeText(NamedTuple):
    """A function, method, type or variable in a tree: its file, the line and its text."""

    file: str
    line: int
    text: str


def find(src: Path, file: str, anchor: str) -> list[TreeText]:
    """Where an anchor of a layout's table is in a tree: in the files of its package, each that has it."""
    receiver, _, method = anchor.rpartition(".")
    own = re.escape(anchor)
    form = (
        rf"^(?:func {own}\(|func \(\w+ \*?{re.escape(receiver or '?')}\) {re.escape(method)}\(|var {own}\b)"
    )
    found = []
    for path in sorted((src / file).parent.glob("*.go")):
        if path.name.endswith("_test.go"):
            continue
        text = path.read_text("utf-8", "replace")
        for match in re.finditer(form, text, re.MULTILINE):
            end = text.find("\n}", match.start())
            line = text.count("\n", 0, match.start()) + 1
            found.append(
                TreeText(f"{file.rpartition('/')[0]}/{path.name}", line, text[match.start() : end + 2])
            )
    return found


def anchors(generation: Generation) -> Mapping[str, list[Row]]:
    """The rows of a layout by the place that they are named for, as PATH#NAME.

    A row that names a line belongs to the function that is noted to have stood around that line.
    """
    spans = {own: one.lines for own, one in noted(generation).items() if one.lines}
    found: dict[str, list[Row]] = {}
    for of in (*generation.rows.values(), *generation.families.values()):
        for row in of:
            file, line = row.source
            if "#" in file:
                found.setdefault(file, []).append(row)
            elif row.package == "layout":
                own = next(
                    (own for own, lines in spans.items() if file == own.partition("#")[0] and line in lines),
                    "",
                )
                found.setdefault(own, []).append(row)
    found.pop("", None)
    return found


def around(src: Path, file: str, line: int) -> tuple[str, range]:
    """The function around a line of a tree's file, and its lines; raises ValueError where there is none."""
    text = (src / file).read_text("utf-8", "replace")
    for match in re.finditer(r"^func (?:\(\w+ \*?(\w+)\) )?(\w+)\(", text, re.MULTILINE):
        first = text.count("\n", 0, match.start()) + 1
        last = text.count("\n", 0, text.find("\n}", match.start())) + 2
        if first <= line <= last:
            return ".".join(filter(None, match.groups())), range(first, last + 1)
    raise ValueError(f"{file}:{line} is in no function")


def table(generation: Generation, src: Path) -> str:
    """The shapes of a tree's functions that a layout follows, as the text of shapes.txt."""
    wanted: dict[str, range | None] = {}
    for row in (row for of in (*generation.rows.values(), *generation.families.values()) for row in of):
        file, line = row.source
        if "#" in file:
            wanted[file] = None
        elif row.package == "layout":
            anchor, lines = around(src, file, line)
            wanted[f"{file}#{anchor}"] = lines
    written = []
    for own in sorted(wanted):
        file, _, anchor = own.partition("#")
        around_it = wanted[own]
        for place in find(src, file, anchor):
            shape = shape_of(place.text)
            stood = [f"{around_it.start}-{around_it.stop - 1}"] if around_it else []
            written.append(" ".join((f"{place.file}#{anchor}", *stood, shape.digest, *shape.numbers)))
    return "".join(f"{line}\n" for line in written)


class Noted(NamedTuple):
    """A line of shapes.txt: a function's shape, and the lines that it stood on where these are needed."""

    shape: Shape
    lines: range | None


_LINES = re.compile(r"(\d+)-(\d+)")


def noted(generation: Generation) -> Mapping[str, Noted]:
    """The shapes that a generation notes, by file and anchor."""
    path = generation.folder / "shapes.txt"
    found = {}
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        if line and not line.startswith("#"):
            own, *rest = line.split()
            stood = _LINES.fullmatch(rest[0])
            digest, *numbers = rest[1:] if stood else rest
            lines = range(int(stood[1]), int(stood[2]) + 1) if stood else None
            found[own] = Noted(Shape(digest, tuple(numbers)), lines)
    return found


class Followed(NamedTuple):
    """The layout's rows as a tree has them: formulas with other numbers by identity, and what is unknown."""

    changed: Mapping[int, str]
    unknown: tuple[Unknown, ...]


def follow(generation: Generation, src: Path) -> Followed:
    """Compares a tree's functions with the shapes that a generation notes."""
    known = noted(generation)
    changed: dict[int, str] = {}
    unknown: list[Unknown] = []
    for own, rows in anchors(generation).items():
        file, _, anchor = own.partition("#")
        mine = {place: one.shape for place, one in known.items() if place.endswith(f"#{anchor}")}
        places = find(src, file, anchor)
        if mine and not places:
            names = tuple(dict.fromkeys(row.name for row in rows))
            unknown.append(Unknown(file, 0, anchor, "is not there", names))
        for place in places:
            shape, before = shape_of(place.text), mine.get(f"{place.file}#{anchor}")
            if before is None or shape == before:
                continue
            if shape.digest != before.digest:
                names = tuple(dict.fromkeys(row.name for row in rows))
                unknown.append(Unknown(place.file, place.line, anchor, "is of an unknown shape", names))
                continue
            fresh, missed = _numbers(rows, place, before, shape)
            changed |= fresh
            if missed:
                words = ", ".join(f"{a} is {b}" for a, b in missed)
                names = tuple(dict.fromkeys(row.name for row in rows if id(row) not in fresh))
                unknown.append(Unknown(place.file, place.line, anchor, f"has other numbers: {words}", names))
    return Followed(changed, tuple(unknown))


def changed(generation: Generation, src: Path) -> tuple[Unknown, ...]:
    """The functions of a tree that a generation's layout cannot be taken from as it is."""
    return follow(generation, src).unknown


_MEMBER = re.compile(r"\(i\+(?:0x[0-9a-f]+|\d+)\)")


def _numbers(
    rows: Sequence[Row], place: TreeText, before: Shape, now: Shape
) -> tuple[dict[int, str], list[tuple[str, str]]]:
    """The formulas that a function contains literally, with its numbers; and numbers that are in none."""
    stream = tokens(place.text)
    at = [i for i, one in enumerate(stream) if one[0].isdigit()]
    old = list(stream)
    for i, number in zip(at, before.numbers, strict=True):
        old[i] = number
    differing = {i for i, a, b in zip(at, before.numbers, now.numbers, strict=True) if a != b}
    fresh: dict[int, str] = {}
    covered: set[int] = set()
    for row in rows:
        for start, length, formula in _standing(row.formula, old, stream):
            touched = differing & set(range(start, start + length))
            if touched:
                fresh[id(row)] = formula
                covered |= touched
    return fresh, [(old[i], stream[i]) for i in sorted(differing - covered)]


def _standing(formula: str, old: list[str], now: list[str]) -> Iterator[tuple[int, int, str]]:
    """Where a formula, or what it converts, is in a function's old tokens, and how it reads there now."""
    member = _MEMBER.search(formula)
    plain = _MEMBER.sub("(i)", formula)
    inner = re.fullmatch(r"uintptr\((.*)\)", plain)
    for text, wrapped in ((plain, "{}"), *(((inner[1], "uintptr({})"),) if inner else ())):
        wanted = tokens(text)
        for start in range(len(old) - len(wanted) + 1):
            if old[start : start + len(wanted)] == wanted and len(wanted) > 1:
                found = wrapped.format("".join(_spaced(now[start : start + len(wanted)])))
                yield start, len(wanted), found.replace("(i)", member[0]) if member else found


def _spaced(of: list[str]) -> Iterator[str]:
    for one in of:
        yield f" {one} " if one in ("|", "&&", "||", "=") else one
