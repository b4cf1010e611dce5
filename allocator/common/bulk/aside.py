"""Compiled code run aside, in its own thread, while Python continues with the current batch.

Two things do not depend on what the page heap does meanwhile: which of the next batch's objects come
from which place, and the writing down of addresses that are known.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.common.bulk.compiled import CompiledLayout

SOON = 1e-4  # seconds; a thread that waits for Python takes its turn after this time


class Aside:
    """A thread for compiled code, made when it is first needed; all is done when this is left."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._written: list[Future[None]] = []
        self._next: tuple[tuple[int, int], Future[CompiledLayout]] | None = None

    def write(self, job: Callable[[], None]) -> None:
        """Writes addresses."""
        self._written.append(self._thread().submit(job))

    def lay_out(self, begin: int, end: int, job: Callable[[], CompiledLayout]) -> None:
        """Makes the layout of the objects from `begin` up to `end`."""
        self._next = (begin, end), self._thread().submit(job)
        time.sleep(SOON)

    def laid_out(self, begin: int, end: int) -> CompiledLayout | None:
        """The layout of just these objects, if it was made."""
        found, self._next = self._next, None
        return found[1].result() if found is not None and found[0] == (begin, end) else None

    def _thread(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "compiled")
        return self._pool

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for job in self._written:
                job.result()
