"""Which objects of a heap have something stored in them: what is freed of others need not be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from allocator.common.bulk.numbers import ObjectNumbers

Ints = np.ndarray[Any, np.dtype[Any]]


class Held:
    """`flags`, a byte for each number: whether the object has a word that is not zero.

    Of spans of which no page was looked at that is not known.
    """

    def __init__(self, numbers: ObjectNumbers, spans: Ints) -> None:
        """spans: all in which something is stored."""
        self._numbers = numbers
        self.flags = np.zeros(numbers.total, bool)
        self._unknown = np.zeros(numbers.count, bool)
        self._unknown[spans] = True

    def note(self, sources: Ints, spans: Ints) -> None:
        """All words that are stored in some spans lie in these objects."""
        self.flags[sources] = True
        self.known(spans)

    def known(self, spans: Ints) -> None:
        """`flags` are right for some spans."""
        self._unknown[spans] = False

    def outside(self, seen: Ints) -> set[int]:
        """The addresses of spans of which an object that is not seen, a byte for each, may hold something."""
        numbers = self._numbers
        flags = self.flags & (seen[: numbers.total] == 0)
        some = (numbers.counts(flags.view(np.uint8)) > 0) | self._unknown
        return set(numbers.columns.base[some].tolist())
