"""Everything that can be reached from an object, as plain data, so that two machines can be compared."""

from __future__ import annotations

from collections import deque
from typing import Any

PLAIN = (int, float, str, bytes, bool, type(None))


def whole_state(root: object, leave_out: frozenset[str]) -> list[tuple[str, Any]]:
    """A row for each object that is reached, in the order it is reached: where it was first, what it has.

    An object is told by its row's number, so that two that are one stay one. Fields of these names are left
    out, and whatever can be called.
    """
    numbers: dict[int, int] = {}
    waiting: deque[tuple[str, object]] = deque()
    kept = []  # so that no two have one identity

    def told(value: object, where: str) -> Any:
        if isinstance(value, PLAIN):
            return value
        if callable(value):
            return "called"
        if id(value) not in numbers:
            numbers[id(value)] = len(numbers)
            kept.append(value)
            waiting.append((where, value))
        return f"#{numbers[id(value)]}"

    found = []
    told(root, "")
    while waiting:
        where, value = waiting.popleft()
        row: Any
        if isinstance(value, dict):
            row = {str(key): told(one, f"{where}[{key}]") for key, one in sorted(value.items(), key=str)}
        elif isinstance(value, set | frozenset):
            row = [told(one, where) for one in sorted(value, key=lambda one: getattr(one, "self_addr", one))]
        elif isinstance(value, list | tuple | deque):
            row = [told(one, f"{where}[{i}]") for i, one in enumerate(value)]
        else:
            row = {
                name: told(one, f"{where}.{name}") for name, one in _fields(value) if name not in leave_out
            }
        found.append((where, row))
    return found


def _fields(value: object) -> list[tuple[str, object]]:
    names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    names += getattr(value, "__dict__", {})
    names = sorted(name for name in set(names) if name[:2] != "__" and hasattr(value, name))
    return [(name, getattr(value, name)) for name in names]
