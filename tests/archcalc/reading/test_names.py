"""Did you mean …?"""

from __future__ import annotations

import pytest

from archcalc.reading.names import closest

NAMES = ["_PageSize", "_PageShift", "PtrSize", "linux/amd64", "reservation_size"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("_PageSise", "'_PageSize'"),
        ("_pagesize", "'_PageSize'"),
        ("ptrsize", "'PtrSize'"),
        ("reservation", "'reservation_size'"),
        ("linux/amd46", "'linux/amd64'"),
        ("zzzz", ""),
        ("", ""),
    ],
)
def test_the_name_that_was_probably_meant(word: str, meant: str) -> None:
    assert closest(word, NAMES) == meant
