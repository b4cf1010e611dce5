"""Finding last words by what people paste."""

from __future__ import annotations

import pytest

from archcalc.questions import throws


@pytest.mark.parametrize(
    "line",
    [
        "panic: runtime error: index out of range",  # the middle of `block index out of range`
        "fatal error: all goroutines are asleep - deadlock!",
        "panic: runtime error: invalid memory address or nil pointer dereference",
        "signal: killed",
        "exit status 2",
    ],
)
def test_a_line_of_others_is_none_of_the_allocator(line: str) -> None:
    assert throws.find(line) == []
    assert throws.is_a_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "cannot reserve arena",
        "fatal error: runtime: cannot reserve arena virtual address space",
        "fatal error: cannot reserve arena virtual adress space",
    ],
)
def test_a_line_of_the_allocator_is_found_by_its_beginning_or_a_part(line: str) -> None:
    assert throws.find(line)[0].words == "runtime: cannot reserve arena virtual address space"
