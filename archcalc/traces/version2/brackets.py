"""Brackets in a recording of version 2, found in columns: where each ends, and what lies inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archcalc.traces.columnar import WRITTEN, WRITTEN_CODE
from archcalc.traces.version2.replayer import NOT_INSIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

OPEN, CLOSE, SWITCH = (WRITTEN_CODE[record] for record in "()@")
APART = [record[0] in NOT_INSIDE or record == "?" for record in WRITTEN]


def closings(np: Any, code: Array, rows: Array) -> list[int]:
    """For each record with which a bracket opens, which one closes it; 0 for all others.

    `code`: the records; `rows`: where in the file they are. Only of brackets whose records lie side by side,
    all of one thread's.
    """
    steps = _steps(np, code)
    found = np.zeros(len(code), np.intp)
    at = np.flatnonzero(steps)
    # The two of a pair are neighbours among those of one depth.
    depth = np.cumsum(steps).take(at) + (code.take(at) == CLOSE)
    at = at.take(np.argsort(depth, kind="stable"))
    depth = np.sort(depth)
    first, second = at[:-1], at[1:]
    apart = np.cumsum(np.array(APART).take(code))
    pairs = (code.take(first) == OPEN) & (code.take(second) == CLOSE) & (depth[:-1] == depth[1:])
    pairs &= apart.take(first) == apart.take(second)
    pairs &= rows.take(second) - rows.take(first) == second - first
    found[first[pairs]] = second[pairs]
    listed: list[int] = found.tolist()
    return listed


def depths(
    np: Any, code: Array, begun: dict[str, int], thread: str, thread_at: Callable[[int], str]
) -> Array:
    """How many brackets of its own thread are open after each record.

    `begun`: the same by thread before the first; `thread`: whose that is; `thread_at`: the thread that the
    record with that number says goes on.
    """
    total = np.cumsum(_steps(np, code))
    here = begun.get(thread, 0)
    starts, offsets = [0], [here]
    open_of = dict(begun)
    before = 0
    for at in np.flatnonzero(code == SWITCH).tolist():
        now = int(total[at])
        open_of[thread] = here + now - before
        thread = thread_at(at)
        here, before = open_of.get(thread, 0), now
        starts.append(at)
        offsets.append(here - now)
    found: Array = total + np.repeat(offsets, np.diff([*starts, len(code)]))
    return found


def _steps(np: Any, code: Array) -> Array:
    """By how much each record changes how many brackets are open."""
    found: Array = (code == OPEN).astype(np.int32) - (code == CLOSE)
    return found
