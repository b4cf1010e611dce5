"""Arithmetic of constants: operations, representability, conversions, shifts (Constants, Go spec)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

from archcalc.goexpr.values import MAX_BITS, UNTYPED_INT, ConstantType, ExprError, Scalar, Value
from archcalc.reading.words import counted

MAX_SHIFT = 1023 - 1 + 52
"""The largest shift count go/types accepts: it can express the smallest float64."""
MAX_FRACTION_BITS = 1 << 15


class Operand(Protocol):
    """What is in an expression's text: errors point at it."""

    def source(self) -> str: ...
    def error(self, message: str) -> ExprError: ...


def _quotient(a: int, b: int) -> int:
    """Integer division toward zero."""
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


INTEGER_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _quotient,
    "%": lambda a, b: a - b * _quotient(a, b),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&^": lambda a, b: a & ~b,
}
FLOAT_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
COMPARISONS: dict[str, Callable[..., bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def fit(node: Operand, value: int | Fraction, kind: ConstantType, variable: bool) -> Value:
    """The result of an operation in its type: an overflow, or wrapped if a variable took part."""
    if kind.integer and not kind.untyped and variable:
        value = _wrap(int(value), kind)
    elif kind.integer and kind.untyped:
        if int(value).bit_length() > MAX_BITS:
            raise node.error(f"constant overflow: {node.source()} needs more than {counted(MAX_BITS, 'bit')}")
    elif kind.integer:
        least, most = kind.bounds
        if not least <= value <= most:
            raise node.error(f"constant {value} overflows {kind.name}")
    else:
        value = _round(node, Fraction(value), kind)
    return Value(value, kind, variable)


def _wrap(value: int, kind: ConstantType) -> int:
    value &= (1 << kind.bits) - 1
    if kind.kind == "int" and value >> (kind.bits - 1):
        value -= 1 << kind.bits
    return value


def _round(node: Operand, value: Fraction, kind: ConstantType) -> Fraction:
    """A floating-point constant as its type can hold it; exact where it is untyped."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_FRACTION_BITS:
        raise node.error("constant overflow: excessively large or small floating-point constant")
    if kind.untyped:
        return value
    try:
        rounded = float(value) if kind.bits == 64 else _float32(value)
    except OverflowError:
        raise node.error(f"constant overflows {kind.name}") from None
    return Fraction(rounded)


def _float32(value: Fraction) -> Fraction:
    """The nearest float32, ties to even."""
    if value == 0:
        return Fraction(0)
    exponent = max(_floor_log2(abs(value)) - 23, -149)
    rounded = round(value / Fraction(2) ** exponent) * Fraction(2) ** exponent
    if abs(rounded) >= 1 << 128:
        raise OverflowError
    return rounded


def _floor_log2(value: Fraction) -> int:
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if Fraction(2) ** guess <= value else guess - 1


def represent(node: Operand, value: Scalar, kind: ConstantType) -> Scalar:
    """A constant as a value of a type it is used as: it must be one (Representability, Go spec)."""
    if isinstance(value, (str, bool)):
        if kind.kind != ("string" if isinstance(value, str) else "bool"):
            raise node.error(f"cannot use {node.source()} as {kind.name} value")
        return value
    if kind.kind == "float":
        return _round(node, Fraction(value), kind)
    if not kind.integer:
        raise node.error(f"cannot use {node.source()} as {kind.name} value")
    if isinstance(value, Fraction):
        if value.denominator != 1:
            raise node.error(f"constant {float(value)!r} truncated to integer")
        value = int(value)
    if not kind.untyped:
        least, most = kind.bounds
        if not least <= value <= most:
            raise node.error(f"constant {value} overflows {kind.name}")
    return value


def convert(argument: Operand, x: Value, kind: ConstantType) -> Value:
    """`T(x)`, where x is the argument's value."""
    value = x.value
    if x.variable and x.type.integer and kind.integer:
        assert isinstance(value, int)
        return Value(_wrap(value, kind), kind, True)
    if kind.kind == "string" and x.type.integer:
        assert isinstance(value, int)
        valid = 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF
        return Value(chr(value) if valid else "\ufffd", kind, x.variable)
    same = x.type.kind == kind.kind or (x.type.numeric and kind.numeric)
    if not same:
        raise argument.error(f"cannot convert {argument.source()} ({x.type.name}) to type {kind.name}")
    return Value(represent(argument, value, kind), kind, x.variable)


def shift(node: Operand, operator: str, x: Value, count: int, by_variable: bool) -> Value:
    """`x << count`, `x >> count`: the left operand's type. by_variable: the count is not a constant."""
    value = x.value
    if not x.type.numeric or (x.type.kind == "float" and not x.type.untyped):
        raise node.error(f"invalid operation: shift of type {x.type.name}")
    if isinstance(value, Fraction) and value.denominator != 1:
        raise node.error(f"invalid operation: shift of {float(value)!r}, which is not an integer")
    if by_variable and x.type.untyped:
        raise node.error("invalid operation: shift of an untyped constant by a variable")
    # An untyped rune or float that is an integer is shifted as an integer.
    kind = UNTYPED_INT if x.type.kind == "float" else x.type
    variable = x.variable or by_variable
    if operator == ">>":
        return Value(int(value) >> count, kind, variable)
    if variable:
        return Value(_wrap(int(value) << min(count, kind.bits), kind), kind, True)
    return fit(node, int(value) << count, kind, False)


def shift_count(right: Operand, y: Value, signed: bool) -> int:
    """The count of a shift, whose right operand has the value y. signed: Go takes signed counts (1.13)."""
    kind, count = y.type, y.value
    if not kind.numeric or (kind.kind == "float" and not kind.untyped):
        raise right.error(f"shift count type {kind.name}, must be unsigned integer")
    if isinstance(count, Fraction) and count.denominator != 1:
        raise right.error(f"constant {float(count)!r} truncated to integer")
    if kind.kind == "int" and not kind.untyped and not signed:
        raise right.error(f"shift count type {kind.name}, must be unsigned integer")
    count = int(count)
    if count < 0:
        raise right.error(f"invalid negative shift count {count}")
    if count > MAX_SHIFT:
        if y.variable:
            return MAX_SHIFT
        raise right.error(f"shift count {count} too large")
    return count
