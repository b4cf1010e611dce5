"""The interval map against a model that keeps a dict of pages."""

from __future__ import annotations

import sys
from itertools import groupby

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from allocator.kernels.address_space import MAPPED, RESERVED, TAKEN, AddressSpace, Range

PAGES = 24
PAGE = 0x1000

page_numbers = st.integers(0, PAGES)
kinds = st.sampled_from([TAKEN, RESERVED, MAPPED, MAPPED | 4])


class AgainstPages(RuleBasedStateMachine):
    """Every operation on both; after each, the same intervals, totals and searches."""

    def __init__(self) -> None:
        super().__init__()
        self.space = AddressSpace()
        self.pages: dict[int, int] = {}

    @initialize(taken=st.lists(st.tuples(page_numbers, page_numbers), max_size=4))
    def start(self, taken: list[tuple[int, int]]) -> None:
        self.space = AddressSpace(Range(a * PAGE, b * PAGE) for a, b in taken)
        self.pages = {page: TAKEN for a, b in taken for page in range(a, b)}

    @rule(a=page_numbers, b=page_numbers, kind=kinds)
    def place(self, a: int, b: int, kind: int) -> None:
        self.space.place(a * PAGE, b * PAGE, kind)
        self.pages.update(dict.fromkeys(range(a, b), kind))

    @rule(a=page_numbers, size=st.integers(1, 4), count=st.integers(1, 5), kind=kinds)
    def grow(self, a: int, size: int, count: int, kind: int) -> None:
        """Neighbour after neighbour, as a heap grows."""
        for i in range(count):
            self.place(a + i * size, a + (i + 1) * size, kind)

    @rule(a=page_numbers, n=st.integers(1, 4), kind=kinds)
    def lengthen(self, a: int, n: int, kind: int) -> None:
        """Only into free space, and only next to one interval of its kind."""
        free = not any(a + i in self.pages for i in range(n))
        like = (self.pages.get(a - 1) == kind) + (self.pages.get(a + n) == kind)
        assert self.space.lengthen(a * PAGE, (a + n) * PAGE, kind) == (free and like == 1)
        if free and like == 1:
            self.pages.update(dict.fromkeys(range(a, a + n), kind))

    @rule(a=page_numbers, b=page_numbers)
    def clear(self, a: int, b: int) -> None:
        self.space.clear(a * PAGE, b * PAGE)
        for page in range(a, b):
            self.pages.pop(page, None)

    @rule(a=page_numbers, b=page_numbers)
    def look(self, a: int, b: int) -> None:
        inside = {page: self.pages[page] for page in range(a, b) if page in self.pages}
        if a < b:
            assert self.space.is_free(a * PAGE, b * PAGE) == (not inside)
            found = {p: kind for s, e, kind in self.space.pieces(a * PAGE, b * PAGE) for p in pages(s, e)}
            assert found == inside
        at = self.space.at(a * PAGE + 5)
        assert (at is not None) == (a in self.pages)
        if at is not None:
            assert at in list(self.space) and at[0] <= a * PAGE + 5 < at[1]

    # Mostly from one base, so that what earlier searches remember is put to use.
    @rule(
        n=st.integers(1, 12),
        a=st.one_of(st.just(2), page_numbers),
        b=page_numbers,
        align=st.sampled_from([1, 1, 1, 2, 16]),
    )
    def find(self, n: int, a: int, b: int, align: int) -> None:
        fits = [
            at
            for at in range(PAGES + 60)
            if at % align == 0 and a <= at and at + n <= b and not any(at + i in self.pages for i in range(n))
        ]
        up = self.space.find_up(n * PAGE, a * PAGE, b * PAGE, align * PAGE)
        down = self.space.find_down(n * PAGE, b * PAGE, a * PAGE, align * PAGE)
        assert up == (fits[0] * PAGE if fits else None)
        assert down == (fits[-1] * PAGE if fits else None)

    @invariant()
    def same(self) -> None:
        runs = [(page - i, kind) for i, (page, kind) in enumerate(sorted(self.pages.items()))]
        expected = []
        at = 0
        for (base, kind), group in groupby(runs):
            n = len(list(group))
            expected.append(((base + at) * PAGE, (base + at + n) * PAGE, kind))
            at += n
        assert list(self.space) == expected
        assert len(self.space) == len(expected)
        totals: dict[int, int] = {}
        for start, end, kind in expected:
            totals[kind] = totals.get(kind, 0) + end - start
        assert self.space.totals() == totals
        assert self.space.held == sum(totals.values()) - totals.get(TAKEN, 0)
        assert all(self.space.total(kind) == totals.get(kind, 0) for kind in (TAKEN, RESERVED, MAPPED))


def pages(start: int, end: int) -> range:
    return range(start // PAGE, end // PAGE)


AgainstPages.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestAgainstPages = AgainstPages.TestCase


def test_memory_follows_ranges_not_sizes() -> None:
    space = AddressSpace()
    heap = 0xC0_0000_0000
    for i in range(20_000):
        space.place(heap + (i << 20), heap + (i + 1 << 20), MAPPED)
    assert list(space) == [(heap, heap + (20_000 << 20), MAPPED)]
    assert sum(map(sys.getsizeof, (space._starts, space._ends, space._kinds))) < 500


def test_unaligned_ranges_and_search_start() -> None:
    space = AddressSpace([Range(0x10_0000, 0x10_1800)])
    assert space.find_up(0x1000, 0x10_0000, 1 << 32, 0x1000) == 0x10_2000
    assert space.find_up(0x1000, 0x0F_F001, 1 << 32, 0x1000) == 0x10_2000
    assert space.find_down(0x1000, 0x10_2FFF, 0, 0x1000) == 0x0F_F000
    assert space.find_down(0x1000, 0x10_3000, 0, 0x1000) == 0x10_2000
    assert space.find_down(0x1000, 0x10_1000, 0x10_0000, 0x1000) is None
    assert space.find_up(0x1001, 0, 0x1000, 0x1000) is None


def test_growth_that_meets_its_like_becomes_one() -> None:
    space = AddressSpace()
    for start in (0, 3, 1, 2):
        space.place(start * PAGE, (start + 1) * PAGE, MAPPED)
    assert list(space) == [(0, 4 * PAGE, MAPPED)]
    space.place(4 * PAGE, 6 * PAGE, RESERVED)
    space.place(2 * PAGE, 5 * PAGE, MAPPED)
    assert list(space) == [(0, 5 * PAGE, MAPPED), (5 * PAGE, 6 * PAGE, RESERVED)]


def test_room_that_is_given_back_is_found_again() -> None:
    space = AddressSpace([Range(0, 8 * PAGE)])
    assert space.find_up(PAGE, 0, 1 << 32, PAGE) == 8 * PAGE
    space.clear(2 * PAGE, 3 * PAGE)
    assert space.find_up(2 * PAGE, 0, 1 << 32, PAGE) == 8 * PAGE
    assert space.find_up(PAGE, 0, 1 << 32, PAGE) == 2 * PAGE
    assert space.find_up(2 * PAGE, 0, 9 * PAGE, PAGE) is None
    assert space.find_up(2 * PAGE, 0, 1 << 32, PAGE) == 8 * PAGE
