"""Expectations of scenarios, changed so that they must fail."""

from __future__ import annotations

from typing import Any


def changed(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, list):
        return [*value[:-1], changed(value[-1])] if value else ["something"]
    return {key: changed(item) for key, item in value.items()}
