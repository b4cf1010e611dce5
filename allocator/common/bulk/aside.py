"""Compiled code run aside, in its own thread, while Python continues with the current batch.

Two things do not depend on what the page heap does meanwhile: which of the next batch's objects come
from which place, and the writing down of addresses that are known.
"""

from __future__ import annotations

import time
from collections import deque
from threading import Event, Semaphore, Thread
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.common.bulk.compiled import CompiledLayout

Found = TypeVar("Found")

SOON = 1e-4  # seconds; a thread that waits for Python takes its turn after this time


class Job(Generic[Found]):
    """What the thread has to do, and what it has found."""

    def __init__(self, does: Callable[[], Found]) -> None:
        self._does = does
        self._done = Event()
        self._found: list[Found] = []
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Does it."""
        try:
            self._found.append(self._does())
        except BaseException as failure:
            self._failure = failure
        self._done.set()

    def result(self) -> Found:
        """What it has found, or how it has failed, once it is done."""
        self._done.wait()
        if self._failure is not None:
            raise self._failure
        return self._found[0]


class Aside:
    """A thread for compiled code, made when it is first needed; all is done when this is left."""

    # Not a pool of concurrent.futures, which takes as long to import as a million objects.

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._waiting: deque[Job[None] | Job[CompiledLayout]] = deque()
        self._count = Semaphore(0)  # of those that wait, and one more for the end
        self._written: list[Job[None]] = []
        self._next: tuple[tuple[int, int], Job[CompiledLayout]] | None = None

    def write(self, does: Callable[[], None]) -> None:
        """Writes addresses."""
        job = Job(does)
        self._written.append(job)
        self._ask(job)

    def lay_out(self, begin: int, end: int, does: Callable[[], CompiledLayout]) -> None:
        """Makes the layout of the objects from `begin` up to `end`."""
        job = Job(does)
        self._next = (begin, end), job
        self._ask(job)
        time.sleep(SOON)

    def laid_out(self, begin: int, end: int) -> CompiledLayout | None:
        """The layout of just these objects, if it was made."""
        found, self._next = self._next, None
        return found[1].result() if found is not None and found[0] == (begin, end) else None

    def _ask(self, job: Job[None] | Job[CompiledLayout]) -> None:
        self._waiting.append(job)
        self._count.release()
        if self._thread is None:
            self._thread = Thread(target=self._work, name="compiled")
            self._thread.start()

    def _work(self) -> None:
        while self._count.acquire():
            try:
                job = self._waiting.popleft()
            except IndexError:  # that is the end, or nothing is wanted any more
                return
            job.run()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._waiting.clear()
        if self._thread is not None:
            self._count.release()
            self._thread.join()
        if kind is None:
            for job in self._written:
                job.result()
