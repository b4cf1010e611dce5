"""Finding pointers and following them, compiled with Numba: one pass where NumPy takes a dozen.

It gives the same as `edges.add_edges` and `reach.reach` do without.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allocator.common.bulk.numbers import MAGIC_SHIFT
from allocator.common.bulk.routines import Routines

Ints = np.ndarray[Any, np.dtype[Any]]

SHIFT = MAGIC_SHIFT

FOLLOWING = Routines(__file__)


@FOLLOWING.routine("u8 n i8 i8 n n n u1 u1 u2/i8 n n i8 u8 u8 u8 i8 i8 u8 i8")
def find(
    contents: Ints, per_page: int, begin: Ints, first: Ints, words: int, header: int, nelems: int,
    bitmap: Ints, pattern: Ints, extents: Ints,
    low: int, shift: int, pages: Ints, magic: Ints, offset_of: Ints, limit: Ints,
    sources: Ints, targets: Ints, lost: Ints, missing: Ints,
) -> int:  # fmt: skip
    """Edges from the objects on pages, and the words that lead to none (`edges.add_edges`).

    Returns how many edges there are; `missing` is how many such words.
    """
    found = missed = 0
    last = np.uint64(len(pages) - 1)
    for row in range(len(begin)):
        index = begin[row] // words
        offset = begin[row] - index * words
        for k in range(row * per_page, (row + 1) * per_page):
            value = contents[k]
            if value != 0 and index < nelems and offset >= header:
                if len(bitmap):
                    good = bitmap[k >> 2] >> np.uint8(k & 3) & 1 != 0
                else:
                    good = pattern[(offset - header) % len(pattern)] != 0
                source = first[row] + index
                if good and (len(extents) == 0 or offset - header < extents[source]):
                    span = pages[min((value - np.uint64(low)) >> np.uint64(shift), last)]
                    target = np.int64(value * magic[span] + offset_of[span]) >> SHIFT
                    if target < 0 or (len(limit) and value >= limit[span]):
                        target = np.int64(-1)
                        lost[missed] = value
                        missed += 1
                    sources[found] = source
                    targets[found] = target
                    found += 1
            offset += 1
            if offset == words:
                offset = 0
                index += 1
    missing[0] = missed
    return found


@FOLLOWING.routine("i8 i8 i8 u1 u4 i8")
def reach(sources: Ints, targets: Ints, frontier: Ints, seen: Ints, begin: Ints, waiting: Ints) -> int:
    """Marks all that is reached. `waiting` has room for each number once, `begin`, zeros, for one more."""
    for source in sources:
        begin[source + 1] += 1
    for at in range(1, len(begin)):
        begin[at] += begin[at - 1]
    count = len(frontier)
    for i in range(count):
        waiting[i] = frontier[i]
    while count:
        count -= 1
        at = waiting[count]
        for i in range(begin[at], begin[at + 1]):
            target = targets[i]
            if not seen[target]:
                seen[target] = 1
                waiting[count] = target
                count += 1
    return 0
