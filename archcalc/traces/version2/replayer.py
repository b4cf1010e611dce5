"""Replaying a recording of version 2 on a machine of today's runtime: inputs go in, every step is compared.

Records that come before a request, or between its brackets, wait for it; then the machine carries it out and
follows them one by one (`follow`). Records of other threads in between make it wait (`turns`).
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from allocator.common.throw import Death, Throw
from archcalc.traces.line_by_line import KEPT
from archcalc.traces.outcome import Replay, carry_out
from archcalc.traces.reader import fault, shorten
from archcalc.traces.version2.bracketed import OWN, Bracketed
from archcalc.traces.version2.ending import EndOfHeap
from archcalc.traces.version2.follow import Companion
from archcalc.traces.version2.inputs import SLOWLY
from archcalc.traces.version2.judgement import NO_P, WRONG
from archcalc.traces.version2.turns import AtHand, Placed, Turn, Waiting

TRANSPARENT = frozenset(("readmemstats",))
IN_LINES = TRANSPARENT | {"init"}  # brackets of which some lines are for others than the machine
NOT_INSIDE = "@mTZ!"  # records that end what can be told of a bracket by its lines; and an empty line
NOTHING_SWEPT = [") sweepone done"]


class Context:
    """A thread's records that wait: for a request, or for the end of the bracket that is open."""

    __slots__ = ("aside", "depth", "records", "waiting")

    def __init__(self) -> None:
        self.aside: deque[Placed] | None = None
        self.records: deque[Placed] = deque()
        self.depth = 0
        self.waiting: Waiting | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not (self.depth or self.records or self.waiting is not None)


class SparseReplayer(Bracketed):
    """Carries one recording of version 2 out."""

    following: type[Companion] = Companion

    def prepare(self) -> None:
        super().prepare()
        self.contexts: dict[str, Context] = {}
        self.follower = self.following(self.differs, self.outside, self.nested)
        self.follower.threads = lambda: self.contexts
        self.end = EndOfHeap(self)

    # The whole.

    def run(self, progress: Callable[[int, int], None] | None = None) -> Replay:
        """Replays the file. Raises TraceFault where it is not a whole recording."""
        first, stream = self.begin()
        started = time.perf_counter()
        try:
            carry_out(self, first, stream, progress)
        finally:
            self.abandon()
        return self.sum_up(started)

    def abandon(self) -> None:
        """Ends what waits for records that do not come."""
        for context in self.contexts.values():
            if context.waiting is not None:
                context.waiting.end()

    def finish(self) -> None:
        thrown = self.result.death is not None and "throw" in self.result.death
        if self.died is not None and not thrown:
            self.differs(self.died_at, f"the runtime died: {self.died.words}")
        if self.result.death is None and not self.header.extra.get("cut"):
            if self.core is not None:
                self.follower.finish()
            self._all_unrolled(*self.unrolling)
            for context in self.contexts.values():
                for placed in context.records:
                    self.differs(placed, "a request that this belongs to")
                    break
        if self.header.extra.get("whole"):
            self.end.finish()
        self.all_told()

    # Lines.

    def feed(self, lines: list[str]) -> None:
        self.before.extend(self.lines[-KEPT:])
        self.lines, self.first = lines, self.line + 1
        context = self.contexts.get(self.thread)
        rest = iter(lines)
        for line in rest:
            self.line += 1
            letter = line[:1]
            if letter == "m" and context is not None and not context.records:
                self.event += 1
                self._object(line)
            elif letter == "@":
                self._switch(line[2:])
                context = self.contexts.get(self.thread)
            elif letter == "T":
                self._type(line)
            elif letter == "Z":
                passed = self.end.pass_rows(lines, self.line - self.first)
                if passed:
                    self.line += passed - 1
                    next(islice(rest, passed - 1, passed - 1), None)
                else:
                    self.end.record(line)
            elif letter == "!":
                self.event += 1
                self._death(line)
            else:
                self.event += 1
                if letter == "(" and context is not None:
                    whole = self._whole(line, context)
                    if whole:
                        next(islice(rest, whole, whole), None)
                        continue
                self._record(line)
                if context is None:
                    context = self.contexts[self.thread]

    def _object(self, line: str) -> None:
        """An m record that nothing else belongs to."""
        key, _, ret = line.rpartition(" ")
        asked = self.asked.get(key)
        if asked is None:
            asked = self.asked[key] = self._asked(key)
        core = self.core
        if core is None or asked is SLOWLY:
            self._request(line)
            return
        follower = self.follower
        if follower.now.records:
            follower.now = Turn(deque())
        p, size, typ, zero, plan = asked
        if plan is not None and p is not None:
            try:
                v = int(ret, 16)
            except ValueError:
                v = 0
            if f"{v:x}" == ret and core.takes_next(plan, v, p):
                return
        try:
            if core.current_p != p or p is None:
                self._run_on(NO_P if p is None else str(p))
            v = core.mallocgc(size, typ, zero, p)
        except Death as death:
            self._died(death, (self.line, line))
        except WRONG as broken:
            self.differs((self.line, line), f"{type(broken).__name__}: {broken}")
        else:
            if f"{v:x}" != ret:
                self.differs((self.line, line), f"{key} {v:x}")

    def _whole(self, line: str, context: Context) -> int:
        """Carries out a bracket that closes in the lines at hand, with no other thread in between.

        How many lines come after its first; 0 where it is not so, and nothing was done.
        """
        if not context.idle:
            return 0
        lines, first = self.lines, self.line
        before = first - self.first
        if line[:11] == "( sweepone " and self._nothing_to_sweep(line, lines[before + 1 : before + 2]):
            # A thread that sweeps beside the program asks again and again.
            end = before + 2
            asked = lines[before:end]
            while lines[end : end + 2] == asked:
                end += 2
            count = end - before - 1
            self.line += count
            self.event += count
            return count
        depth = 1
        for at in range(before + 1, len(lines)):
            letter = lines[at][:1]
            if letter == ")":
                depth -= 1
                if not depth:
                    break
            elif letter == "(":
                depth += 1
            elif letter in NOT_INSIDE:
                return 0
        if depth or line.split(" ", 2)[1] in IN_LINES:
            return 0
        count = at - before
        self.line += count
        self.event += count
        self._carry_out((first, line), AtHand(lines[before : at + 1], first))
        return count

    def _nothing_to_sweep(self, line: str, after: list[str]) -> bool:
        """Whether a sweepone is whole with the next line and finds all swept: nothing changes then."""
        core = self.core
        if core is None or after != NOTHING_SWEPT or not core.sweeper.drained:
            return False
        try:
            self._run_on(line[11:])
        except WRONG:
            return False
        return True

    # Records that wait, by thread.

    def _switch(self, thread: str) -> None:
        """Another thread goes on: what this one has begun must wait from here."""
        context = self.contexts.get(self.thread)
        if context is not None and context.depth and context.waiting is None:
            self._wait(context)
        self.thread = thread

    def _wait(self, context: Context) -> None:
        """Makes an open bracket a request that waits for its records, and does what is there."""
        opening = context.records.popleft()
        context.waiting = Waiting(context.records, lambda turn: self._carry_out(opening, turn), opening[0])
        self._resume(context.waiting)

    def _resume(self, waiting: Waiting) -> None:
        core, follower = self.core, self.follower
        before = follower.now
        follower.now = waiting
        state = None if core is None else (core.p, core.current_p)
        if waiting.state is not None and core is not None:
            core.p, core.current_p = waiting.state
        waiting.resume()
        follower.now = before
        if core is not None:
            waiting.state = (core.p, core.current_p)
            if state is not None:
                core.p, core.current_p = state

    def _record(self, line: str) -> None:
        context = self.contexts.get(self.thread)
        if context is None:
            context = self.contexts[self.thread] = Context()
        letter = line[0]
        if letter == "(":
            if not context.depth:
                if line.split(" ", 2)[1] in TRANSPARENT:
                    return
                if context.records and line[2:7] == "stack":
                    # A stack grew while something else was being done.
                    context.aside, context.records = context.records, deque()
            context.depth += 1
        elif letter == ")":
            if not context.depth and line.split(" ", 2)[1] in TRANSPARENT:
                return
            context.depth -= 1
            if context.depth < 0:
                raise fault(self.name, self.line, shorten(line), "an open bracket before it")
        elif not context.depth and letter not in OWN:
            self._request(line, context)
            return
        waiting = context.waiting
        context.records.append((self.line, line))
        if waiting is not None:
            self._resume(waiting)
            if not context.depth:
                self._all_taken(context, line)
                context.waiting = None
                self._back(context)
        elif letter == ")" and not context.depth:
            records, context.records = context.records, deque()
            while records[0][1][0] in OWN:
                self.differs(records.popleft(), "nothing outside of a request")
            opening = records.popleft()
            self._carry_out(opening, Turn(records, opening[0]))
            self._back(context)

    def _back(self, context: Context) -> None:
        """What was put aside for a stack waits again."""
        if context.aside is not None:
            context.records, context.aside = context.aside, None

    def _all_taken(self, context: Context, line: str) -> None:
        if context.records or (context.waiting is not None and not context.waiting.done):
            self.differs(context.records[0] if context.records else (self.line, line), "nothing more")
            context.records.clear()

    def _carry_out(self, opening: Placed, turn: Turn) -> None:
        """One request with brackets, from its opening record on."""
        follower = self.follower
        before = follower.now
        follower.now = turn
        words = opening[1].split(" ")
        try:
            self.brackets[words[1]](words)
        except Death as death:
            self._died(death, opening)
            if isinstance(turn, Waiting):
                return
            turn.clear()
        except WRONG as broken:
            self.differs(opening, f"{type(broken).__name__}: {broken}")
            turn.clear()
        if not isinstance(turn, Waiting):
            follower.now = before
            if left := turn.peek():
                self.differs(left, "nothing more")

    def _request(self, line: str, context: Context | None = None) -> None:
        """A request without brackets; what it made the allocator do comes before it."""
        records = context.records if context is not None and context.records and line[0] not in "sS" else None
        follower = self.follower
        if records is not None:
            follower.now = Turn(records)
        elif follower.now.records:
            follower.now = Turn(deque())
        words = line.split(" ")
        handler = self.handlers.get(words[0])
        if handler is None:
            raise fault(self.name, self.line, shorten(line), "a record of version 2")
        try:
            handler(words, line)
        except Death as death:
            self._died(death, (self.line, line))
        except WRONG as broken:
            self.differs((self.line, line), f"{type(broken).__name__}: {broken}")
        if records is not None and records:
            self.differs(records[0], "nothing more")
            records.clear()

    # The end.

    def _death(self, line: str) -> None:
        told = json.loads(line[2:])
        self.result.death = told
        if "throw" not in told:
            return
        context = self.contexts.get(self.thread)
        if context is not None and context.depth and context.waiting is None:
            self._wait(context)
        died, self.died = self.died, None
        if died is None and not (context is not None and (context.depth or context.records)):
            return  # no request was at work: another part of the runtime threw
        found: dict[str, Any] = {"throw": died.words if isinstance(died, Throw) else None}
        if died is not None and self.core is not None:
            printed = self.core.last_words(died)["printed"]
            # What was printed before goes into the log of the program, in so many lines as here.
            found["printed"] = printed[-len(told["printed"]) :] if told["printed"] else printed[:0]
        if found != told:
            self.differs((self.line, line), f"! {json.dumps(found)}")
