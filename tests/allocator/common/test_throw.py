"""How a simulated runtime ends, and what is told of it."""

from __future__ import annotations

import pytest

from allocator.common.throw import BadRequest, Death, Exit, GoPanic, Throw
from allocator.contiguous.runtime import Runtime


@pytest.mark.parametrize(("death", "kind"), [(Throw, "throw"), (GoPanic, "panic"), (Exit, "exit")])
def test_each_end_has_its_kind(death: type[Death], kind: str) -> None:
    end = death("words", "a line", "another")
    assert (end.kind, end.words, end.before, str(end)) == (kind, "words", ("a line", "another"), "words")


def test_the_last_words_come_with_every_line_printed(amd64: Runtime) -> None:
    amd64.printed.append("runtime: first")
    found = amd64.last_words(Throw("words", "runtime: second"))
    assert found == {
        "kind": "throw",
        "throw": "words",
        "printed": ["runtime: first", "runtime: second"],
        "after": [],
    }
    assert amd64.printed == ["runtime: first"]


def test_a_drivers_mistake_is_not_the_end_of_the_runtime() -> None:
    assert not issubclass(BadRequest, Death)
    assert issubclass(BadRequest, ValueError)
