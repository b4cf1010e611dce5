"""From words that are stored to edges: from the object that a word lies in to the one that it points into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.engine import follows_compiled
from allocator.common.bulk.reach import Pointers

if TYPE_CHECKING:
    from allocator.common.bulk.compiled_edges import CompiledPointers
    from allocator.common.bulk.held import Held
    from allocator.common.bulk.numbers import ObjectNumbers
    from allocator.common.bulk.word_rows import WordRows

Ints = np.ndarray[Any, np.dtype[Any]]

# By a byte of a bitmap: four bytes, whether each of four words is a pointer.
OF_FOUR = (np.arange(256, dtype=np.uint8)[:, None] >> np.arange(4, dtype=np.uint8) & 1).view(np.uint32)[:, 0]


def alike(kinds: Ints, most: int = 1 << 62) -> Iterator[slice]:
    """Slices of what is in a row of one kind, so many at most."""
    begin = 0
    for end in [*(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]:
        for at in range(begin, end, most):
            yield slice(at, min(at + most, end))
        begin = end


def in_words(extents: Ints, shift: int) -> Ints:
    """How many words of each object are looked at, of so many bytes, as `add_edges` takes that."""
    return (extents >> shift).astype(np.uint16 if extents.itemsize <= 2 else np.int64, copy=False)


def pointers_of(numbers: ObjectNumbers, total: int) -> Pointers | CompiledPointers:
    """No edges yet, between objects with numbers below `total`."""
    if numbers.magic is not None and numbers.pages is not None and follows_compiled():
        from allocator.common.bulk.compiled_edges import CompiledPointers

        return CompiledPointers(numbers, total)
    return Pointers(total)


def add_edges(
    pointers: Pointers | CompiledPointers, numbers: ObjectNumbers, rows: WordRows, held: Held
) -> None:
    """Adds all pointers on those pages. What else is stored there is noted as held."""
    if rows.tell is None and not rows.few and not isinstance(pointers, Pointers):
        pointers.add_rows(rows, held)
        return
    where, words = rows.stored()
    sources = _objects(rows, where)
    held.note(sources, rows.spans)
    good = _pointers_among(rows, where, sources)
    if not good.all():
        keep = np.flatnonzero(good)
        sources, words = sources[keep], words[keep]
    targets = numbers.of(words)
    if len(targets) and int(targets.min()) < 0:
        lost = np.flatnonzero(targets < 0)
        targets[lost] = numbers.stray(words[lost])
        keep = np.flatnonzero(targets >= 0)
        sources, targets = sources[keep], targets[keep]
    pointers.add(sources, targets)


def _objects(rows: WordRows, where: Ints) -> Ints:
    """The numbers that words of the pages lie in: those of no object behind the last of a span."""
    page = rows.per_page.bit_length() - 1
    count = np.diff(where.searchsorted(np.arange(len(rows.begin) + 1) << page))  # in each row
    if rows.aligned:
        shift = rows.words.bit_length() - 1
        found = where >> shift
        ahead = rows.first + (rows.begin >> shift) - (np.arange(len(rows.begin)) << page - shift)
        found += ahead[0] if (ahead == ahead[0]).all() else ahead.repeat(count)
        return found
    if rows.alike:
        found = (np.arange(rows.per_page) // rows.words).take(where & rows.per_page - 1)
    else:
        found = where + (rows.begin - (np.arange(len(rows.begin)) << page)).repeat(count)
        found //= rows.words
    found += rows.first.repeat(count)
    return found


def _pointers_among(rows: WordRows, where: Ints, sources: Ints) -> Ints:
    """Which of some words are pointers that are looked at."""
    good: Ints
    told = True
    if len(rows.page):
        good = rows.page.view(bool).take(where & rows.per_page - 1)
    elif len(rows.bitmap):
        good = OF_FOUR.take(rows.bitmap).view(bool).take(where)
    elif rows.alike and rows.tell is None:
        good = rows.page_by_pattern().take(where & rows.per_page - 1)
    else:
        told = False
    if told and not len(rows.extents):
        return good
    row = where >> rows.per_page.bit_length() - 1
    index = sources - rows.first.take(row)
    offset = (where & rows.per_page - 1) + rows.begin.take(row) - index * rows.words - rows.header
    if not told:
        good = offset >= 0
        if rows.tell is not None:
            good &= rows.tell(row, index, offset)
        else:
            good &= rows.pattern.take(offset, mode="wrap").view(bool)
    if len(rows.extents):
        good &= offset < rows.extents.take(sources)
    return good
