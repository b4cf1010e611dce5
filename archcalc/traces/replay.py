"""Replaying recordings, in either form."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

from allocator.contiguous.config import Config
from archcalc.traces import columnar
from archcalc.traces.outcome import Replay
from archcalc.traces.reader import Header
from archcalc.traces.replayer import Replayer


def replay(
    path: Path,
    config_for: Callable[[Header], Config],
    *,
    keep_going: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Replays a recording on a machine of the given making. Raises TraceFault for a damaged file.

    Either form of recording; the columnar one needs the extra `bulk`. What comes of it is the same.
    """
    with no_garbage_collection():
        if columnar.is_columnar(path):
            from archcalc.traces.keys import GaveUp
            from archcalc.traces.runs import ColumnarReplayer

            with contextlib.suppress(GaveUp):
                return ColumnarReplayer(columnar.ColumnarFile(path), config_for).run(progress)
        return Replayer(path, config_for, keep_going).run(progress)


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """A replay makes no reference cycles, but so many objects that Python would always look for some."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
