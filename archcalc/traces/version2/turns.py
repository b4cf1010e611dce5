"""Whose turn it is: the records of a request, handed to the machine as it works through them.

A thread's records wait until its request is whole, and then it is carried out in one go. Where another
thread's record comes in between, the request becomes a coroutine: it does what is on record so far, and goes
on when its next record comes. So what several Ps did at the same time happens here in the order of their
critical sections.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

Placed = tuple[int, str]  # a line's number and the line


class Ended(Exception):
    """The recording ended while a request waited for its next record."""


class Turn:
    """One request's records. The machine looks at the next and takes it; None where there are no more."""

    def __init__(self, records: deque[Placed], line: int = 0) -> None:
        self.records = records
        self.line = line  # of the record that was taken last, or of the one that the request began with

    def peek(self) -> Placed | None:
        """The next record, still to be taken."""
        return self.records[0] if self.records else None

    def ahead(self, i: int) -> Placed | None:
        """The record that many places after the next."""
        return self.records[i] if i < len(self.records) else None

    def take(self) -> Placed | None:
        """The next record."""
        if not self.records:
            return None
        placed = self.records.popleft()
        self.line = placed[0]
        return placed


class Worker:
    """A thread that does one request after the other. Two locks hand it its turn and give it back.

    Of all threads only one runs at a time: a lock is taken by the one that waits, and released by the other.
    """

    idle: ClassVar[list[Worker]] = []

    def __init__(self) -> None:
        self.mine = threading.Lock()
        self.theirs = threading.Lock()
        self.mine.acquire()
        self.theirs.acquire()
        self.waiting: Waiting | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.mine.acquire()
            waiting = self.waiting
            assert waiting is not None
            try:
                waiting.result = waiting.work(waiting)
            except Ended:
                pass
            except BaseException as failure:  # it is the replay's, not this thread's
                waiting.failure = failure
            waiting.done = True
            self.waiting = None
            self.idle.append(self)
            self.theirs.release()


# A process that was forked has none of the threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Worker.idle.clear)


class Waiting(Turn):
    """A request that waits for its records, in a thread of its own of which only one runs at a time."""

    def __init__(self, records: deque[Placed], work: Callable[[Turn], Any], line: int) -> None:
        super().__init__(records, line)
        self.work = work
        self.done = False
        self.result: Any = None
        self.failure: BaseException | None = None
        self.closed = False
        self.state: Any = None  # who ran when it stopped
        self._worker = worker = Worker.idle.pop() if Worker.idle else Worker()
        worker.waiting = self

    def resume(self) -> None:
        """Lets the request go on until it is done or needs a record that is not there yet."""
        if self.done:
            return
        self._worker.mine.release()
        self._worker.theirs.acquire()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    def end(self) -> None:
        """No more records will come: what still waits is abandoned."""
        if not self.done:
            self.closed = True
            self._worker.mine.release()
            self._worker.theirs.acquire()

    def peek(self) -> Placed | None:
        return self.ahead(0)

    def ahead(self, i: int) -> Placed | None:
        while len(self.records) <= i:
            if self.closed:
                raise Ended
            self._worker.theirs.release()
            self._worker.mine.acquire()
        return self.records[i]

    def take(self) -> Placed | None:
        """The next record, when it is there."""
        self.peek()
        return super().take()
