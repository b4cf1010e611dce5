"""The bits of a chunk: summaries and first fit against counting page by page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.sparse.pallocbits import ALLOCATED, NONE, find_run, longest_run, merge, pack, summarize, unpack

PAGES = 512
ALL = (1 << PAGES) - 1


def bits_of(*runs: tuple[int, int]) -> int:
    """Bits set in each (first, pages)."""
    return sum(((1 << n) - 1) << first for first, n in runs)


def runs_of_zeros(bits: int, pages: int) -> list[tuple[int, int]]:
    """Every free run of a chunk, by looking at each page."""
    runs: list[tuple[int, int]] = []
    for page in range(pages):
        if not bits >> page & 1:
            if runs and sum(runs[-1]) == page:
                runs[-1] = runs[-1][0], runs[-1][1] + 1
            else:
                runs.append((page, 1))
    return runs


@st.composite
def chunks(draw: st.DrawFn, pages: int = PAGES) -> int:
    """A chunk's bits: runs of any length, or any bits."""
    if draw(st.booleans()):
        return draw(st.integers(0, (1 << pages) - 1))
    bits = page = 0
    while page < pages:
        free, used = draw(st.integers(0, pages // 3)), draw(st.integers(1, pages // 3))
        page += free
        bits |= (1 << used) - 1 << page
        page += used
    return bits & (1 << pages) - 1


@pytest.mark.parametrize(
    ("allocated", "summary"),
    [
        ([], (512, 512, 512)),
        ([(0, 512)], (0, 0, 0)),
        ([(0, 1)], (0, 511, 511)),
        ([(511, 1)], (511, 511, 0)),
        ([(0, 1), (511, 1)], (0, 510, 0)),
        ([(64, 1)], (64, 447, 447)),  # a free run that ends at a word's border
        ([(10, 1), (500, 1)], (10, 489, 11)),
        ([(i, 1) for i in range(0, 512, 2)], (0, 1, 1)),
        ([(0, 5), (6, 57), (66, 446)], (0, 3, 0)),  # the longest run crosses words and is short
        ([(0, 2), (4, 506)], (0, 2, 2)),
    ],
)
def test_summaries_of_known_chunks(allocated: list[tuple[int, int]], summary: tuple[int, int, int]) -> None:
    assert summarize(bits_of(*allocated), PAGES) == summary


@given(chunks())
def test_a_summary_is_what_counting_finds(bits: int) -> None:
    runs = runs_of_zeros(bits, PAGES)
    start = runs[0][1] if runs and runs[0][0] == 0 else 0
    end = runs[-1][1] if runs and sum(runs[-1]) == PAGES else 0
    assert summarize(bits, PAGES) == (start, max((n for _, n in runs), default=0), end)


@given(chunks(), st.integers(1, PAGES))
def test_a_run_is_the_first_that_is_long_enough(bits: int, npages: int) -> None:
    fitting = [first for first, n in runs_of_zeros(bits, PAGES) if n >= npages]
    assert find_run(~bits & ALL, npages) == (fitting[0] if fitting else NONE)


@given(st.lists(chunks(64), min_size=2, max_size=8))
def test_merging_parts_summarizes_the_whole(parts: list[int]) -> None:
    whole = sum(bits << 64 * i for i, bits in enumerate(parts))
    assert merge([summarize(bits, 64) for bits in parts], 64) == summarize(whole, 64 * len(parts))


@given(st.integers(0, (1 << 80) - 1))
def test_the_longest_run_cannot_be_found_one_longer(x: int) -> None:
    length = longest_run(x)
    assert not length or find_run(x, length) != NONE
    assert find_run(x, length + 1) == NONE


@given(chunks())
def test_a_summary_survives_packing(bits: int) -> None:
    summary = summarize(bits, PAGES)
    assert unpack(pack(summary, 21), 21) == summary


def test_the_largest_summary_has_a_bit_of_its_own() -> None:
    assert pack((1 << 21, 1 << 21, 1 << 21), 21) == 1 << 63
    assert unpack(1 << 63, 21) == (1 << 21,) * 3
    assert pack(ALLOCATED, 21) == 0
