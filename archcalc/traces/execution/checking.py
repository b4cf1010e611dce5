"""Checking a recording of version 3: whether everything that a trace reports is possible."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable

from archcalc.traces.execution.first_fit import FirstFit
from archcalc.traces.execution.heap import MANUAL, Appraisal, Certainty, SeenHeap, SeenStep, SeenType
from archcalc.traces.line_by_line import KEPT, LineByLine
from archcalc.traces.outcome import Parting, Replay, Stop, carry_out
from archcalc.traces.reader import address, decimal, fault, shorten

WHAT = {
    "h": "spans", "H": "spans", "D": "spans freed", "o": "objects", "m": "objects", "f": "objects freed",
    "u": "stacks", "s": "stacks", "S": "stacks freed",
}  # fmt: skip
# How many fields each record has, its letter and the time among them.
FIELDS = {
    "h": 5, "H": 5, "D": 3, "o": 4, "m": 5, "f": 3, "u": 4, "s": 4, "S": 3, "g": 3, "e": 3, "P": 3, "l": 3,
    "w": 3, "b": 4, "i": 2,
}  # fmt: skip


class ExecutionChecker(LineByLine):
    """Goes through one recording of an execution trace."""

    version = 3

    def prepare(self) -> None:
        super().prepare()
        self.p = -1
        self.now = 0  # ticks since the trace began
        self.recent: deque[str] = deque(maxlen=KEPT)
        self.verdicts: dict[str, Counter[str]] = {
            what: Counter() for what in (*WHAT.values(), "places of spans")
        }

    def run(self, progress: Callable[[int, int], None] | None = None) -> Replay:
        """Checks the file. Raises TraceFault where it is not a whole recording."""
        first, stream = self.begin()
        self.heap = SeenHeap(self.config)
        self.fit = FirstFit(self.header.extra.get("base", 0), self.config)
        started = time.perf_counter()
        carry_out(self, first, stream, progress)
        self.result.checked = {what: dict(counts) for what, counts in self.verdicts.items() if counts}
        self.result.events = min(self.event, self.header.events)
        self.result.seconds = time.perf_counter() - started
        return self.result

    def feed(self, lines: list[str]) -> None:
        for line in lines:
            self.line += 1
            letter = line[:1]
            try:
                if letter == "@":
                    self.p = -1 if line == "@ -" else decimal(line[2:])
                elif letter == "T":
                    self._type(line)
                else:
                    self.event += 1
                    self._record(letter, line)
            except ValueError as broken:
                raise fault(self.name, self.line, f"{shorten(line)}: {broken}") from None
            self.recent.append(line)

    def _type(self, line: str) -> None:
        _, number, size, ptrdata, name = line.split(" ", 4)
        told = json.loads(name)
        if not isinstance(told, str):
            raise ValueError("expected T id size ptrdata name")
        self.heap.types[decimal(number)] = SeenType(decimal(size), decimal(ptrdata), told)

    def _record(self, letter: str, line: str) -> None:
        words = line.split(" ")
        if letter == "x" and len(words) > 1:
            self.now += decimal(words[1])
            self.heap.carry_out(SeenStep("x", self.p, 0))
            return
        if FIELDS.get(words[0]) != len(words):
            raise ValueError("expected a record of version 3")
        self.now += decimal(words[1])
        if letter not in WHAT:
            for word in words[2:]:
                decimal(word)
            self.heap.carry_out(SeenStep(letter, self.p, 0))
            self.heap.collections += letter == "g"
            if letter == "P":
                self.fit.procs = decimal(words[2])
                self.fit.stopped(self.p)
            return
        step = self._step(letter, words)
        judged = self.judge(step)
        self.verdicts[WHAT[letter]][judged.verdict.value] += 1
        self.heap.carry_out(step)
        if judged.verdict is Certainty.WRONG:
            self._wrong(line, judged, step)

    def _step(self, letter: str, words: list[str]) -> SeenStep:
        addr = address(words[-1])
        if letter == "m":
            if words[3] not in ("r", "."):
                raise ValueError("expected the flag r or .")
            return SeenStep(
                "m", self.p, addr, 0, 0 if words[2] == "-" else decimal(words[2]), words[3] == "r"
            )
        if letter == "o":
            return SeenStep("o", self.p, addr, 0, 0 if words[2] == "-" else decimal(words[2]))
        if letter in "hH":
            return SeenStep(
                letter, self.p, addr, decimal(words[2]), MANUAL if words[3] == "-" else decimal(words[3])
            )
        return SeenStep(letter, self.p, addr, decimal(words[2]) if letter in "us" else 0)

    def judge(self, step: SeenStep) -> Appraisal:
        """The verdict on a step; for a span also whether it lies where first fit puts it."""
        said = self.heap.judge(step)
        record, addr = step.record, step.addr
        if record == "H":
            placed = self.fit.allocated(addr, step.n, step.p, self.now)
            self.verdicts["places of spans"][placed.verdict.value] += 1
            return (
                said if said.verdict is Certainty.WRONG or placed.verdict is not Certainty.WRONG else placed
            )
        if record == "h":
            self.fit.older(addr, step.n)
        elif record == "D" and (s := self.heap.spans.get(addr)) is not None:
            self.fit.freed(addr, s.npages, step.p, self.now)
        return said

    def _wrong(self, line: str, judged: Appraisal, step: SeenStep) -> None:
        result = self.result
        result.mismatches += 1
        result.by_record[line[:1]] += 1
        if result.first is None:
            s = self.heap.span_at(step.addr)
            span = None if s is None else self.heap.describe(s)
            result.first = Parting(
                line[:1], self.line, self.event, line, judged.found, span, None, tuple(self.recent)
            )
        if not self.keep_going:
            raise Stop

    def finish(self) -> None:
        """The file has no more lines."""
        self.all_told()
