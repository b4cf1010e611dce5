"""Replaying recordings, in either form."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allocator.common.cycles import no_garbage_collection
from archcalc.traces import columnar
from archcalc.traces.columns import in_columns
from archcalc.traces.outcome import GaveUp, Replay
from archcalc.traces.reader import VERSIONS, Header, parse_header
from archcalc.traces.replayer import Replayer

if TYPE_CHECKING:
    from archcalc.traces.execution.checking import ExecutionChecker
    from archcalc.traces.runs import ColumnarReplayer
    from archcalc.traces.version2.replayer import SparseReplayer
    from archcalc.traces.version2.runs import RunsReplayer


def replay(
    path: Path,
    config_for: Callable[[Header], Any],
    *,
    keep_going: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Replays a recording on a machine of the given making. Raises TraceFault for a damaged file.

    Either form of recording; the columnar one needs the extra `bulk`. The outcome is the same.
    """
    with no_garbage_collection():
        file = in_columns(path)
        in_runs = _in_runs(file.header().version) if file is not None else None
        if file is not None and in_runs is not None:
            with contextlib.suppress(GaveUp):
                return in_runs(file, config_for).run(progress)
        # What is read of a pipe is gone: the first piece says which version it is, and is handed on.
        stream = columnar.lines(path)
        pieces = list(itertools.islice(stream, 1))
        handed_on = itertools.chain(pieces, stream)
        version = parse_header(str(path), pieces[0][0], VERSIONS).version if pieces else 1
        return _replayer_of(version)(path, config_for, keep_going, lambda _: handed_on).run(progress)


def _in_runs(version: int) -> Callable[..., ColumnarReplayer | RunsReplayer] | None:
    """What goes through a recording in columns, for those versions that have it."""
    if version == 1:
        from archcalc.traces.runs import ColumnarReplayer

        return ColumnarReplayer
    if version == 2:
        from archcalc.traces.version2.runs import RunsReplayer

        return RunsReplayer
    return None


def _replayer_of(version: int) -> Callable[..., Replayer | SparseReplayer | ExecutionChecker]:
    """What goes through a recording of a version; that of the others is not read."""
    if version == 2:
        from archcalc.traces.version2.replayer import SparseReplayer

        return SparseReplayer
    if version == 3:
        from archcalc.traces.execution.checking import ExecutionChecker

        return ExecutionChecker
    return Replayer
