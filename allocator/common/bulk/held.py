"""Which objects of a heap have something stored in them: what is freed of others need not be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from allocator.common.bulk.numbers import ObjectNumbers
    from allocator.common.bulk.word_rows import WordRows

Ints = np.ndarray[Any, np.dtype[Any]]

FEW_WORDS = 16  # of an object, for which one word of all objects is looked at after the other


class Held:
    """`flags`, a byte for each number: whether the object has a word that is not zero.

    Of some spans that is not known: those of which no page was looked at, or one that begins or ends within
    an object.
    """

    def __init__(self, numbers: ObjectNumbers, spans: Ints) -> None:
        """spans: all in which something is stored."""
        self._numbers = numbers
        self.flags = np.zeros(numbers.total, bool)
        self._unknown = np.zeros(numbers.count, bool)
        self._unknown[spans] = True

    def note(self, rows: WordRows, stored: Ints) -> None:
        """Which words of some pages are not zero. All pages of their spans are looked at, in order."""
        self._unknown[rows.spans] = not rows.alike
        if not rows.alike:
            return
        n = min(rows.per_page // rows.words, rows.nelems)
        begin = rows.begin // rows.words
        some = holding(stored.reshape(len(begin), -1), n, rows.words)
        left = rows.nelems - begin
        for k in np.flatnonzero(left < n).tolist():
            some[k, max(int(left[k]), 0) :] = False
        start = rows.first + begin
        step = int(start[1] - start[0]) if len(start) > 1 else n
        end = int(start[0]) + len(start) * step
        if step >= n and end <= len(self.flags) and (np.diff(start) == step).all():
            self.flags[int(start[0]) : end].reshape(-1, step)[:, :n] |= some
        else:
            self.flags[(start[:, None] + np.arange(n))[some]] = True

    def known(self, spans: Ints) -> None:
        """`flags` are right for some spans."""
        self._unknown[spans] = False

    def outside(self, seen: Ints) -> set[int]:
        """The addresses of spans of which an object that is not seen, a byte for each, may hold something."""
        numbers = self._numbers
        flags = self.flags & (seen[: numbers.total] == 0)
        some = (numbers.counts(flags.view(np.uint8)) > 0) | self._unknown
        return set(numbers.columns.base[some].tolist())


def holding(stored: Ints, nelems: int, words: int) -> Ints:
    """Which of the objects of rows of words, so many in each, have a word that is not zero."""
    some = np.ascontiguousarray(stored[:, : nelems * words])
    if words in (2, 4, 8):
        # As many bytes as numbers have: one comparison for each object.
        whole: Ints = some.view(f"u{words}") != 0
        return whole
    if words > FEW_WORDS:
        each: Ints = np.logical_or.reduce(some.reshape(len(some), nelems, words), axis=2)
        return each
    held: Ints = some[:, ::words].copy()
    for k in range(1, words):
        held |= some[:, k::words]
    return held
