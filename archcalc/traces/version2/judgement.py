"""Where a replay of version 2 is in its recording, its machine, and every difference so far."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from allocator.common.throw import BadRequest, Death
from allocator.common.types import BadType
from allocator.kernels.system import Answer
from allocator.sparse.runtime import Runtime
from archcalc.traces.line_by_line import KEPT, LineByLine
from archcalc.traces.outcome import Parting, Replay, Stop
from archcalc.traces.reader import address, decimal
from archcalc.traces.version2.follow import Companion
from archcalc.traces.version2.turns import Placed

NO_P = "-"
# How a record can go wrong.
WRONG = (BadRequest, BadType, ValueError, IndexError, KeyError, AttributeError, AssertionError)


class Afterwards:
    """The system when the recording is over: what flushing the caches still asks for is granted."""

    def __init__(self) -> None:
        self.next = 1 << 30

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False) -> Answer:
        """Memory where nobody looks."""
        self.next += n
        return v if fixed else self.next - n


class SparseJudgement(LineByLine):
    """One recording, its machine (`core`), and where they differ. `follower` compares the machine's steps."""

    version = 2
    follower: Companion

    def prepare(self) -> None:
        super().prepare()
        self.core: Runtime | None = None
        self.thread = "0"
        self.heap_goal = 0  # bytes, as the pacer said last
        self.died: Death | None = None
        self.died_at: Placed | None = None
        # The lines being fed, the number of the first, and the last of those before.
        self.lines: list[str] = []
        self.first = 1
        self.before: deque[str] = deque(maxlen=KEPT)

    def sum_up(self, started: float) -> Replay:
        """The outcome, after all lines or as many as there was to carry out."""
        self.result.unordered = self.follower.unordered
        self.result.events = min(self.event, self.header.events)
        self.result.seconds = time.perf_counter() - started
        if self.result.ok and self.result.memstats is None and self.core is not None:
            self.result.memstats = self._memstats_now()
        return self.result

    def differs(self, placed: Placed | None, found: str) -> None:
        """Notes a difference; the first ends the replay unless it is to go on."""
        line, expected = placed if placed is not None else (self.line, "nothing")
        result = self.result
        result.mismatches += 1
        record = expected.partition(" ")[0] if expected != "nothing" else found.partition(" ")[0]
        result.by_record[record] += 1
        if result.first is None:
            span = self._span_of(expected)
            result.first = Parting(record, line, self.event, expected, found, span, None, self._around(line))
        if not self.keep_going:
            raise Stop

    def _span_of(self, line: str) -> dict[str, Any] | None:
        """The span, as the machine has it, that the last address of a record lies in."""
        core = self.core
        try:
            s = None if core is None else core.heap.span_of(address(line.rpartition(" ")[2]))
        except ValueError:
            return None
        return None if s is None else s.describe()

    def ends(self) -> None:
        """The run is over: what is known of the machine is written into its spans."""
        assert self.core is not None
        self.core.sync_caches()

    def _around(self, line: int) -> tuple[str, ...]:
        """The lines before one, as far as they are still at hand."""
        end = line - self.first
        before = list(self.before)
        if end >= 0:
            return tuple([*before, *self.lines[:end]][-KEPT:])
        return tuple(before[end - KEPT : end] or before)

    def _run_on(self, who: str) -> Any:
        """That P runs; its mcache, or the first one where there is no P."""
        core = self.core
        assert core is not None
        if who == NO_P:
            core.p = None
            core.current_p = None
            return core.mcache0
        number = decimal(who)
        core.p = p = core.ps[number]
        core.current_p = number
        return p.mcache

    def _close(self, found: str) -> None:
        self.follower.expect(f") {found}")

    def _died(self, death: Death, at: Placed) -> None:
        self.died = death
        self.died_at = at

    def _memstats_now(self) -> dict[str, Any] | None:
        """What the machine counts; None where it died in the middle of something."""
        core = self.core
        assert core is not None
        core.steps = None
        system: Any = core.mem.os  # Linux' helpers
        system.kernel = Afterwards()
        try:
            return {**core.memstats(), "NumGC": core.heap.sweepgen >> 1, "NextGC": self.heap_goal}
        except Death:
            return None
