"""Writing addresses down, while the next batch is under way where that is possible."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Writer:
    """Runs jobs at once, or aside, in a thread of its own; all are done when it is left."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._jobs: list[Future[None]] = []

    def write(self, job: Callable[[], None], aside: bool) -> None:
        """Does the job. aside: it is compiled code, which leaves Python free for something else."""
        if not aside:
            job()
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "addresses")
        self._jobs.append(self._pool.submit(job))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            if kind is None:
                for job in self._jobs:
                    job.result()
