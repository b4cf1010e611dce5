"""Pages of stored words as rows, and which objects and pointers the words are."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Ints = np.ndarray[Any, np.dtype[Any]]

NOTHING = np.zeros(0, np.uint8)
ALL = np.zeros(0, np.uint16)


class WordRows(NamedTuple):
    """Pages of spans of one class, in the order of their objects' numbers, a row of words each.

    spans: the place of the span of each. begin: the word of its span that a page begins with. first: the
    number of its span's first object. An object has so many words, its pointers behind the first `header`;
    a span has `nelems`.

    Which words are pointers, `page` tells, a byte for each word of any page, if all are alike; or `bitmap`,
    a byte for four words of the pages; or `pattern`, a byte for each word of every object, behind its
    header, from the beginning again where it ends; or `tell`, by row, number in the span and word of the
    object. extents: how many words of each object are looked at besides, by number, all where there is none.
    """

    pages: Sequence[array[int]]
    per_page: int
    spans: Ints
    begin: Ints
    first: Ints
    words: int
    header: int
    nelems: int
    page: Ints = NOTHING
    bitmap: Ints = NOTHING
    pattern: Ints = NOTHING
    tell: Callable[[Ints, Ints, Ints], Ints] | None = None
    extents: Ints = ALL

    def contents(self) -> Ints:
        """The words of all pages, one behind the other."""
        return np.frombuffer(b"".join(self.pages), self.pages[0].typecode)

    @property
    def aligned(self) -> bool:
        """Whether each page has objects that begin and end in it, as many as are powers of two."""
        return self.words <= self.per_page and not self.words & self.words - 1

    @property
    def alike(self) -> bool:
        """Whether objects lie in each page as in any other, and end in it."""
        return self.aligned or (self.nelems * self.words <= self.per_page and not self.begin.any())

    def page_by_pattern(self) -> Ints:
        """Whether the words of a page are pointers, by the pattern of every object."""
        one = np.zeros(self.words, bool)
        one[self.header :] = _repeated(self.pattern.view(bool), self.words - self.header)
        return _repeated(one, self.per_page)


def _repeated(some: Ints, n: int) -> Ints:
    """The first n of what begins again where it ends."""
    return np.tile(some, -(-n // len(some)))[:n]
