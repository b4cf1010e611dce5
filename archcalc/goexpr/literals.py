"""Literals of Go: numbers, runes and strings, as untyped constants."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from archcalc.goexpr.values import MAX_BITS, UNTYPED_FLOAT, UNTYPED_INT, UNTYPED_RUNE, UNTYPED_STRING, Value
from archcalc.reading.words import counted

MAX_EXPONENT = 5000


def _int_literal(text: str) -> Value:
    digits = text.replace("_", "")
    base = {"x": 16, "b": 2, "o": 8}.get(digits[1:2].lower())
    if base is None:
        base = 8 if len(digits) > 1 and digits[0] == "0" else 10
    try:
        value = int(digits[2:] if digits[1:2].isalpha() else digits, base)
    except ValueError:
        raise ValueError(f"malformed constant: {text}") from None
    if value.bit_length() > MAX_BITS:
        raise ValueError(f"constant needs more than {counted(MAX_BITS, 'bit')}")
    return Value(value, UNTYPED_INT)


def _float_literal(text: str) -> Value:
    digits = text.replace("_", "")
    mantissa, _, exponent = digits.lower().partition("e")
    if abs(int(exponent or 0)) > MAX_EXPONENT or len(mantissa) > MAX_EXPONENT:
        raise ValueError(f"malformed constant: exponent of {text[:40]} out of range")
    return Value(Fraction(digits), UNTYPED_FLOAT)


_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
# Rarely needed, so compiled on demand.
_ESCAPE = r"(?s)\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))"


def _unescape(text: str, delimiter: str) -> str:
    def one(match: re.Match[str]) -> str:
        octal, *hexes, single = match.groups()
        if single is not None:
            if single != delimiter and single not in _ESCAPES:
                raise ValueError(f"unknown escape \\{single}")
            return _ESCAPES.get(single, single)
        code = int(octal, 8) if octal else int(next(h for h in hexes if h), 16)
        if code > 0x10FFFF or (octal and code > 0xFF):
            raise ValueError(f"escape {match.group()} is out of range")
        if (octal or hexes[0]) and code > 0x7F and delimiter == '"':
            raise ValueError(f"escape {match.group()} makes a string that is not UTF-8")
        return chr(code)

    return re.sub(_ESCAPE, one, text) if "\\" in text else text


def _rune_literal(text: str) -> Value:
    rune = _unescape(text[1:-1], "'")
    if len(rune) != 1:
        raise ValueError(f"more than one character in rune literal {text}")
    return Value(ord(rune), UNTYPED_RUNE)


def _string_literal(text: str) -> Value:
    raw = text[0] == "`"
    return Value(text[1:-1].replace("\r", "") if raw else _unescape(text[1:-1], '"'), UNTYPED_STRING)


LITERALS: dict[str, Callable[[str], Value]] = {
    "int": _int_literal,
    "float": _float_literal,
    "rune": _rune_literal,
    "string": _string_literal,
}
