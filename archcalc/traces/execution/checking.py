"""Checking a recording of version 3: of each thing that an execution trace tells, whether it can have been so."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from allocator.sparse.config import Config
from archcalc.traces import columnar
from archcalc.traces.execution.heap import MANUAL, Judged, SeenHeap, SeenType, Step, Verdict
from archcalc.traces.outcome import Parting, Replay, Stop, carry_out
from archcalc.traces.reader import Header, address, decimal, fault, parse_header, shorten

KEPT = 12
WHAT = {
    "h": "spans", "H": "spans", "D": "spans freed", "o": "objects", "m": "objects", "f": "objects freed",
    "u": "stacks", "s": "stacks", "S": "stacks freed",
}  # fmt: skip
# How many fields each record has, its letter and the time among them.
FIELDS = {
    "h": 5, "H": 5, "D": 3, "o": 4, "m": 5, "f": 3, "u": 4, "s": 4, "S": 3, "g": 3, "e": 3, "P": 3, "l": 3,
    "w": 3, "b": 4, "i": 2,
}  # fmt: skip


class ExecutionChecker:
    """Goes through one recording of an execution trace."""

    def __init__(
        self,
        path: Path,
        config_for: Callable[[Header], Config],
        keep_going: bool = False,
        source: Callable[[Path], Iterator[list[str]]] = columnar.lines,
    ) -> None:
        self.path = path
        self.name = str(path)
        self.config_for = config_for
        self.keep_going = keep_going
        self.source = source
        self.line = 0
        self.event = 0
        self.p = -1
        self.now = 0  # ticks since the trace began
        self.recent: deque[str] = deque(maxlen=KEPT)
        self.verdicts: dict[str, Counter[str]] = {what: Counter() for what in WHAT.values()}

    def run(self, progress: Callable[[int, int], None] | None = None) -> Replay:
        """Checks the file. Raises TraceFault where it is no whole recording."""
        stream = self.source(self.path)
        first = next(stream, None)
        if first is None:
            raise fault(self.name, 1, "an empty file", "a recording")
        self.header = parse_header(self.name, first[0], (3,))
        self.result = Replay(self.name, self.header.platform)
        self.config = self.config_for(self.header)
        self.heap = SeenHeap(self.config)
        self.line = 1
        started = time.perf_counter()
        carry_out(self, first[1:], stream, progress)
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
            self.heap.carry_out(Step("x", self.p, 0))
            return
        if FIELDS.get(words[0]) != len(words):
            raise ValueError("expected a record of version 3")
        self.now += decimal(words[1])
        if letter not in WHAT:
            for word in words[2:]:
                decimal(word)
            self.heap.carry_out(Step(letter, self.p, 0))
            self.heap.collections += letter == "g"
            return
        step = self._step(letter, words)
        judged = self.judge(step)
        self.verdicts[WHAT[letter]][judged.verdict.value] += 1
        self.heap.carry_out(step)
        if judged.verdict is Verdict.WRONG:
            self._wrong(line, judged, step)

    def _step(self, letter: str, words: list[str]) -> Step:
        addr = address(words[-1])
        if letter == "m":
            if words[3] not in ("r", "."):
                raise ValueError("expected the flag r or .")
            return Step("m", self.p, addr, 0, 0 if words[2] == "-" else decimal(words[2]), words[3] == "r")
        if letter == "o":
            return Step("o", self.p, addr, 0, 0 if words[2] == "-" else decimal(words[2]))
        if letter in "hH":
            return Step(
                letter, self.p, addr, decimal(words[2]), MANUAL if words[3] == "-" else decimal(words[3])
            )
        return Step(letter, self.p, addr, decimal(words[2]) if letter in "us" else 0)

    def judge(self, step: Step) -> Judged:
        """What can be said of a step."""
        return self.heap.judge(step)

    def _wrong(self, line: str, judged: Judged, step: Step) -> None:
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
        if self.event != self.header.events:
            raise fault(
                self.name, self.line, f"{self.event} events", f"{self.header.events}, as the header says"
            )
