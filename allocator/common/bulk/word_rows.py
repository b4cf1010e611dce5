"""Pages of stored words as rows, and which objects and pointers the words are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from allocator.common.contents import Contents, Words

Ints = np.ndarray[Any, np.dtype[Any]]

NOTHING = np.zeros(0, np.uint8)
ALL = np.zeros(0, np.uint16)


class WordRows(NamedTuple):
    """Pages of memory, of spans of one class, in the order of their objects' numbers, a row of words each.

    spans: the place of the span of each. begin: the word of its span that a page begins with. first: the
    number of its span's first object. An object has so many words, its pointers behind the first `header`;
    a span has `nelems`.

    Which words are pointers, `page` tells, a byte for each word of any page, if all are alike; or `bitmap`,
    a byte for four words of the pages; or `pattern`, a byte for each word of every object, behind its
    header, from the beginning again where it ends; or `tell`, by row, number in the span and word of the
    object. extents: how many words of each object are looked at besides, by number, all where there is none.
    """

    memory: Contents
    pages: Sequence[Words]
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

    @property
    def few(self) -> bool:
        """Whether most of the pages have few words."""
        return 2 * sum([type(page) is dict for page in self.pages]) > len(self.pages)

    def stored(self) -> tuple[Ints, Ints]:
        """Where in the pages, one behind the other, words are stored, in order; and the words."""
        few = [k for k, page in enumerate(self.pages) if type(page) is dict]
        if not few:
            return _words_of(self.pages, self.memory.typecode)
        row, shift = np.arange(len(self.pages)), self.per_page.bit_length() - 1
        where, words = _few_words_of([self.pages[k] for k in few], row[few] << shift)
        if len(few) < len(self.pages):
            rest = np.delete(row, few)
            places, more = _words_of([self.pages[k] for k in rest.tolist()], self.memory.typecode)
            places += (rest - np.arange(len(rest)) << shift).take(places >> shift)
            where, words = np.append(where, places), np.append(words, more)
        if (where[1:] < where[:-1]).any():
            order = np.argsort(where, kind="stable")
            where, words = where[order], words[order]
        return where, words

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


def _words_of(pages: Sequence[Words], typecode: str) -> tuple[Ints, Ints]:
    """Where words are stored on pages that are arrays, one behind the other, and the words."""
    contents: Ints = np.frombuffer(b"".join(pages), typecode)  # type: ignore[arg-type]
    where = np.flatnonzero(contents != 0)
    return where, contents.take(where).astype(np.uint64, copy=False)


def _few_words_of(pages: Sequence[Any], begin: Ints) -> tuple[Ints, Ints]:
    """The same of pages that are dictionaries, which begin there, in any order."""
    count = np.fromiter(map(len, pages), np.int64, len(pages))
    n = int(count.sum())
    where = np.fromiter(chain.from_iterable(pages), np.int64, n)
    where += begin.repeat(count)
    return where, np.fromiter(chain.from_iterable(map(dict.values, pages)), np.uint64, n)


def _repeated(some: Ints, n: int) -> Ints:
    """The first n of what begins again where it ends."""
    return np.tile(some, -(-n // len(some)))[:n]
