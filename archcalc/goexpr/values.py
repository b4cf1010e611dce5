"""Constants of Go: their types, their values, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import NamedTuple

Scalar = int | bool | str | Fraction

MAX_BITS = 512
"""Bits the compiler keeps of an untyped integer constant (Mpprec of the gc compiler)."""


class ExprError(Exception):
    """An expression that is not Go, or that the compiler would refuse.

    `column` counts characters from 1 in `text`; `message` stands without them.
    """

    def __init__(self, text: str, column: int, message: str) -> None:
        super().__init__(f"column {column}: {message}")
        self.text = text
        self.column = column
        self.message = message

    def pointed(self) -> str:
        """The expression with a caret under the place, in two lines."""
        line = self.text.replace("\n", " ").replace("\t", " ")
        return f"{line}\n{' ' * (self.column - 1)}^ {self.message}"


class ConstantType(NamedTuple):
    """A type of constants. `kind` is int, uint, float, bool or string; `bits` 0 where it has no size."""

    name: str
    kind: str
    bits: int = 0
    untyped: bool = False

    @property
    def integer(self) -> bool:
        return self.kind in ("int", "uint", "rune")

    @property
    def numeric(self) -> bool:
        return self.kind in ("int", "uint", "rune", "float")

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and largest value of an integer type."""
        if self.kind == "uint":
            return 0, (1 << self.bits) - 1
        return -(1 << self.bits - 1), (1 << self.bits - 1) - 1


UNTYPED_INT = ConstantType("untyped int", "int", untyped=True)
UNTYPED_RUNE = ConstantType("untyped rune", "rune", untyped=True)
UNTYPED_FLOAT = ConstantType("untyped float", "float", untyped=True)
UNTYPED_BOOL = ConstantType("untyped bool", "bool", untyped=True)
UNTYPED_STRING = ConstantType("untyped string", "string", untyped=True)
RANK = {"int": 0, "rune": 1, "float": 2}


DEFAULT_TYPES = {"int": "int", "rune": "rune", "float": "float64", "bool": "bool", "string": "string"}
"""The type that an untyped constant takes where nothing else says it, by its kind."""


@cache
def basic_types(ptr_size: int) -> Mapping[str, ConstantType]:
    """Go's basic types on a machine whose pointers, and so int and uint, have `ptr_size` bytes."""
    word = 8 * ptr_size
    types = [
        ConstantType(f"{kind}{bits}", kind, bits) for kind in ("int", "uint") for bits in (8, 16, 32, 64)
    ]
    types += [
        ConstantType("int", "int", word),
        ConstantType("uint", "uint", word),
        ConstantType("uintptr", "uint", word),
    ]
    types += [ConstantType("float32", "float", 32), ConstantType("float64", "float", 64)]
    types += [ConstantType("bool", "bool"), ConstantType("string", "string")]
    named = {t.name: t for t in types}
    return named | {"byte": named["uint8"], "rune": named["int32"]}


class Value(NamedTuple):
    """A constant, or a variable whose arithmetic wraps, with its type."""

    value: Scalar
    type: ConstantType
    variable: bool = False

    def __str__(self) -> str:
        """As Go would write it."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        if isinstance(self.value, str):
            return quote(self.value)
        if isinstance(self.value, Fraction) and self.value.denominator != 1:
            return repr(float(self.value))
        return str(int(self.value))


def untyped(value: Scalar | float) -> Value:
    """A Python value as an untyped constant."""
    if isinstance(value, bool):
        return Value(value, UNTYPED_BOOL)
    if isinstance(value, int):
        return Value(value, UNTYPED_INT)
    if isinstance(value, str):
        return Value(value, UNTYPED_STRING)
    return Value(Fraction(str(value)) if isinstance(value, float) else value, UNTYPED_FLOAT)


def quote(text: str) -> str:
    """A string as a Go literal in double quotes."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c, c if c.isprintable() else f"\\u{ord(c):04x}") for c in text) + '"'
