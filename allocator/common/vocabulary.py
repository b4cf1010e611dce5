"""How a machine declares the figures that it tells under the runtime's own names."""

from __future__ import annotations

from typing import NamedTuple

ADDRESS, BYTES, COUNT, FLAG = "address", "bytes", "count", "flag"


class NamedFigure(NamedTuple):
    """One figure: its name, its unit, what it means; whether a boot tells it."""

    name: str
    unit: str
    what: str
    landmark: bool = False


class BootRule(NamedTuple):
    """One invariant of a machine that has just started: its id, what must hold, and why."""

    id: str
    title: str
    why: str
