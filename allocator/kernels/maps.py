"""Reads /proc/PID/maps, so that a machine can start with a real process's neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from allocator.kernels.address_space import Range

_LINE = re.compile(
    r"(?P<start>[0-9a-f]{1,16})-(?P<end>[0-9a-f]{1,16}) (?P<permissions>[r-][w-][x-][ps])"
    r" (?P<offset>[0-9a-f]{1,16}) (?P<device>[0-9a-f]{2,8}:[0-9a-f]{2,8}) (?P<inode>[0-9]{1,20})"
    r"(?: +(?P<name>\S.*)?)?"
)
_LAYOUT = "START-END PERMISSIONS OFFSET DEVICE INODE [NAME]"


class MapsError(ValueError):
    """A line that no kernel writes: `line` counts from 1, `found` and `expected` say what is wrong."""

    def __init__(self, line: int, found: str, expected: str) -> None:
        shown = found if len(found) <= 60 else found[:57] + "..."
        super().__init__(f"line {line}: found {shown!r}, expected {expected}")
        self.line = line
        self.found = found
        self.expected = expected


class MapsLine(NamedTuple):
    """One line: the addresses [start, end) in bytes, `rwxp`-style permissions, the name or ""."""

    start: int
    end: int
    permissions: str
    name: str

    @property
    def writable_private(self) -> bool:
        """Whether the kernel counts it as data (RLIMIT_DATA, overcommit)."""
        return self.permissions[1] == "w" and self.permissions[3] == "p" and self.name != "[stack]"


def parse_maps(text: str) -> tuple[MapsLine, ...]:
    """All mappings in a /proc/PID/maps file, in order; raises MapsError at the first line that is none."""
    found: list[MapsLine] = []
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise MapsError(number, line, _LAYOUT)
        start, end = int(match["start"], 16), int(match["end"], 16)
        if start >= end:
            raise MapsError(number, f"{match['start']}-{match['end']}", "a range that ends after its start")
        if found and start < found[-1].end:
            raise MapsError(
                number, match["start"], f"an address from {found[-1].end:x}, where the last ended"
            )
        found.append(MapsLine(start, end, match["permissions"], match["name"] or ""))
    return tuple(found)


def ranges(mappings: Iterable[MapsLine], end: int = 1 << 64) -> tuple[Range, ...]:
    """The addresses below `end` that the mappings take, neighbours joined."""
    joined: list[Range] = []
    for mapping in mappings:
        start, stop = mapping.start, min(mapping.end, end)
        if start >= stop:
            continue
        if joined and joined[-1].end == start:
            joined[-1] = Range(joined[-1].start, stop)
        else:
            joined.append(Range(start, stop))
    return tuple(joined)
