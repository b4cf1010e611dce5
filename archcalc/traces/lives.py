"""What a recorded program allocates, and in which collection each object dies: for machines that differ.

An object dies in the collection whose sweep first finds its place unmarked, a tiny block's objects together.
What no sweep finds dead stays alive, and so does what lies where the recording shows no span.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archcalc.traces.columnar import opened
from archcalc.traces.counting import Count, CountedRequest, CountedSpan, SparseCount
from archcalc.traces.reader import Header, fault

NEVER = 0  # dies in none of the collections, which are numbered from 1


@dataclass(slots=True)
class Lives:
    """The allocations of a recording in order. Sizes in bytes, as asked for.

    `procs`: the P of each; `died`: the collection that each dies in, or NEVER; `collections`: how many
    allocations come before each collection.
    """

    ptr_size: int
    sizes: array[int] = field(default_factory=lambda: array("q"))
    pointers: bytearray = field(default_factory=bytearray)  # 1 where the type has pointers
    procs: array[int] = field(default_factory=lambda: array("i"))
    died: array[int] = field(default_factory=lambda: array("i"))
    collections: array[int] = field(default_factory=lambda: array("q"))

    def dead(self) -> Iterator[list[int]]:
        """For each collection in turn, the numbers of the allocations that die in it."""
        found: list[list[int]] = [[] for _ in self.collections]
        for number, collection in enumerate(self.died):
            if collection != NEVER:
                found[collection - 1].append(number)
        yield from found


def lives(path: Path, config_for: Callable[[Header], Any]) -> Lives:
    """Reads a recording of either form. Raises TraceFault for one that is damaged, or was imported.

    What the official tracer writes does not say what sizes were asked for.
    """
    header, groups = opened(path)
    if header.version > 2:
        raise fault(str(path), 1, "an execution trace, which has no sizes", "one of archcalc record")
    of = _Version2 if header.version == 2 else _Version1
    reading = of(str(path), header, config_for)
    for group in groups:
        reading.take(group)
    return reading.lives


class FollowedSpan(CountedSpan):
    """A span's objects, and each place's latest allocation; -1 where there is none."""

    __slots__ = ("latest",)

    def __init__(self, base: int, size: int, n: int) -> None:
        super().__init__(base, size, n)
        self.latest = array("q", [-1]) * n


class _Reading(Count):
    """A recording on its way through, of which each object is followed to its death."""

    def __init__(self, path: str, header: Header, config_for: Callable[[Header], Any]) -> None:
        super().__init__(path, header, config_for)
        self.lives = Lives(self.config.ptr_size)
        self.asked_by: dict[CountedRequest, int] = {}
        self.before: array[int] = array("q")  # by allocation, the one before it in its block

    def _understood(self, key: str) -> CountedRequest:
        request = super()._understood(key)
        self.asked_by[request] = self._proc(key)
        return request

    def _proc(self, key: str) -> int:
        """The P of allocations with these fields."""
        raise NotImplementedError

    def _allocation(self, request: CountedRequest, v: int) -> None:
        super()._allocation(request, v)
        found = self.lives
        number = len(found.sizes)
        found.sizes.append(request.size)
        found.pointers.append(not self.noscan[request.type])
        found.procs.append(self.asked_by[request])
        found.died.append(NEVER)
        span = self.pages.get(v >> self.shift)
        if not isinstance(span, FollowedSpan):
            self.before.append(-1)
            return
        at = (v - span.base) // span.size
        self.before.append(span.latest[at])
        span.latest[at] = number

    def new_span(self, pages: range, base: int, size: int, n: int) -> None:
        span = FollowedSpan(base, size, n)
        for page in pages:
            self.pages[page] = span

    def swept(self, span: CountedSpan, marked: int) -> None:
        assert isinstance(span, FollowedSpan)
        latest, died, now = span.latest, self.lives.died, self.found.collections
        for at, number in enumerate(latest):
            if number >= 0 and not marked >> at & 1:
                while number >= 0:
                    died[number] = now
                    number = self.before[number]
                latest[at] = -1
        super().swept(span, marked)

    def other(self, kind: str, rest: str, line: str) -> None:
        before = self.found.collections
        super().other(kind, rest, line)
        if self.found.collections > before:
            self.lives.collections.append(len(self.lives.sizes))


class _Version1(_Reading):
    """A recording of version 1."""

    def _proc(self, key: str) -> int:
        return int(key.rpartition(" ")[2])


class _Version2(_Reading, SparseCount):
    """A recording of version 2."""

    def _proc(self, key: str) -> int:
        proc = key.partition(" ")[0]
        return int(proc) if proc.isdigit() else 0
