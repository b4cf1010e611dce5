"""What is known of each chunk of pages, by its number; neighbours of which the same is known stand as one.

A heap of a terabyte has 262,144 chunks, nearly all of which are full.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

Known = TypeVar("Known")


class ChunkTable(Generic[Known]):
    """A mapping from chunks to what is known of them. `key` tells what counts, `copy` makes another."""

    __slots__ = ("_copy", "_ends", "_key", "_own", "_runs", "_starts")

    def __init__(self, key: Callable[[Known], Any], copy: Callable[[Known], Known]) -> None:
        self._key = key
        self._copy = copy
        self._own: dict[int, Known] = {}
        self._starts: list[int] = []  # runs, from a chunk up to another, and what each chunk of it has
        self._ends: list[int] = []
        self._runs: list[Known] = []

    def __len__(self) -> int:
        return len(self._own) + sum(self._ends) - sum(self._starts)

    def __contains__(self, chunk: int) -> bool:
        return chunk in self._own or self._run(chunk) is not None

    def __iter__(self) -> Iterator[int]:
        """The chunks, in order."""
        runs = (i for first, end in zip(self._starts, self._ends, strict=True) for i in range(first, end))
        return iter(sorted([*self._own, *runs]))

    def items(self) -> Iterator[tuple[int, Known]]:
        """The chunks in order with what is known of them, to be looked at."""
        for chunk in self:
            known = self.get(chunk)
            assert known is not None
            yield chunk, known

    def values(self) -> Iterator[Known]:
        """What is known of the chunks, in order, to be looked at."""
        return (known for _, known in self.items())

    def get(self, chunk: int) -> Known | None:
        """What is known of a chunk, to be looked at; None for nothing."""
        known = self._own.get(chunk)
        if known is None:
            run = self._run(chunk)
            known = None if run is None else self._runs[run]
        return known

    def __getitem__(self, chunk: int) -> Known:
        """What is known of a chunk, which may be changed."""
        known = self._own.get(chunk)
        if known is None:
            run = self._run(chunk)
            if run is None:
                raise KeyError(chunk)
            known = self._own[chunk] = self._copy(self._runs[run])
            self._take_out(run, chunk)
        return known

    def __setitem__(self, chunk: int, known: Known) -> None:
        run = self._run(chunk)
        if run is not None:
            self._take_out(run, chunk)
        self._own[chunk] = known

    def fold(self, first: int, end: int) -> None:
        """These chunks will hardly change soon: they join their neighbours that have the same."""
        for chunk in range(first, end):
            known = self._own.pop(chunk, None)
            if known is not None:
                self._join(chunk, known)

    def _run(self, chunk: int) -> int | None:
        i = bisect_right(self._starts, chunk) - 1
        return i if i >= 0 and chunk < self._ends[i] else None

    def _join(self, chunk: int, known: Known) -> None:
        starts, ends, runs, key = self._starts, self._ends, self._runs, self._key(known)
        i = bisect_right(starts, chunk)
        if i and ends[i - 1] == chunk and self._key(runs[i - 1]) == key:
            ends[i - 1] = chunk + 1
            if i < len(starts) and starts[i] == chunk + 1 and self._key(runs[i]) == key:
                ends[i - 1] = ends.pop(i)
                del starts[i], runs[i]
        elif i < len(starts) and starts[i] == chunk + 1 and self._key(runs[i]) == key:
            starts[i] = chunk
        else:
            starts.insert(i, chunk)
            ends.insert(i, chunk + 1)
            runs.insert(i, known)

    def _take_out(self, i: int, chunk: int) -> None:
        """A chunk leaves its run."""
        starts, ends, runs = self._starts, self._ends, self._runs
        first, end = starts[i], ends[i]
        if first == chunk and end == chunk + 1:
            del starts[i], ends[i], runs[i]
        elif first == chunk:
            starts[i] = chunk + 1
        elif end == chunk + 1:
            ends[i] = chunk
        else:
            ends[i] = chunk
            starts.insert(i + 1, chunk + 1)
            ends.insert(i + 1, end)
            runs.insert(i + 1, runs[i])
