"""What programs stored: the words of a range, however they are found."""

from __future__ import annotations

import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc.boot import boot


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386"])
@settings(max_examples=examples(60), phases=phases())
@given(
    st.sets(st.integers(0, 3000), max_size=80),
    st.lists(st.tuples(st.integers(0, 30_000), st.integers(1, 9000)), min_size=1, max_size=20),
)
def test_written_words_are_those_of_the_range(
    platform: str, stored: set[int], ranges: list[tuple[int, int]]
) -> None:
    """Ranges within a page and over several, of fewer words than are stored there and of more."""
    rt = boot(platform)
    start, step = rt.heap.arena_start, rt.config.ptr_size
    for word in stored:
        rt.memory.store(start + word * step, 1)
    for first, length in ranges:
        low, high = start + first, start + first + length
        expected = [addr for addr in sorted(start + word * step for word in stored) if low <= addr < high]
        assert rt.memory.written(low, high) == expected
