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
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

Placed = tuple[int, str]  # a line's number and the line

NONE_WAIT: deque[Placed] = deque()  # never filled


class Ended(Exception):
    """The recording ended while a request waited for its next record."""


class Turn:
    """One request's records. The machine looks at the next and takes it; None where there are no more."""

    # Lines side by side that are all at hand, and which is the next: of a `AtHand`.
    lines: Sequence[str] = ("",)
    at = first = 0

    def __init__(self, records: deque[Placed], line: int = 0) -> None:
        self.records = records
        self._line = line

    @property
    def line(self) -> int:
        """Of the record that was taken last, or of the one that the request began with."""
        return self._line

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
        self._line = placed[0]
        return placed

    def drop(self) -> None:
        """Takes the next of the records that wait."""
        self._line = self.records.popleft()[0]

    def put_back(self, line: str) -> None:
        """The line that was taken last is the next again."""
        self.records.appendleft((self.line, line))

    def clear(self) -> None:
        """Drops what is left."""
        self.records.clear()


class AtHand(Turn):
    """The records of a request that lie side by side in a recording, all at hand."""

    def __init__(self, lines: list[str], first: int) -> None:
        """`first`: the number of the first of these lines, which the request began with."""
        self.records = NONE_WAIT
        self.lines = [*lines, ""]  # the last for where there are no more
        self.at = 1
        self.first = first

    @property
    def line(self) -> int:
        return self.first + self.at - 1

    def peek(self) -> Placed | None:
        line = self.lines[self.at]
        return (self.first + self.at, line) if line else None

    def ahead(self, i: int) -> Placed | None:
        at = self.at + i
        return (self.first + at, self.lines[at]) if at < len(self.lines) - 1 else None

    def take(self) -> Placed | None:
        line = self.lines[self.at]
        if not line:
            return None
        self.at += 1
        return self.first + self.at - 1, line

    def put_back(self, line: str) -> None:
        self.at -= 1

    def clear(self) -> None:
        self.at = len(self.lines) - 1


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
