"""Figures as plain Python values."""

from __future__ import annotations

from archcalc.goexpr import Value

Scalar = int | bool | str | float


def plain(value: Value) -> Scalar:
    """A value as Python's int, bool or str, or a float where it is not a whole number."""
    found = value.value
    if type(found) is int or isinstance(found, (bool, str)):
        return found
    return int(found) if int(found) == found else float(found)
