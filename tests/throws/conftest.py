"""Leading the model to where the runtime dies, and holding its words against the table."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from allocator.common.throw import Death
from archcalc.questions import throws

Reaches = Callable[..., AbstractContextManager[None]]


@contextmanager
def _reaches(site: str, who: Any = None) -> Iterator[None]:
    """What is done within must die at `site`, with the words and the lines of the table's row.

    `who` is the runtime, or the system, that prints.
    """
    row = throws.by_site(site)
    assert row.reachable, f"{site} is listed as out of reach"
    with pytest.raises(Death) as caught:
        yield
    death = caught.value
    printed = [*(who.printed if who is not None else ()), *death.before]
    frames = traceback.extract_tb(death.__traceback__)
    if row.kind == "print":
        assert any(row.fits(line) for line in printed), printed
        return
    module, _, function = row.model.partition(".")
    assert (frames[-1].filename.rpartition("/")[2], frames[-1].name) == (f"{module}.py", function)
    assert death.kind == row.kind
    assert row.fits(death.words)
    lines = printed[len(printed) - len(row.printed) :]
    assert len(lines) == len(row.printed)
    for template, line in zip(row.printed, lines, strict=True):
        assert throws.matches(template, line), (template, line)


@pytest.fixture(scope="session")
def reaches() -> Reaches:
    return _reaches
