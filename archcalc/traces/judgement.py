"""What a replay compares: the machine's own events with those that waited, answers with those recorded.

The runtime's own records (what the allocator did by itself) come before the event that caused
them. So they wait in `pending` until that event's line comes; the event is carried out, and the
lines that the machine logged must be exactly those that waited. The OS's answers wait in a queue
of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from allocator.common.throw import BadRequest, Death
from allocator.common.types import BadType, Type
from allocator.contiguous.recorded import RecordedMismatch
from archcalc.reading.words import counted
from archcalc.traces.machine import ReplayedRuntime, ReplayedSystem
from archcalc.traces.outcome import Parting, Replay, Stop
from archcalc.traces.reader import Header, TraceFault, fault, shorten
from archcalc.traces.records.version1 import RECORDS

KEPT = 12  # the events shown around a difference
RECORD_OF = {"Reserve": "R", "Alloc": "Y", "Failure": "F"}
# What each record looks like, for messages.
SHAPES = {record.letters: record.shape for record in RECORDS}
# How an event can fail.
WRONG = (BadRequest, BadType, RecordedMismatch, Death, ValueError, IndexError)
ARENA_KEYS = ("arena_start", "arena_used", "arena_end", "bitmap", "bitmap_mapped", "pages_in_use", "sweepgen")


class Judgement:
    """Where in a recording its replay is, what waits there, and every difference so far."""

    header: Header
    result: Replay
    rt: ReplayedRuntime
    system: ReplayedSystem

    def __init__(self, path: Path, keep_going: bool) -> None:
        self.path = path
        self.name = str(path)
        self.keep_going = keep_going
        self.line = 0
        self.pending: list[str] = []
        self.pending_at: list[int] = []  # the lines that they are in
        self.answers_at: dict[int, int] = {}  # the lines of the OS's answers that wait, by id
        self.types: dict[int, Type] = {}
        self.booted = False
        self.died: Death | None = None
        self.ended = False
        self.running = False  # between boot and the end
        # The lines being fed, the number of the first, and the last of those before.
        self.lines: list[str] = []
        self.first = 1
        self.before: list[str] = []

    @property
    def event(self) -> int:
        """The number of the current record; types do not count, nor what follows the last event."""
        return self.line - 1 - len(self.types)

    def differs(
        self, record: str, expected: str, found: str, span: int | None = None, at: int | None = None
    ) -> None:
        """Notes a difference, at this line unless another is given, and stops at the first if so asked."""
        result = self.result
        result.mismatches += 1
        result.by_record[record] += 1
        if result.first is None:
            rt = self.rt
            line = at or self.line
            result.first = Parting(
                record,
                line,
                self.event - (self.line - line),
                expected,
                found,
                rt.spans.describe(span) if span is not None and span >= 0 else None,
                self._arena() if self.booted else None,
                self._around(),
            )
        if not self.keep_going:
            raise Stop

    def _around(self) -> tuple[str, ...]:
        """The current line and those before it."""
        end = self.line - self.first + 1
        return tuple([*self.before, *self.lines[max(end - KEPT, 0) : end]][-KEPT:])

    def _arena(self) -> dict[str, Any]:
        heap = self.rt.heap
        return {key: getattr(heap, key) for key in ARENA_KEYS}

    def same(self, record: str, expected: str, found: str, addr: int | None = None) -> None:
        if expected != found:
            span = self.rt.heap.lookup(addr) if addr is not None and self.booted else None
            self.differs(record, expected, found, span)

    def skip(self) -> None:
        """Forgets what waits, after a difference that makes it meaningless."""
        self.pending.clear()
        self.pending_at.clear()
        self.rt.ready.clear()
        assert self.rt.log is not None
        self.rt.log.clear()

    def settle(self) -> None:
        """After an event: what the machine logged must be what was waiting, and every answer taken."""
        rt = self.rt
        log = rt.log
        assert log is not None
        pending = self.pending
        if log != pending:
            self.settle_differently(log, pending, self.pending_at)
        log.clear()
        if pending:
            pending.clear()
            self.pending_at.clear()
        if self.system.queue:
            left = self.system.settle()
            if left is not None:
                self.system.queue.clear()
                kind, at = RECORD_OF[type(left).__name__], self.answers_at.get(id(left))
                self.differs(kind, str(left), "an answer that was never asked for", at=at)
        if rt.ready:
            line = rt.ready[0][4]
            rt.ready.clear()
            self.differs("q", line, "persistent memory that was never asked for")

    def settle_differently(self, log: list[str], pending: list[str], lines: list[int]) -> None:
        """Reports where the machine's own events and the recorded ones, in those lines, differ."""
        for at, expected, found in zip(lines, pending, log, strict=False):
            if expected != found:
                self.differs(expected[0], expected, found, self._span_in(expected), at)
        for at, expected in zip(lines[len(log) :], pending[len(log) :], strict=True):
            self.differs(expected[0], expected, "nothing", self._span_in(expected), at)
        for found in log[len(pending) :]:
            self.differs(found[0], "nothing", found, self._span_in(found))

    def _span_in(self, line: str) -> int | None:
        """The span that an event of the allocator's is about."""
        parts = line.split(" ")
        at = {"H": 3, "K": 2, "D": 1, "E": 1, "L": 2, "b": 1}.get(parts[0])
        try:
            return self.rt.heap.lookup(int(parts[at], 16)) if at else None
        except (ValueError, IndexError):
            return None

    # An event that could not be carried out.

    def went_wrong(self, kind: str, line: str, wrong: Exception) -> None:
        """An event could not be carried out: a difference, or a fault of the file."""
        if isinstance(wrong, BadRequest | BadType):
            raise fault(self.name, self.line, f"{shorten(line)}: {wrong}", "what a program can do") from None
        if isinstance(wrong, RecordedMismatch):
            self._parted()
            self.answer_differs(kind, wrong)
            self.system.queue.clear()
            self.skip()
        elif isinstance(wrong, Death):
            self._parted()
            words = self.rt.last_words(wrong)
            self.differs(kind, shorten(line), f"the runtime died: {words['throw']} {words['printed']}")
            raise Stop from None
        else:
            raise fault(self.name, self.line, f"{shorten(line)}: {wrong}", SHAPES.get(kind, "")) from None

    def _parted(self) -> None:
        """An event failed: if what it did before already differs, that is reported instead."""
        log = self.rt.log or ()
        for at, expected, found in zip(self.pending_at, self.pending, log, strict=False):
            if expected != found:
                self.differs(expected[0], expected, found, self._span_in(expected), at)
                return

    def answer_differs(self, event: str, wrong: RecordedMismatch) -> None:
        """The machine asked the OS for something other than the recording has next."""
        expected = wrong.expected
        if expected is None:
            self.differs(event, "no call of the OS", str(wrong))
        else:
            kind = RECORD_OF[type(expected).__name__]
            self.differs(kind, str(expected), str(wrong), at=self.answers_at.get(id(expected)))

    def broken(self, line: str, why: Exception) -> TraceFault:
        return fault(self.name, self.line, f"{shorten(line)}: {why}")

    def miscounted(self, events: int) -> TraceFault:
        expected = f"{self.header.events}, as the header says: lines are missing or added"
        return fault(self.name, self.line, f"{counted(events, 'event')}", expected)
