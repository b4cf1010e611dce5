"""Carrying a sweep out: on all cores, or on a Dask cluster, even if processes die."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from archcalc import __version__
from archcalc.host import processes
from archcalc.host.extras import needed
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.sweeps.journal import Journal
from archcalc.sweeps.point import Point, Row, work

AHEAD = 4  # points waiting for each process, so that none is idle
TRIES = 3  # a process that dies is replaced so often without a row in between
SECONDS = 10  # to wait for a scheduler
PAUSE = 0.02  # seconds between two looks at what a cluster has done


def run(
    points: Sequence[Point],
    journal: Journal,
    jobs: int,
    scheduler: str | None = None,
    tell: Callable[[int], None] | None = None,
) -> list[Row]:
    """The rows of all points, in order; those that the journal has are not computed again.

    Raises UsageFault where there is no such scheduler, or processes die again and again.
    """
    left = [point for point in points if point.number not in journal.rows]
    if tell is not None:
        tell(len(journal.rows))
    for row in _on_cluster(left, scheduler) if scheduler else _on_cores(left, jobs):
        journal.add(row)
        if tell is not None:
            tell(len(journal.rows))
    return [journal.rows[point.number] for point in points]


def _on_cores(points: Sequence[Point], jobs: int) -> Iterator[Row]:
    """Rows as they come, from so many processes."""
    if jobs == 1 or len(points) < 2:
        yield from map(work, points)
        return
    left = {point.number: point for point in points}
    deaths = 0
    while left:
        pool = processes.pool(min(jobs, len(left)))
        try:
            for row in _pooled(pool, list(left.values()), jobs * AHEAD):
                del left[int(row["point"] or 0)]
                deaths = 0
                yield row
        except BrokenProcessPool:
            deaths += 1
            if deaths == TRIES:
                raise UsageFault(
                    Fault(
                        f"processes died {TRIES} times, and none of {counted(len(left), 'point')} being "
                        f"done in between",
                        "enough memory, or fewer --jobs; what is done is kept in the journal",
                    )
                ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _pooled(pool: ProcessPoolExecutor, points: list[Point], ahead: int) -> Iterator[Row]:
    """Only hands out as many points as are needed soon: an interrupt waits for those that have begun."""
    points.reverse()
    waiting: set[Future[Row]] = set()
    try:
        while points or waiting:
            while points and len(waiting) < ahead:
                waiting.add(pool.submit(work, points.pop()))
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except KeyboardInterrupt:
        begun = [future for future in waiting if not future.cancel()]
        for future in begun:
            yield future.result()
        raise


def _on_cluster(points: Sequence[Point], scheduler: str) -> Iterator[Row]:
    """Rows as they come from a Dask cluster, which does again what a lost worker was doing."""
    distributed = needed("distributed", "--scheduler")
    with _silence():
        try:
            client: Any = distributed.Client(scheduler, timeout=SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise UsageFault(
                Fault(f"no scheduler answers at {scheduler} ({error})", "the address of a Dask scheduler")
            ) from None
        with client:
            futures = client.map(_work_far_away, points, version=__version__, pure=False)
            done = distributed.as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)
            try:
                while not done.is_empty():
                    if done.has_ready():
                        _, came = next(done)
                        if not isinstance(came, dict):
                            raise _lost(scheduler, came)
                        yield came
                    elif client.status != "running":
                        # A connection that is made again knows nothing of what was handed out.
                        raise _lost(scheduler, None)
                    else:
                        time.sleep(PAUSE)
            finally:
                if client.status == "running":
                    client.cancel(futures)


def _work_far_away(point: Point, version: str) -> Row:
    """A point, where another version might make another row of it."""
    if version != __version__:
        raise UsageFault(Fault(f"a worker has archcalc {__version__}", f"{version}, as here"))
    return work(point)


def _lost(scheduler: str, came: Any) -> Exception:
    """Why a point that was handed to a cluster failed.

    `came` is (type, exception, traceback) where it failed, else that it was cancelled, or None.
    """
    kept = "the rows so far are kept, and the same command goes on with them"
    if not isinstance(came, tuple):
        return UsageFault(Fault(f"the scheduler at {scheduler} is gone; {kept}"))
    error = came[1]
    if isinstance(error, UsageFault):
        return error
    words = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if type(error).__name__ == "KilledWorker":
        return UsageFault(
            Fault(
                f"workers of {scheduler} died again and again ({words}); {kept}", "workers with more memory"
            )
        )
    if isinstance(error, ImportError | RuntimeError):
        # What a worker says that cannot make sense of what it was sent.
        return UsageFault(
            Fault(f"a worker of {scheduler} could not do a point ({words})", f"archcalc {__version__} on all")
        )
    return error if isinstance(error, Exception) else RuntimeError(words)


@contextmanager
def _silence() -> Iterator[None]:
    """Trouble of a cluster is reported in one message; its library would log tracebacks beside it."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
