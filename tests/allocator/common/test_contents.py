"""What programs stored: words of pages with few and with many, whoever asks for them."""

from __future__ import annotations

from array import array

import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.common.contents import FEW, Contents

START = 5 << 13
WORDS = st.integers(0, 3000)
RANGE = st.tuples(st.integers(0, 30_000), st.integers(1, 9000))
DENSE = st.tuples(st.integers(0, 900), st.integers(FEW, 900))
STEPS = st.one_of(
    st.tuples(st.just("store"), st.sets(WORDS, max_size=80)),
    st.tuples(st.just("fill"), DENSE),
    st.tuples(st.just("drop"), st.sets(WORDS, max_size=80)),
    st.tuples(st.just("clear"), RANGE),
    st.tuples(st.just("zero"), RANGE),
)


@pytest.mark.parametrize("ptr_size", [4, 8])
@settings(max_examples=examples(60), deadline=None, phases=phases())
@given(st.lists(STEPS, max_size=12), st.lists(RANGE, min_size=1, max_size=8))
def test_words_are_those_that_were_written_last(
    ptr_size: int, steps: list[tuple[str, object]], ranges: list[tuple[int, int]]
) -> None:
    """Against a dictionary of all words: ranges within a page and over several, with few words and many."""
    memory = Contents(13, ptr_size)
    words: dict[int, int] = {}
    for number, (what, which) in enumerate(steps, 1):
        if what in ("store", "drop"):
            for word in which:  # type: ignore[attr-defined]
                value = number if what == "store" else 0
                memory.store(START + word * ptr_size, value)
                words[START + word * ptr_size] = value
        elif what == "fill":
            first, count = which  # type: ignore[misc]
            for word in range(first, first + count):
                memory.store(START + word * ptr_size, number)
                words[START + word * ptr_size] = number
        else:
            low, length = which  # type: ignore[misc]
            low, high = (START + low) & -ptr_size, (START + low + length) & -ptr_size
            if what == "zero":
                memory.zero(low, high - low)
            else:
                memory.clear(memory.written(low, high))
            words |= {addr: 0 for addr in words if low <= addr < high}
    stored = {addr: value for addr, value in words.items() if value}
    assert bool(memory) == bool(stored)
    assert {addr >> 13 for addr in stored} == set(memory.pages)
    for addr, value in words.items():
        assert memory.load(addr) == value
    for first, length in ranges:
        low, high = START + first, START + first + length
        assert memory.written(low, high) == sorted(addr for addr in stored if low <= addr < high)
    for page, some in memory.pages.items():
        whole = memory.all_of(some)
        assert [memory.load((page << 13) + i * ptr_size) for i in range(len(whole))] == whole.tolist()
        assert whole.itemsize * len(whole) == 1 << 13


def test_many_words_are_kept_as_an_array() -> None:
    """A page takes its own size at most."""
    memory = Contents(13, 8)
    for i in range(FEW):
        memory.store(START + 8 * i, 1)
    assert type(memory.pages[START >> 13]) is dict
    memory.store(START + 8 * FEW, 1)
    assert type(memory.pages[START >> 13]) is array
