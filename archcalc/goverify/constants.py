"""A tree's constants compared with the calculator's, and equivalent formulas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from archcalc.calculator.structs import StructError
from archcalc.generations import Generation, tables
from archcalc.goexpr import ExprError, Value
from archcalc.goverify.comparison import Change, Scalar, Unlisted
from archcalc.goverify.gofile import Const
from archcalc.goverify.port import ComparedPort, plain, words_of
from archcalc.goverify.tree import Missing, PackageScope

ELSEWHERE = (
    "runtime/internal/sys", "internal/runtime/sys", "internal/goarch", "internal/goos", "internal/runtime/gc",
    "internal/abi", "internal/goexperiment", "runtime",
)  # fmt: skip
"""Where other generations have what a package of one has: constants move, and keep their names."""


def words(port: ComparedPort) -> None:
    words = port.tree.words.get(port.port.goarch)
    file = "cmd/internal/sys/arch.go"
    ours = port.figures.engine.words
    for at, name in enumerate(("fact.ptr_size", "fact.reg_size")):
        if words is None:
            port.found.skip(name, f"the tree does not say in {file}")
        else:
            port.found.value(name, ours[at], words[at], f"{file}:{words.line}")


def constants(port: ComparedPort) -> None:
    """The constants of runtime and of the packages beside it; those too that this port should not have."""
    generation, engine = port.figures.generation, port.figures.engine
    for package in generation.packages:
        ours = engine.package(package, reported=False)
        for known in generation.names(package, reported=False):
            own = known.partition(".")[2]
            computed = ours.get(known)
            scope = _home(port, package, own)
            if computed is None:
                if scope is not None and own in scope.consts and port.era.current:
                    _unexpected(port, package, own, scope)
                continue
            name = own if package == "runtime" else known
            if scope is None:
                _missing(port, name, computed, engine.source(known))
            else:
                _constant(port, name, own, known, computed, scope)
    if port.era.current:
        _unlisted(port)


def _unlisted(port: ComparedPort) -> None:
    """Constants of the tree that the tables have on no port at all.

    One whose name differs from one of the tables only in case and underscores is the same idea in a
    system's own file, and a difference. Of the files that the tables cover the rest is noted: those
    of whose constants they have half or more.
    """
    generation, facts = port.figures.generation, port.figures.profile.constants
    for package, path in generation.packages.items():
        listed = {name.partition(".")[2] for name in generation.names(package, reported=False)}
        alike = {_folded(name): name for name in listed}
        scope = port.port.package(path)
        of_file: dict[str, list[str]] = {}
        for own, const in scope.consts.items():
            if own != "_":
                of_file.setdefault(const.file, []).append(own)
        for owns in of_file.values():
            unlisted = [own for own in owns if own not in listed and own not in facts]
            covered = 2 * len(unlisted) <= len(owns)
            for own in unlisted:
                if (sister := alike.get(_folded(own))) is not None:
                    _unexpected(port, package, own, scope, f"the tables know {sister} only")
                elif covered:
                    const = scope.consts[own]
                    where = f"{const.file}:{const.line}"
                    port.found.unlisted.append(Unlisted(port.found.platform, own, const.formula, where))


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _home(port: ComparedPort, package: str, own: str) -> PackageScope | None:
    """The package of the tree that declares a constant."""
    own_path = port.figures.generation.packages[package]
    others = () if package == "runtime" and port.figures.generation.era == "contiguous" else ELSEWHERE
    for path in dict.fromkeys((own_path, *others)):
        scope = port.port.package(path)
        if own in scope.consts:
            return scope
    return None


def _constant(
    port: ComparedPort, name: str, own: str, known: str, computed: Value, scope: PackageScope
) -> None:
    const = scope.consts[own]
    where = f"{const.file}:{const.line}"
    try:
        value = scope.value(own)
    except (ExprError, Missing, StructError) as error:
        if port.excused(const.file) or port.tree.broken:
            # What it follows from may lie where nothing could be read.
            port.found.skip(name, f"{const.file}:{const.line}: {error}")
        else:
            port.found.missing(name, plain(computed), where, f"{const.formula}: {error}")
        return
    if port.found.value(name, plain(computed), plain(value), where, const.formula):
        _formula(port, name, known, const)


def _formula(port: ComparedPort, name: str, known: str, const: Const) -> None:
    """Notes a formula that gives the same value in another way."""
    row = port.figures.engine.row(known)
    if row is None or name in port.figures.sets:
        return
    ours = row.formula
    if not _written_in_go(ours):
        theirs = forms(port.figures.generation).get((const.file, row.name))
        if theirs is None and len(words_of(const.formula)) <= 1:
            return
        ours = theirs or str(port.figures.engine.value(known))
    if ours != const.formula and words_of(ours) != words_of(const.formula):
        where = f"{const.file}:{const.line}"
        port.found.changes.append(Change(port.found.platform, name, ours, const.formula, where))


def _unexpected(
    port: ComparedPort,
    package: str,
    own: str,
    scope: PackageScope,
    why: str = "the calculator does not declare it on this port",
) -> None:
    """A constant that the tree declares on a port on which the calculator has none."""
    const = scope.consts[own]
    try:
        value: Scalar | None = plain(scope.value(own))
    except (ExprError, Missing, StructError):
        value = None
    name = own if package == "runtime" else f"{package}.{own}"
    where = f"{const.file}:{const.line}"
    port.found.value(name, None, value, where, const.formula, why)


def _missing(port: ComparedPort, name: str, computed: Value, source: object) -> None:
    """A constant that the tree does not declare for the port."""
    file = str(source).partition(":")[0]
    if not port.era.current:
        port.found.skip(name, "this generation does not have it")
    elif port.excused(file):
        port.found.skip(name, f"{file} could not be read")
    else:
        port.found.missing(name, plain(computed), file, "the tree does not declare it for this port")


def facts(port: ComparedPort) -> None:
    """What profiles say about the system's own constants, beyond those that reports show."""
    for name, computed in port.figures.profile.constants.items():
        if f"runtime.{name}" in port.figures.generation.rows:
            continue
        const = port.runtime.consts.get(name)
        if const is None:
            port.found.skip(name, "the tree does not declare it")
            continue
        try:
            value = plain(port.runtime.value(name))
        except (ExprError, Missing, StructError) as error:
            port.found.skip(name, str(error))
            continue
        port.found.value(name, computed, value, f"{const.file}:{const.line}", const.formula)


@cache
def forms(generation: Generation) -> Mapping[tuple[str, str], str]:
    """By file and name, how the source writes what is a fact here; a plain number where nothing is said."""
    text = tables.read(generation.folder, "forms.txt")
    rows = re.findall(r"^([^#\n][^:\n]*): (\w+) = (.+)$", text, re.MULTILINE)
    return {(file, name): formula for file, name, formula in rows}


def _written_in_go(formula: str) -> bool:
    """Whether a formula of the calculator's table is the source's, and not in terms of a profile's facts."""
    return not any(word in formula for word in ("fact.", "flag(", "named(", "len(class_to_size)"))
