"""What is known of each chunk of pages, by number; equal neighbours are kept as one.

A heap of a terabyte has 262,144 chunks, nearly all of which are full.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

Known = TypeVar("Known")


class ChunkTable(Generic[Known]):
    """A mapping from chunks to what is known of them. `key` tells what counts, `copy` makes another.

    `own` has the chunks that stand for themselves; what is found there may be changed.
    """

    __slots__ = ("_copy", "_ends", "_key", "_runs", "_starts", "_top", "own")

    def __init__(self, key: Callable[[Known], Any], copy: Callable[[Known], Known]) -> None:
        self._key = key
        self._copy = copy
        self.own: dict[int, Known] = {}
        self._starts: list[int] = []  # runs, from a chunk up to another, and what each chunk of it has
        self._ends: list[int] = []
        self._runs: list[Known] = []
        self._top = 0  # above all that is known

    def __len__(self) -> int:
        return len(self.own) + sum(self._ends) - sum(self._starts)

    def __contains__(self, chunk: int) -> bool:
        return chunk in self.own or self._run(chunk) is not None

    def __iter__(self) -> Iterator[int]:
        """The chunks, in order."""
        runs = (i for first, end in zip(self._starts, self._ends, strict=True) for i in range(first, end))
        return iter(sorted([*self.own, *runs]))

    def items(self) -> Iterator[tuple[int, Known]]:
        """The chunks in order with what is known of them; not to be changed."""
        for chunk in self:
            known = self.get(chunk)
            assert known is not None
            yield chunk, known

    def values(self) -> Iterator[Known]:
        """What is known of the chunks, in order; not to be changed."""
        return (known for _, known in self.items())

    def get(self, chunk: int) -> Known | None:
        """What is known of a chunk, not to be changed; None for nothing."""
        known = self.own.get(chunk)
        if known is None:
            run = self._run(chunk)
            known = None if run is None else self._runs[run]
        return known

    def __getitem__(self, chunk: int) -> Known:
        """What is known of a chunk, which may be changed."""
        known = self.own.get(chunk)
        if known is None:
            run = self._run(chunk)
            if run is None:
                raise KeyError(chunk)
            known = self.own[chunk] = self._copy(self._runs[run])
            self._take_out(run, chunk)
        return known

    def __setitem__(self, chunk: int, known: Known) -> None:
        run = self._run(chunk)
        if run is not None:
            self._take_out(run, chunk)
        self.own[chunk] = known
        self._top = max(self._top, chunk + 1)

    def grow(self, first: int, end: int, new: Known, change: Callable[[Known], object] | None = None) -> None:
        """Chunks first to end are known from now on, by `new`; those that were known already are changed."""
        if first < self._top and self._any(first, end):
            for chunk in range(first, end):
                if chunk not in self:
                    self.own[chunk] = self._copy(new)
                elif change is not None:
                    change(self[chunk])
        else:
            i = bisect_right(self._starts, first)
            self._starts.insert(i, first)
            self._ends.insert(i, end)
            self._runs.insert(i, new)
            self._merge(i, i + 1)
        self._top = max(self._top, end)

    def change(self, first: int, end: int, act: Callable[[Known, int], object]) -> None:
        """Changes chunks first to end, all of which are known, and merges equal neighbours.

        act is called with what is known of several, and how many they are.
        """
        if self.own:
            self.fold(first, end)
        a, b = self._cut(first), self._cut(end)
        starts, ends, runs = self._starts, self._ends, self._runs
        for i in range(a, b):
            act(runs[i], ends[i] - starts[i])
        self._merge(a, b)

    def piece(self, chunk: int) -> tuple[Known | None, int]:
        """What is known of a chunk, not to be changed, and up to which chunk that holds."""
        known = self.own.get(chunk)
        if known is not None:
            return known, chunk + 1
        i = bisect_right(self._starts, chunk) - 1
        return (self._runs[i], self._ends[i]) if i >= 0 and chunk < self._ends[i] else (None, chunk + 1)

    def parts(self, first: int, end: int) -> list[tuple[int, int, Known]]:
        """What is known of chunks first to end, not to be changed: from, to, and what these all have."""
        starts, ends, runs = self._starts, self._ends, self._runs
        i, j = bisect_right(ends, first), bisect_left(starts, end)
        found = [(max(starts[k], first), min(ends[k], end), runs[k]) for k in range(i, j)]
        if self.own:
            found += [(chunk, chunk + 1, self.own[chunk]) for chunk in self._owned(first, end)]
            found.sort(key=lambda part: part[0])
        return found

    def fold(self, first: int, end: int) -> None:
        """These chunks will hardly change soon: they join their neighbours that have the same."""
        for chunk in self._owned(first, end):
            self._join(chunk, self.own.pop(chunk))

    def fold_one(self, chunk: int) -> None:
        """The same of one."""
        known = self.own.pop(chunk, None)
        if known is not None:
            self._join(chunk, known)

    def _owned(self, first: int, end: int) -> list[int]:
        """Which of the chunks first to end stand for themselves, in order."""
        own = self.own
        if end - first <= len(own):
            return [chunk for chunk in range(first, end) if chunk in own]
        return sorted(chunk for chunk in own if first <= chunk < end)

    def _any(self, first: int, end: int) -> bool:
        """Whether anything is known of the chunks first to end."""
        i = bisect_right(self._ends, first)
        return (i < len(self._starts) and self._starts[i] < end) or bool(self._owned(first, end))

    def _cut(self, chunk: int) -> int:
        """Makes a run begin at a chunk, if it lies in one; the number of the first run from there on."""
        starts, ends = self._starts, self._ends
        i = bisect_right(ends, chunk)
        if i < len(starts) and starts[i] < chunk:
            starts.insert(i + 1, chunk)
            ends.insert(i, chunk)
            self._runs.insert(i + 1, self._copy(self._runs[i]))
            return i + 1
        return i

    def _merge(self, a: int, b: int) -> None:
        """Runs from number a to b, and those beside them, become one where they touch and have the same."""
        starts, ends, runs, key = self._starts, self._ends, self._runs, self._key
        for i in range(min(b, len(starts) - 1), max(a, 1) - 1, -1):
            if ends[i - 1] == starts[i] and key(runs[i - 1]) == key(runs[i]):
                ends[i - 1] = ends.pop(i)
                del starts[i], runs[i]

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
            runs.insert(i + 1, self._copy(runs[i]))
