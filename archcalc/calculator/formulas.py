"""The formulas of a generation made ready: what each mentions, which is the same on all platforms."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from archcalc import goexpr
from archcalc.generations import Generation, Row
from archcalc.goexpr import ExprError, Scope, Value

_MEMBER = re.compile(r"(\w+\.\w*?\D)(\d+)")


class Formula:
    """A parsed row, for one member where a family has many, with what it mentions.

    `mentions` are qualified names; `types` the structs whose size it asks; `calls` the
    types it converts to and the functions it calls. Where it is `sized`, it follows from the sizes of
    words, too. A formula that is not `shared` follows from more than these and is evaluated for each
    platform. `values` are those that it has had, by what they follow from.
    """

    __slots__ = ("calls", "member", "mentions", "row", "shared", "sized", "types", "values")

    def __init__(
        self,
        row: Row,
        member: int | None,
        mentions: tuple[str, ...],
        types: tuple[str, ...],
        calls: frozenset[str],
    ) -> None:
        self.row = row
        self.member = member
        self.mentions = mentions
        self.types = types
        self.calls = calls
        self.sized = bool(calls or row.type_name)
        self.shared = "named" not in calls
        self.values: dict[tuple[object, ...], Value] = {}

    @property
    def text(self) -> str:
        """The formula, with the member's number in place of i."""
        if self.member is None:
            return self.row.formula
        return re.sub(r"\bi\b", str(self.member), self.row.formula.replace("{i}", str(self.member)))


@lru_cache(maxsize=4096)
def resolve(generation: Generation, package: str, name: str) -> str | None:
    """The qualified name of what a formula of a package calls `name`; None where no port has it."""
    qualifier, dot, own = name.partition(".")
    if dot:
        known = qualifier == "fact" or name in generation.rows or family_of(generation, name)
        return name if own and known else None
    for candidate in (f"layout.{name}", f"runtime.{name}") if package == "layout" else (f"{package}.{name}",):
        if candidate in generation.rows or family_of(generation, candidate):
            return candidate
    return None


def in_runtime(generation: Generation, name: str) -> str:
    """The qualified name of what a type's array length calls `name`."""
    return resolve(generation, "runtime", name) or f"runtime.{name}"


def family_of(generation: Generation, name: str) -> str | None:
    """The family that a qualified name is a member of by its form; None where it is none."""
    match = _MEMBER.fullmatch(name)
    return match[1] if match and match[1] in generation.families else None


def member_of(generation: Generation, name: str) -> int | None:
    """Which member of its family a qualified name is; None where it is not a member."""
    if name in generation.rows:
        return None
    match = _MEMBER.fullmatch(name)
    return int(match[2]) if match else None


@cache
def plain_formulas(generation: Generation) -> dict[str, Formula]:
    """The formulas of all names that have one alternative, which always stands."""
    alone = {name: rows[0] for name, rows in generation.rows.items() if len(rows) == 1 and not rows[0].when}
    return {name: formula_of(generation, row, None) for name, row in alone.items()}


@cache
def literals(generation: Generation) -> dict[str, Value]:
    """The constants whose formulas follow from nothing, and so have one value everywhere."""
    found = {}
    for name, formula in plain_formulas(generation).items():
        if not (formula.mentions or formula.calls or formula.types or formula.row.type_name):
            try:
                found[name] = goexpr.evaluate(formula.row.formula, Scope(), formula.row.iota)
            except ExprError:
                # A tree's own mistake, which is reported when the constant is asked for.
                continue
    return found


# By identity: a generation is loaded once, and equal rows take long to compare.
_FORMULAS: dict[tuple[int, int | None], Formula] = {}
_FOLLOWS: dict[tuple[int, int | None], tuple[str, ...]] = {}


def formula_of(generation: Generation, row: Row, index: int | None) -> Formula:
    """A row's formula, parsed once; for the member of a family that has this index."""
    formula = _FORMULAS.get((id(row), index))
    if formula is None:
        if index and "{i}" not in row.formula:
            first = formula_of(generation, row, 0)
            formula = Formula(row, index, first.mentions, first.types, first.calls)
        else:
            formula = _made_ready(generation, row, index)
        _FORMULAS[id(row), index] = formula
    return formula


def _made_ready(generation: Generation, row: Row, index: int | None) -> Formula:
    text = row.formula.replace("{i}", str(index))
    called = goexpr.functions(text)
    mentions = [resolve(generation, row.package, name) for name in goexpr.names(text)]
    if "len" in called:
        mentions += generation.size_classes
    mentioned = tuple(dict.fromkeys(name for name in mentions if name))
    return Formula(row, index, mentioned, goexpr.composites(text), frozenset(called))


def follows_from(formula: Formula) -> tuple[str, ...]:
    """What a formula mentions by itself, with the facts that the sizes of its types are."""
    key = id(formula.row), formula.member
    known = _FOLLOWS.get(key)
    if known is None:
        found = [*formula.mentions, *(f"struct.{inner}" for inner in formula.types)]
        if {"uintptr", "int", "uint"} & formula.calls:
            found.append("fact.ptr_size")
        if "Uintreg" in formula.calls:
            found.append("fact.reg_size")
        known = _FOLLOWS[key] = tuple(found)
    return known


@cache
def condition(generation: Generation, package: str, when: str) -> tuple[str, ...]:
    """What a condition mentions, by qualified name."""
    mentions = (resolve(generation, package, name) for name in goexpr.names(when))
    return tuple(name for name in mentions if name)
