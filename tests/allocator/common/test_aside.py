"""The thread that compiled code runs in beside Python."""

from __future__ import annotations

from threading import Event, current_thread
from typing import Any

import pytest

from allocator.common.bulk.aside import Aside


def test_all_is_done_in_order_when_it_is_left() -> None:
    done: list[tuple[int, str]] = []
    with Aside() as aside:
        for i in range(5):
            aside.write(lambda i=i: done.append((i, current_thread().name)))  # type: ignore[misc]
    assert done == [(i, "compiled") for i in range(5)]


def test_a_layout_is_had_once_and_of_just_these_objects() -> None:
    layout: Any = object()
    with Aside() as aside:
        aside.lay_out(0, 10, lambda: layout)
        assert aside.laid_out(0, 10) is layout
        assert aside.laid_out(0, 10) is None
        aside.lay_out(10, 20, lambda: layout)
        assert aside.laid_out(10, 19) is None


def test_failures_come_out() -> None:
    def fail() -> Any:
        raise ValueError("aside")

    with pytest.raises(ValueError, match="aside"), Aside() as aside:
        aside.write(fail)
    with Aside() as aside:
        aside.lay_out(0, 10, fail)
        with pytest.raises(ValueError, match="aside"):
            aside.laid_out(0, 10)


def test_what_waits_is_dropped_where_something_failed() -> None:
    """What has begun is still waited for."""
    begun, go, done = Event(), Event(), []

    def first() -> None:
        begun.set()
        go.wait()
        done.append(1)

    with pytest.raises(KeyError), Aside() as aside:
        aside.write(first)
        aside.write(lambda: done.append(2))
        begun.wait()
        aside._waiting.clear()
        go.set()
        raise KeyError
    assert done == [1]
