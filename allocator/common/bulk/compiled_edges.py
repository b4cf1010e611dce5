"""Edges that compiled code finds and follows: what each object points to is kept by its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.compiled_reach import find, reach

if TYPE_CHECKING:
    from allocator.common.bulk.held import Held
    from allocator.common.bulk.numbers import ObjectNumbers
    from allocator.common.bulk.word_rows import WordRows

Ints = np.ndarray[Any, np.dtype[Any]]

ROOM = 1 << 17  # edges that there is room for at first


class CompiledPointers:
    """Edges between objects with numbers below `total`, in the order of the numbers that they are from."""

    def __init__(self, numbers: ObjectNumbers, total: int) -> None:
        self._numbers = numbers
        self._count = 0
        # How many edges there are from lower numbers, where any are from the number before that one.
        self._starts: Ints = np.zeros(total + 1, np.uint32)
        self._targets: Ints = np.empty(ROOM, np.int32)

    def add(self, sources: Ints, targets: Ints) -> None:
        """Adds edges."""
        self._provide(len(sources))
        count, end = self._count, self._count + len(sources)
        self._targets[count:end] = targets
        self._starts[sources + 1] = np.arange(count + 1, end + 1)
        self._count = end

    def add_rows(self, rows: WordRows, held: Held) -> None:
        """Adds all pointers on some pages. What else is stored there is noted as held."""
        numbers = self._numbers
        most = len(rows.begin) * rows.per_page
        self._provide(most)
        # Side by side they are in the processor's cache, which takes less than reading them where they lie.
        pages = b"".join([rows.memory.all_of(page) for page in rows.pages])
        lost, missing = np.empty(most, np.uint64), np.empty(1, np.int64)
        end = find(
            np.frombuffer(pages, rows.memory.typecode), rows.per_page, rows.begin, rows.first, rows.words,
            rows.header, rows.nelems, rows.page, rows.bitmap, rows.pattern, rows.extents,
            int(numbers.low), int(numbers.shift), numbers.pages, numbers.magic, numbers.offset, numbers.limit,
            held.flags.view(np.uint8), self._starts, self._targets, lost, missing, self._count,
        )  # fmt: skip
        held.known(rows.spans)
        if missing[0]:
            found = self._targets[self._count : end]
            found[found < 0] = numbers.stray(lost[: int(missing[0])])
        self._count = end

    def reach(self, frontier: Ints, seen: Ints) -> None:
        """Marks in `seen`, a byte for each object, all that is reached from the frontier, which is marked."""
        reach(self._starts, self._targets, frontier, seen, np.empty(len(seen), np.uint32))

    def _provide(self, n: int) -> None:
        """Provides room for so many more edges."""
        if self._count + n > len(self._targets):
            wider: Ints = np.empty(max(self._count + n, 2 * len(self._targets)), np.int32)
            wider[: self._count] = self._targets[: self._count]
            self._targets = wider
