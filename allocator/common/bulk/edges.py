"""From words that are stored to edges: from the object that a word lies in to the one that it points into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from allocator.common.bulk.engine import follows_compiled

if TYPE_CHECKING:
    from allocator.common.bulk.numbers import ObjectNumbers

Ints = np.ndarray[Any, np.dtype[Any]]

NOTHING = np.zeros(0, np.uint8)
ALL = np.zeros(0, np.uint16)
# By a byte of a bitmap: four bytes, whether each of four words is a pointer.
OF_FOUR = (np.arange(256, dtype=np.uint8)[:, None] >> np.arange(4, dtype=np.uint8) & 1).view(np.uint32)[:, 0]


class WordRows(NamedTuple):
    """Pages of spans of one class, in the order of their objects' numbers, a row of words each.

    begin: the word of its span that a page begins with. first: the number of its span's first object. An
    object has so many words, its pointers behind the first `header`; a span has `nelems`.

    Which words are pointers, `bitmap` tells, a byte for four words of the pages; or `pattern`, a byte for
    each word of every object, behind its header, from the beginning again where it ends; or `tell`, by row,
    number in the span and word of the object.
    """

    contents: Ints
    per_page: int
    begin: Ints
    first: Ints
    words: int
    header: int
    nelems: int
    bitmap: Ints = NOTHING
    pattern: Ints = NOTHING
    tell: Callable[[Ints, Ints, Ints], Ints] | None = None

    @property
    def aligned(self) -> bool:
        """Whether each page has objects that begin and end in it."""
        return self.words <= self.per_page and not self.words & self.words - 1


class Edges(NamedTuple):
    """Edges in the order of the numbers that they are from.

    A target is below zero where no object is; `lost` are the words of those.
    """

    sources: Ints
    targets: Ints
    lost: Ints


def alike(kinds: Ints, most: int = 1 << 62) -> Iterator[slice]:
    """Slices of what is in a row of one kind, so many at most."""
    begin = 0
    for end in [*(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]:
        for at in range(begin, end, most):
            yield slice(at, min(at + most, end))
        begin = end


def in_words(extents: Ints, shift: int) -> Ints:
    """How many words of each object are looked at, of so many bytes, as `edges_of_rows` takes that."""
    return (extents >> shift).astype(np.uint16 if extents.itemsize <= 2 else np.int64, copy=False)


def edges_of_rows(numbers: ObjectNumbers, rows: WordRows, extents: Ints | None = None) -> Edges:
    """All pointers on those pages; extents: how many words of each object are looked at, all for None."""
    by_table = rows.tell is None and numbers.magic is not None and numbers.pages is not None
    if by_table and follows_compiled():
        return _compiled(numbers, rows, ALL if extents is None else extents)
    where = np.flatnonzero(_stored(rows))
    words = rows.contents.take(where).astype(np.uint64, copy=False)
    page = rows.per_page.bit_length() - 1
    if rows.aligned:
        shift = rows.words.bit_length() - 1
        source, offset = where >> shift, where & rows.words - 1
        ahead = rows.first + (rows.begin >> shift) - (np.arange(len(rows.begin)) << page - shift)
        source += ahead[0] if (ahead == ahead[0]).all() else ahead.take(where >> page)
    else:
        row = where >> page
        word = (where & rows.per_page - 1) + rows.begin.take(row)
        index = word // rows.words
        offset = word - index * rows.words
        source = rows.first.take(row) + index
    good: Ints | None = None
    if rows.header:
        offset -= rows.header
        good = offset >= 0
    if rows.tell is not None:
        row = where >> page
        good = _both(good, rows.tell(row, source - rows.first.take(row), offset))
    elif not len(rows.bitmap) and not rows.aligned:
        good = _both(good, rows.pattern.take(offset, mode="wrap").view(bool))
    if extents is not None:
        good = _both(good, offset < extents.take(source))
    if good is not None and not good.all():
        keep = np.flatnonzero(good)
        source, words = source[keep], words[keep]
    targets = numbers.of(words)
    bad = len(targets) and int(targets.min()) < 0
    return Edges(source, targets, words[targets < 0] if bad else words[:0])


def _both(one: Ints | None, other: Ints) -> Ints:
    return other if one is None else one & other


def _stored(rows: WordRows) -> Ints:
    """Which words are not zero and in an object, as pointers as far as whole pages tell that."""
    stored: Ints = rows.contents != 0
    pages = stored.reshape(-1, rows.per_page)
    if len(rows.bitmap):
        stored &= OF_FOUR.take(rows.bitmap).view(bool)
    elif rows.aligned and rows.tell is None:
        one = np.zeros(rows.words, bool)
        one[rows.header :] = np.resize(rows.pattern.view(bool), rows.words - rows.header)
        pages &= np.tile(one, rows.per_page // rows.words)
    end = rows.nelems * rows.words - rows.begin
    for last in set(end[end < rows.per_page].tolist()):
        pages[end == last, max(last, 0) :] = False
    return stored


def _compiled(numbers: ObjectNumbers, rows: WordRows, extents: Ints) -> Edges:
    """The same in one pass."""
    from allocator.common.bulk.compiled_reach import find

    most = len(rows.contents)
    sources, targets = np.empty(most, np.int64), np.empty(most, np.int64)
    lost, missing = np.empty(most, np.uint64), np.empty(1, np.int64)
    found = find(
        rows.contents.astype(np.uint64, copy=False), rows.per_page, rows.begin, rows.first, rows.words,
        rows.header, rows.nelems, rows.bitmap, rows.pattern, extents, int(numbers.low), int(numbers.shift),
        numbers.pages, numbers.magic, numbers.offset, numbers.limit, sources, targets, lost, missing,
    )  # fmt: skip
    return Edges(sources[:found], targets[:found], lost[: int(missing[0])])
