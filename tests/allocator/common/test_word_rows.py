"""Words of pages are found in order, whether a page is kept as a dictionary or as an array."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.common import contents as kept
from allocator.common.bulk.forget import forget
from allocator.common.bulk.held import Held
from allocator.common.bulk.numbers import ObjectNumbers, SpanColumns
from allocator.common.bulk.word_rows import WordRows
from allocator.common.contents import Contents


def numbered(pages: list[int], elemsize: int, nelems: int) -> ObjectNumbers:
    """The objects of spans of a page each."""
    base = np.array(pages, np.uint64) << np.uint64(13)
    each = [np.full(len(pages), value) for value in (elemsize, nelems, 1)]
    return ObjectNumbers(SpanColumns(base, base + np.uint64(elemsize * nelems), *each), 13)


@settings(deadline=None)
@given(seed=st.integers(0, 1 << 32), few=st.sampled_from([0, 2, 20]), ptr=st.sampled_from([4, 8]))
def test_words_in_order(seed: int, few: int, ptr: int) -> None:
    """All of them, from the first page to the last, in pages of both forms."""
    dice = random.Random(seed)
    memory = Contents(13, ptr)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kept, "FEW", few)
        for _ in range(200):
            word = min(dice.randrange(6) ** 2, 20) * memory.per_page + dice.randrange(memory.per_page)
            memory.store(word * ptr, dice.choice([0, 1, (1 << 8 * ptr) - 1, dice.randrange(1 << 31)]))
    pages = sorted(memory.pages)
    n = np.zeros(len(pages), np.int64)
    rows = WordRows(memory, [memory.pages[page] for page in pages], memory.per_page, n, n, n, 4, 0, 256)
    where, words = rows.stored()
    expected = [
        (k * memory.per_page + place, value)
        for k, page in enumerate(pages)
        for place, value in enumerate(memory.all_of(memory.pages[page]))
        if value
    ]
    assert list(zip(where.tolist(), words.tolist(), strict=True)) == expected


def test_spans_that_hold_what_was_not_seen() -> None:
    """Those of which an object was noted and not seen, and those that were not looked at."""
    numbers = numbered([3, 4, 9, 12], 48, 170)
    held = Held(numbers, np.array([0, 1, 3]))
    first = numbers.first.tolist()
    held.note(np.array([first[0] + 5, first[0] + 169, first[1]]), np.array([0, 1]))
    seen = np.zeros(numbers.total, np.uint8)
    assert held.outside(seen) == {3 << 13, 4 << 13, 12 << 13}
    seen[[first[0] + 5, first[1]]] = 1
    assert held.outside(seen) == {3 << 13, 12 << 13}
    held.known(np.array([3]))
    seen[first[0] + 169] = 1
    assert held.outside(seen) == set()


def test_numbers_that_no_object_has() -> None:
    """An address behind the last object of a span has one of these, unless the span has but one object."""
    numbers = numbered([3, 4], 48, 170)
    last = (3 << 13) + 170 * 48
    found = numbers.of(np.array([last - 1, last, (4 << 13) - 1, 4 << 13], np.uint64)).tolist()
    assert found == [169, 170, 170, numbers.first[1]]
    assert set(found[1:3]) < set(numbers.unused.tolist())
    assert len(numbers.unused) == numbers.total - 2 * 170
    alone = numbered([3], 5000, 1)
    assert alone.of(np.array([(3 << 13) + 4999, (3 << 13) + 5000], np.uint64)).tolist() == [0, -1]


def test_nothing_to_forget_in_spans_of_several_pages() -> None:
    """What lives stays, on a page that is kept as an array; then it dies, and the page goes."""
    memory = Contents(13, 8)
    for word in range(2 * kept.FEW):
        memory.store((5 << 13) + 8 * word, 7)
    forget(memory, [(4 << 13, 0b01)], 8192, 2, 3)
    assert sum(memory.pages[5]) == 7 * 2 * kept.FEW
    forget(memory, [(4 << 13, 0b10)], 8192, 2, 3)
    assert not memory.pages
