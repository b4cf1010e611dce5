"""What people type for sizes, addresses, ranges and what-ifs, read in one place.

Every function raises QuantityFault with what was found and what was expected.
"""

from __future__ import annotations

import re

from archcalc.reading.errors import Fault, UsageFault


class QuantityFault(UsageFault, ValueError):
    """Text that is not such a quantity; also a ValueError, for readers that know the place better."""


# Few commands need any of these, so they are compiled on demand.
_SIZE = r"(?ai)(?P<number>\d+(?:_\d+)*(?:\.\d+)?)\s*(?P<unit>[kmgtpe]?)(?:i?b)?"
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}
_NAME = r"[A-Za-z_][A-Za-z0-9_.\[\]]*"
# Longer than any 64-bit number in any base; keeps absurd input from becoming absurd arithmetic.
_LONGEST = 80

UNLIMITED = "unlimited"  # as the shell shows the absence of a limit
RLIM_INFINITY = (1 << 64) - 1

SIZE_EXPECTED = "a size such as 64k, 1.5g, 0x10000 or plain bytes"
ADDRESS_EXPECTED = "an address such as 0xc420000000"


def parse_size(text: str) -> int:
    """Bytes: `64k`, `1.5g`, `1gb`, `0x1000` or plain bytes; units are powers of 1024."""
    word = text.strip()
    if len(word) <= _LONGEST:
        if re.fullmatch(r"0[xX][0-9a-fA-F]+", word):
            return int(word, 16)
        match = re.fullmatch(_SIZE, word)
        if match:
            whole, _, part = match["number"].replace("_", "").partition(".")
            unit: int = 1024 ** _POWER[match["unit"].lower()]
            scale: int = 10 ** len(part)
            size, odd = divmod(int(whole + part) * unit, scale)
            if odd == 0:
                return size
            raise QuantityFault(Fault(f"{text!r} is not a whole number of bytes", SIZE_EXPECTED))
    raise QuantityFault(Fault(f"{_shortened(text)} is not a size", SIZE_EXPECTED))


def parse_limit(text: str) -> int:
    """A resource limit in bytes, as a size, or `unlimited` as the shell shows RLIM_INFINITY."""
    return RLIM_INFINITY if text.strip().lower() == UNLIMITED else parse_size(text)


def parse_address(text: str) -> int:
    """An address in hexadecimal, with 0x in front (decimal digits alone would be a guess)."""
    word = text.strip().replace("_", "")
    if len(word) <= _LONGEST and re.fullmatch(r"0[xX][0-9a-fA-F]+", word):
        address = int(word, 16)
        if address < 1 << 64:
            return address
        raise QuantityFault(Fault(f"{text!r} has more than 64 bits", ADDRESS_EXPECTED))
    suggestion = f"0x{word}" if len(word) <= 16 and re.fullmatch(r"[0-9a-fA-F]+", word) else ""
    raise QuantityFault(Fault(f"{_shortened(text)} is not an address", ADDRESS_EXPECTED, suggestion))


def parse_range(text: str) -> tuple[int, int]:
    """`FROM-TO`, two addresses, TO not included; FROM+SIZE is the same in other words."""
    expected = "a range such as 0xc000000000-0xc040000000 or 0xc000000000+1g"
    low, plus, size = text.partition("+")
    if plus:
        start = parse_address(low)
        end = start + parse_size(size)
    else:
        low, minus, high = text.partition("-")
        if not minus:
            raise QuantityFault(Fault(f"{_shortened(text)} is not a range", expected))
        start, end = parse_address(low), parse_address(high)
    if end <= start:
        raise QuantityFault(Fault(f"{_shortened(text)} ends where it begins or before", expected))
    if end > 1 << 64:
        raise QuantityFault(Fault(f"{_shortened(text)} ends beyond 64 bits", expected))
    return start, end


def parse_count(text: str) -> int:
    """A count: 0 or more."""
    word = text.strip()
    if len(word) <= _LONGEST and re.fullmatch(r"\d+(_\d+)*", word, re.ASCII):
        return int(word)
    raise QuantityFault(Fault(f"{_shortened(text)} is not a count", "0, 1, 2, …"))


def parse_share(text: str) -> float:
    """A part of a whole, `12.5%` or `0.125`; from 0 to 1."""
    word = text.strip()
    if len(word) <= _LONGEST and re.fullmatch(r"\d+(\.\d+)?%?", word, re.ASCII):
        share = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
        if share <= 1:
            return share
    suggestion = f"{word}%" if re.fullmatch(r"\d{1,2}(\.\d+)?", word, re.ASCII) else ""
    raise QuantityFault(
        Fault(f"{_shortened(text)} is not a percentage or fraction", "one such as 12.5% or 0.125", suggestion)
    )


def parse_setting(text: str) -> tuple[str, int | str]:
    """`NAME=VALUE`: an int where the value is a number or a size, else the text (true, or an expression)."""
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    expected = "NAME=VALUE, such as _PageShift=14 or _TinySize=8"
    if not equals or not value or not re.fullmatch(_NAME, name):
        raise QuantityFault(Fault(f"{_shortened(text)} sets nothing", expected))
    negative = value.startswith("-")
    try:
        number = parse_size(value[1:] if negative else value)
    except QuantityFault:
        return name, value
    return name, -number if negative else number


def parse_debug(text: str) -> list[tuple[str, int]]:
    """GODEBUG: `NAME=VALUE,...`, whose values are whole numbers of 32 bits."""
    return [_debug_setting(setting) for setting in text.split(",")]


def _debug_setting(text: str) -> tuple[str, int]:
    name, _, value = text.strip().partition("=")
    if not re.fullmatch("[a-z0-9]+", name) or not re.fullmatch("-?[0-9]{1,10}", value):
        raise QuantityFault(
            Fault(f"{_shortened(text)} sets nothing in GODEBUG", "NAME=VALUE, such as sbrk=1")
        )
    number = int(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise QuantityFault(Fault(f"{_shortened(text)} is beyond 32 bits", "NAME=VALUE, such as sbrk=1"))
    return name, number


def _shortened(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")
