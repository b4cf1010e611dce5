"""Which files of a package belong to a port: file name suffixes and build constraints (go/build).

`// +build` lines and, in later trees, `//go:build` are read from the lines before the package
clause. A constraint is kept as a function of the tags that hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from archcalc.generations.constraints import IMPLIED, KNOWN_ARCH, KNOWN_OS, UNIX

Holds = Callable[[str], bool]
Constraint = Callable[[Holds], bool]


def holds(goos: str, goarch: str, experiments: frozenset[str] = frozenset()) -> Holds:
    """The tags of a port, built by the gc compiler without cgo, race detector or msan.

    `experiments` are the tags of those that are on, such as goexperiment.greenteagc.
    """
    own = {goos, goarch, IMPLIED.get(goos, goos), "gc", *experiments} | ({"unix"} if goos in UNIX else set())
    return lambda tag: tag in own or re.fullmatch(r"go1\.\d+", tag) is not None


def always(_: Holds) -> bool:
    """The constraint of a file without any."""
    return True


def of_name(name: str) -> Constraint:
    """The constraint in a file's name, as in mem_linux.go and defs_linux_arm.go (goodOSArchFile)."""
    parts = name.removesuffix(".go").split("_")[1:]
    if len(parts) >= 2 and parts[-2] in KNOWN_OS and parts[-1] in KNOWN_ARCH:
        system, arch = parts[-2:]
        return lambda tag: tag(system) and tag(arch)
    if parts and (parts[-1] in KNOWN_OS or parts[-1] in KNOWN_ARCH):
        own = parts[-1]
        return lambda tag: tag(own)
    return always


_HEADER = re.compile(rb"\s+|//[^\n]*|/\*.*?\*/", re.DOTALL)


class Said(NamedTuple):
    """What comes before a file's package clause: `//go:build`, or without it each `// +build`'s options."""

    expression: str | None
    older: list[list[str]]


def said(text: bytes) -> Said:
    """What a file says about where it is built."""
    at, lines = 0, []
    while match := _HEADER.match(text, at):
        lines += [line.decode("utf-8", "replace") for line in match.group().split(b"\n") if line[:2] == b"//"]
        at = match.end()
    older = []
    for line in lines:
        if line.startswith("//go:build "):
            return Said(line.removeprefix("//go:build "), [])
        words = line.removeprefix("//").split()
        if words[:1] == ["+build"]:
            older.append(words[1:])
    return Said(None, older)


def of_text(text: bytes) -> Constraint:
    """The constraint in the comments before a file's package clause. Raises ValueError for a broken one."""
    expression, older = said(text)
    if expression is not None:
        return _expression(expression)
    constraints = [*map(_line, older)]
    return lambda tag: all(one(tag) for one in constraints)


def _line(options: list[str]) -> Constraint:
    """`a,!b c`: (a and not b) or c."""
    terms = [
        [(word.lstrip("!"), not word.startswith("!")) for word in option.split(",")] for option in options
    ]
    return lambda tag: any(all(tag(word) is wanted for word, wanted in term) for term in terms)


_WORD = re.compile(r"\s*(&&|\|\||[!()]|[\w.]+)")


def _expression(text: str) -> Constraint:
    """`a && (b || !c)`."""
    words, at, text = [], 0, text.partition("//")[0].rstrip()
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            raise ValueError(f"no build constraint: {text}")
        words.append(match[1])
        at = match.end()
    words.append("")

    def either() -> Constraint:
        left = both()
        while words[0] == "||":
            words.pop(0)
            left = _or(left, both())
        return left

    def both() -> Constraint:
        left = negated()
        while words[0] == "&&":
            words.pop(0)
            left = _and(left, negated())
        return left

    def negated() -> Constraint:
        word = words.pop(0)
        if word == "!":
            inner = negated()
            return lambda tag: not inner(tag)
        if word == "(":
            inner = either()
            if words.pop(0) != ")":
                raise ValueError(f"no build constraint: {text}")
            return inner
        if not word or not re.fullmatch(r"[\w.]+", word):
            raise ValueError(f"no build constraint: {text}")
        return lambda tag: tag(word)

    try:
        constraint = either()
    except (IndexError, RecursionError):
        raise ValueError(f"no build constraint: {text}") from None
    if words != [""]:
        raise ValueError(f"no build constraint: {text}")
    return constraint


def _or(left: Constraint, right: Constraint) -> Constraint:
    return lambda tag: left(tag) or right(tag)


def _and(left: Constraint, right: Constraint) -> Constraint:
    return lambda tag: left(tag) and right(tag)
