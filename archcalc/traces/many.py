"""Several recordings at a time, each in a process of its own, with their common progress.

An interrupt goes to the process that waits. It tells the others, which leave their recordings at
the next piece and report how far they came; what has not begun never does.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, TypeVar

from archcalc.host import processes

EVERY = 0.1  # seconds between two looks at how far everybody is
Progress = Callable[[int, int], None]
R = TypeVar("R")
Work = Callable[[Path, Progress], R]

# In a worker: whether to stop, and for each recording the events done and in all.
_stop: Any = None
_done: Any = None
_totals: Any = None


def replay_many(paths: Sequence[Path], work: Work[R], jobs: int, tell: Progress) -> list[R]:
    """Replays so many recordings at a time; one for each path that was begun, in the paths' order.

    `work` replays one and must be picklable; what it raises for the first recording, in order, is raised.
    """
    stop = multiprocessing.Event()
    done = multiprocessing.Array("q", len(paths), lock=False)
    totals = multiprocessing.Array("q", len(paths), lock=False)
    pool = processes.pool(jobs, _begin, stop, done, totals)
    futures: list[Future[R | None]] = []
    try:
        futures += [pool.submit(_one, work, i, path) for i, path in enumerate(paths)]
        waiting = set(futures)
        while waiting:
            _, waiting = wait(waiting, timeout=EVERY, return_when=FIRST_COMPLETED)
            tell(sum(done), sum(totals))
    except KeyboardInterrupt:
        stop.set()
        for future in futures:
            future.cancel()
        wait(futures)
    finally:
        pool.shutdown(cancel_futures=True)
    results = [future.result() for future in futures if not future.cancelled()]
    return [result for result in results if result is not None]


def _begin(stop: Any, done: Any, totals: Any) -> None:
    global _stop, _done, _totals
    _stop, _done, _totals = stop, done, totals


def _one(work: Work[R], i: int, path: Path) -> R | None:
    """One recording, in a worker; None where it is too late to begin."""
    if _stop.is_set():
        return None

    def tell(events: int, total: int) -> None:
        _done[i], _totals[i] = events, total
        if _stop.is_set():
            raise KeyboardInterrupt

    return work(path, tell)
