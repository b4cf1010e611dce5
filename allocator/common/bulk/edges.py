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
ALL = np.zeros(0, np.int32)


class WordRows(NamedTuple):
    """Pages of spans of one class, in the order of their objects' numbers, a row of words each.

    begin: the word of its span that a page begins with. first: the number of its span's first object. An
    object has so many words, its pointers behind the first `header`; a span has `nelems`. Only words
    `between` two addresses are taken for pointers.

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
    between: tuple[int, int] | None = None
    bitmap: Ints = NOTHING
    pattern: Ints = NOTHING
    tell: Callable[[Ints, Ints, Ints], Ints] | None = None


class Edges(NamedTuple):
    """Edges in the order of the numbers that they are from, with the words that they are.

    A target is below zero where no object is.
    """

    sources: Ints
    targets: Ints
    words: Ints


def alike(kinds: Ints, most: int) -> Iterator[slice]:
    """Slices of what is in a row of one kind, so many at most."""
    begin = 0
    for end in [*(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]:
        for at in range(begin, end, most):
            yield slice(at, min(at + most, end))
        begin = end


def edges_of_rows(numbers: ObjectNumbers, rows: WordRows, extents: Ints | None = None) -> Edges:
    """All pointers on those pages; extents: how many words of each object are looked at, all for None."""
    by_table = rows.tell is None and numbers.magic is not None and numbers.pages is not None
    if by_table and follows_compiled(numbers.total):
        return _compiled(numbers, rows, ALL if extents is None else extents)
    where = np.flatnonzero(rows.contents != 0)  # bytes are searched much faster
    words = rows.contents.take(where).astype(np.uint64, copy=False)
    row = where >> (rows.per_page.bit_length() - 1)
    word = (where & rows.per_page - 1) + rows.begin.take(row)
    index = word // rows.words
    offset = word - index * rows.words
    good = index < rows.nelems
    if rows.header:
        offset -= rows.header
        good &= offset >= 0
    if rows.between is not None:
        good &= (words >= np.uint64(rows.between[0])) & (words < np.uint64(rows.between[1]))
    if len(rows.bitmap):
        good &= (rows.bitmap.take(where >> 2) >> (where & 3).astype(np.uint8) & 1).view(bool)
    elif rows.tell is None:
        good &= rows.pattern.take(offset, mode="wrap").view(bool)
    else:
        good &= rows.tell(row, index, offset)
    source = rows.first.take(row) + index
    if extents is not None:
        good &= offset < extents.take(source, mode="clip")
    if not good.all():
        keep = np.flatnonzero(good)
        source, words = source[keep], words[keep]
    return Edges(source, numbers.of(words), words)


def _compiled(numbers: ObjectNumbers, rows: WordRows, extents: Ints) -> Edges:
    """The same in one pass."""
    from allocator.common.bulk.compiled_reach import find

    # No object is at the highest address of all.
    low, high = rows.between or (0, (1 << 64) - 1)
    most = int(np.count_nonzero(rows.contents != 0))
    sources, targets = np.empty(most, np.int64), np.empty(most, np.int64)
    words = np.empty(most, np.uint64)
    found = find(
        rows.contents.astype(np.uint64, copy=False), rows.per_page, rows.begin, rows.first, rows.words,
        rows.header, rows.nelems, rows.bitmap, rows.pattern, extents,
        np.uint64(low), np.uint64(high), numbers.low, numbers.shift, numbers.pages,
        numbers.base, numbers.magic, numbers.start, numbers.limit, sources, targets, words,
    )  # fmt: skip
    return Edges(sources[:found], targets[:found], words[:found])
