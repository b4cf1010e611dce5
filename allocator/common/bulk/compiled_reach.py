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


@FOLLOWING.routine("u4/u8 n i8 i8 n n n u1 u1 u1 u2/i8 n n i8 u8 u8 u8 u1 u4 i4 u8 i8 n")
def find(
    contents: Ints, per_page: int, begin: Ints, first: Ints, words: int, header: int, nelems: int,
    page: Ints, bitmap: Ints, pattern: Ints, extents: Ints,
    low: int, shift: int, pages: Ints, magic: Ints, offset_of: Ints, limit: Ints,
    held: Ints, starts: Ints, targets: Ints, lost: Ints, missing: Ints, found: int,
) -> int:  # fmt: skip
    """Edges from the objects on pages, of which `found` are there, and the words that lead to none.

    Returns how many edges there are then; `starts` tells that of each object, for the next. `missing` is how
    many words are lost. All else is as in `word_rows.WordRows`.
    """
    missed = 0
    last = np.uint64(len(pages) - 1)
    for row in range(len(begin)):
        index = begin[row] // words
        offset = begin[row] - index * words
        source = first[row] + index
        for k in range(per_page):
            value = np.uint64(contents[row * per_page + k])
            if value != 0 and index < nelems:
                held[source] = 1
                if len(page):
                    good = page[k] != 0
                elif offset < header:
                    good = False
                elif len(bitmap):
                    good = bitmap[(row * per_page + k) >> 2] >> np.uint8(k & 3) & 1 != 0
                else:
                    good = pattern[(offset - header) % len(pattern)] != 0
                if good and (len(extents) == 0 or offset - header < extents[source]):
                    span = pages[min((value - np.uint64(low)) >> np.uint64(shift), last)]
                    target = np.int64(value * magic[span] + offset_of[span]) >> SHIFT
                    if target < 0 or (len(limit) and value >= limit[span]):
                        target = np.int64(-1)
                        lost[missed] = value
                        missed += 1
                    targets[found] = target
                    found += 1
                    starts[source + 1] = found
            offset += 1
            if offset == words:
                offset = 0
                index += 1
                source += 1
    missing[0] = missed
    return found


@FOLLOWING.routine("u4 i4 i8 u1 u4")
def reach(starts: Ints, targets: Ints, frontier: Ints, seen: Ints, waiting: Ints) -> int:
    """Marks all that is reached. `waiting` has room for each number once; a target below zero is none."""
    for at in range(1, len(starts)):
        starts[at] = max(starts[at], starts[at - 1])
    count = len(frontier)
    for i in range(count):
        waiting[i] = frontier[i]
    while count:
        count -= 1
        at = waiting[count]
        for i in range(starts[at], starts[at + 1]):
            target = targets[i]
            if target >= 0 and not seen[target]:
                seen[target] = 1
                waiting[count] = target
                count += 1
    return 0
