"""Consoles of Windows, by a stand-in for its kernel."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from archcalc.cli import console


@pytest.mark.parametrize(("console_there", "accepts", "follows"), [(1, 1, True), (1, 0, False), (0, 0, True)])
def test_escapes_are_switched_on_where_there_is_a_console(
    console_there: int, accepts: int, follows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def get(handle: int, mode: Any) -> int:
        mode._obj.value = 3
        return console_there

    def switch(handle: int, mode: int) -> int:
        calls.append((handle, mode))
        return accepts

    kernel = SimpleNamespace(GetStdHandle=lambda which: which, GetConsoleMode=get, SetConsoleMode=switch)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    console.follows_escapes.cache_clear()
    assert console.follows_escapes(2, "nt") is follows
    assert calls == ([(-12, 7)] if console_there else [])


def test_elsewhere_there_is_nothing_to_switch() -> None:
    assert console.follows_escapes(1, "posix") is True
