"""Replaying a recording of version 2 in columns, of either form: runs of ordinary allocations are compared
at once (`waiting`), and every other record is carried out in the file's order by the replayer of lines.

What is accepted here that one accepts too, with the same machine afterwards. Where anything does not fit,
this one gives up (`GaveUp`) and the recording is replayed as lines, which finds out what differs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from allocator.common.throw import Death
from archcalc.host.extras import needed
from archcalc.traces.columnar import WHAT, WRITTEN, WRITTEN_CODE
from archcalc.traces.columns import Columns, InColumns
from archcalc.traces.outcome import GaveUp, Replay, carry_out_groups
from archcalc.traces.reader import Header, decimal
from archcalc.traces.version2.asks import OTHER, Ask, AskColumns, Asks
from archcalc.traces.version2.bracketed import OWN
from archcalc.traces.version2.brackets import closings, depths
from archcalc.traces.version2.judgement import NO_P, WRONG
from archcalc.traces.version2.replayer import IN_LINES, Context, SparseReplayer
from archcalc.traces.version2.turns import AtHand, Turn
from archcalc.traces.version2.waiting import Waits

if TYPE_CHECKING:
    from allocator.sparse.config import Config
    from archcalc.traces.text_columns import TextColumns

FEW_ROWS = 2500  # so many are as quickly done line by line
RARE = 8  # and rows of which fewer than one in so many is an allocation
AT_FIRST = 256  # rows at a time until there is a machine
M, T, G = (WRITTEN_CODE[record] for record in "mTg")
# Brackets of which some records are for others than the machine.
FED = tuple(f"( {bracket}" for bracket in sorted(IN_LINES))
# After them nothing waits for an allocation that comes next.
ARE_OVER = [record not in OWN and record not in ("(", "?") for record in WRITTEN]


class RunsReplayer(SparseReplayer):
    """Carries a recording of version 2 out in runs. Raises GaveUp where it is not reproduced."""

    def __init__(self, file: InColumns, config_for: Callable[[Header], Config]) -> None:
        super().__init__(file.path, config_for)
        self.np = needed("numpy", WHAT)
        self.file = file
        self.keys = Asks(self.types)
        self.ended = False
        self.types_at: dict[str, int] = {}  # rows of the types that this batch defines
        self.waits: Waits | None = None
        self.passed = 0  # ordinary allocations of the parts before
        self.latest: dict[int, int] = {}  # by P, how many there were up to its latest in those parts

    def run(self, progress: Callable[[int, int], None] | None = None) -> Replay:
        """Replays the file."""
        self.open(self.file.file.header_line)
        started = time.perf_counter()
        try:
            done = carry_out_groups(self, self.file.batches(), progress, WRONG)
        finally:
            self.abandon()
        if done is not None:
            self.event = done
        return self.sum_up(started)

    def group(self, columns: Columns | TextColumns) -> None:
        """Some rows of the file."""
        np = self.np
        start, n = 0, len(columns.code)
        while self.core is None and start < n:
            end = min(start + AT_FIRST, n)
            self.feed(columns.lines(np.arange(start, end)))
            start = end
        allocations = np.count_nonzero(columns.code[start:] == M)
        if n - start <= FEW_ROWS or allocations * RARE <= n - start:
            self.feed(columns.lines(np.arange(start, n)))
            return
        self._part(columns, start)
        self.keys.ahead.clear()

    # Some rows.

    def _part(self, columns: Columns | TextColumns, start: int) -> None:
        """The rows from `start` on: what is ordinary waits, the rest is carried out as lines."""
        np, core = self.np, self.core
        assert core is not None
        code = columns.code[start:]
        self._types_ahead(columns, start, code)
        keys = [self.keys.key(core, word) for word in columns.words]
        table = AskColumns(keys, np)
        request = columns.request[start:]
        ordinary = (code == M) & (table.kind != OTHER).take(request)
        ordinary[1:] &= np.array(ARE_OVER).take(code[:-1])
        if not self._plain():
            ordinary[:] = False
        others = self._others_of(columns, start, code, ordinary)
        lines = columns.lines(others + start)
        rows = np.flatnonzero(ordinary)
        self._check_types(keys, request, rows)
        key = request.take(rows)
        stops = rows.searchsorted(np.flatnonzero(code == G))
        self.waits = waits = Waits(core, self.keys, np, table, key, columns.address[start:].take(rows), stops)
        try:
            closing = closings(np, code.take(others), others)
            self._carry_out_others(rows, others, lines, closing)
            waits.reach_all()
            waits.compare()
        finally:
            self.waits = None
        for number in waits.ps:
            self.latest[number] = self.passed + waits.latest(number)
        self.passed += len(rows)

    def _plain(self) -> bool:
        """Whether nothing looks at objects one by one but the collector."""
        core = self.core
        assert core is not None
        return not (core.unusual or core.mem_profile_rate or core.debug_sbrk or core.mallocing)

    def _types_ahead(self, columns: Columns | TextColumns, start: int, code: Any) -> None:
        """The types that come in these rows, each before its first use (`_check_types`)."""
        self.types_at.clear()
        rows = self.np.flatnonzero(code == T)
        for row, line in zip(rows.tolist(), columns.lines(rows + start), strict=True):
            number, typ = self._read_type(line)
            if number in self.types or number in self.types_at:
                raise GaveUp
            self.types_at[number] = row
            self.keys.ahead[number] = typ

    def _check_types(self, keys: list[Ask], request: Any, rows: Any) -> None:
        if not self.types_at:
            return
        first = self.np.full(len(keys), len(request))
        first[request.take(rows)[::-1]] = rows[::-1]
        for key, row in zip(keys, first.tolist(), strict=True):
            if row < self.types_at.get(key.type, -1):
                raise GaveUp

    def _type(self, line: str) -> None:
        number = line.split(" ", 2)[1]
        if number in self.keys.ahead:
            self.types[number] = self.keys.ahead[number]
        else:
            super()._type(line)

    def _others_of(self, columns: Columns | TextColumns, start: int, code: Any, ordinary: Any) -> Any:
        """The rows that are not ordinary, among them allocations inside an open bracket of their thread."""
        np = self.np
        others = np.flatnonzero(~ordinary)
        begun = {thread: context.depth for thread, context in self.contexts.items()}

        def thread_at(at: int) -> str:
            return columns.line(int(others[at]) + start)[2:]

        depth = depths(np, code.take(others), begun, self.thread, thread_at)
        ends = np.append(others[1:], len(code))
        inside = np.flatnonzero((depth > 0) & (ends - others > 1))
        if not len(inside):
            return others
        for at in inside.tolist():
            ordinary[others[at] + 1 : ends[at]] = False
        return np.flatnonzero(~ordinary)

    def _carry_out_others(self, rows: Any, others: Any, lines: list[str], closing: list[int]) -> None:
        """The rows `others`, as these lines, with the ordinary ones in their past; where brackets close."""
        np, waits = self.np, self.waits
        assert waits is not None
        firsts = np.flatnonzero(np.diff(others, prepend=-2) > 1)
        turns = rows.searchsorted(others.take(firsts)).tolist()
        begin = firsts.tolist()
        waits.foresee(
            [
                (self._refilled(line.split(" ")), turn)
                for line, turn in zip(map(lines.__getitem__, begin), turns, strict=True)
                if line[:9] == "( refill " and line[9:11] != "- "
            ]
        )
        for a, b, turn in zip(begin, [*begin[1:], len(lines)], turns, strict=True):
            if turn > waits.turn:
                self._pass(waits, turn)
            self._carry_out_lines(lines, a, b, closing)
        if len(rows) > waits.turn:
            self._pass(waits, len(rows))

    def _carry_out_lines(self, lines: list[str], at: int, end: int, closing: list[int]) -> None:
        """The lines from `at` to `end`: brackets that are whole, and others one by one."""
        begin = at
        while at < end:
            close = closing[at]
            # One of two lines may be one of many alike.
            if close <= at + 1 or lines[at].startswith(FED):
                at = max(at, close) + 1
                continue
            if begin < at:
                self.feed(lines[begin:at])
            context = self.contexts.get(self.thread)
            begin, at = at, close + 1
            if context is not None and context.idle:
                self._carry_out_bracket(lines[begin:at])
                begin = at
        if begin < end:
            self.feed(lines[begin:end])

    def _carry_out_bracket(self, lines: list[str]) -> None:
        """A whole one, as the replayer of lines does, but that all that differs is to be given up for."""
        first = self.line + 1
        self.line += len(lines)
        self.event += len(lines)
        follower = self.follower
        before = follower.now
        follower.now = now = AtHand(lines, first)
        words = lines[0].split(" ")
        try:
            self.brackets[words[1]](words)
        except Death as death:
            self._died(death, (first, lines[0]))
        else:
            if now.lines[now.at]:
                raise GaveUp
        follower.now = before

    def _pass(self, waits: Waits, turn: int) -> None:
        """Ordinary allocations up to that number are in the past now."""
        context = self.contexts.get(self.thread)
        if context is None:
            self.contexts[self.thread] = Context()
        elif context.records:
            raise GaveUp
        if self.ended:
            raise GaveUp
        n = turn - waits.turn
        self.event += n
        self.line += n
        if self.follower.now.records:
            self.follower.now = Turn(deque())
        waits.run_on(turn)
        waits.turn = turn

    # What does not wait.

    def reach_all(self) -> None:
        """Carries out all allocations that are in the past."""
        if self.waits is not None:
            self.waits.reach_all()

    def ends(self) -> None:
        self.reach_all()
        self.ended = True
        super().ends()

    def _alone(self, p: str, work: Callable[[list[str]], None], words: list[str]) -> None:
        """Carries out what changes a P's spans; no allocation of that P may come while it is at work."""
        before = self._past()
        work(words)
        if self._past() > before and self._latest(0 if p == NO_P else decimal(p)) > before:
            raise GaveUp

    def _past(self) -> int:
        """How many ordinary allocations are in the past."""
        return self.passed + (0 if self.waits is None else self.waits.turn)

    def _latest(self, number: int) -> int:
        """How many there were up to that P's latest."""
        here = 0 if self.waits is None else self.waits.latest(number)
        return self.passed + here if here else self.latest.get(number, 0)

    def _object(self, line: str) -> None:
        if line.split(" ", 3)[2] != "0":
            self.reach_all()
        super()._object(line)

    def _malloc(self, words: list[str], line: str) -> None:
        if "l" not in words[4]:
            self.reach_all()
        super()._malloc(words, line)

    def _refill(self, words: list[str]) -> None:
        waits = self.waits
        if waits is None or words[2] == NO_P:
            self.reach_all()
            self._alone(words[2], super()._refill, words)
            return
        waits.reach(*self._refilled(words))
        before = waits.turn
        super()._refill(words)
        if waits.turn > before and waits.latest(decimal(words[2])) > before:
            raise GaveUp

    def _refilled(self, words: list[str]) -> tuple[int, int]:
        """The P and the span class of a refill."""
        return decimal(words[2]), decimal(words[3])

    def _release(self, words: list[str]) -> None:
        self.reach_all()
        self._alone(words[3], super()._release, words)

    def _p_init(self, words: list[str]) -> None:
        self.reach_all()
        self._alone(words[3], super()._p_init, words)

    def _p_destroy(self, words: list[str]) -> None:
        self.reach_all()
        self._alone(words[3], super()._p_destroy, words)

    def _memstats(self, words: list[str], line: str) -> None:
        self.reach_all()
        super()._memstats(words, line)

    def _phase(self, words: list[str], line: str) -> None:
        self.reach_all()
        super()._phase(words, line)

    def _epoch(self, words: list[str], line: str) -> None:
        self.reach_all()
        super()._epoch(words, line)

    def _sweep_begins(self, words: list[str], line: str) -> None:
        self.reach_all()
        super()._sweep_begins(words, line)

    def _death(self, line: str) -> None:
        self.reach_all()
        super()._death(line)
