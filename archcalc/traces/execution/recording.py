"""Execution traces written as recordings of version 3: what happened, in a possible order."""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from allocator.sparse.config import Config
from archcalc.reading.errors import Fault, UsageFault
from archcalc.traces import columnar
from archcalc.traces.execution import wire
from archcalc.traces.execution.heap import MANUAL, Certainty, SeenHeap, SeenStep, SeenType
from archcalc.traces.execution.order import Happening, Ordering
from archcalc.traces.execution.wire import ExecutionTrace, Ground, damaged
from archcalc.traces.importing import Imported
from archcalc.traces.reader import FORMAT

VERSION = 3
LINES = 4096  # that are written at once
EVERY = 1 << 14  # happenings between two reports of progress
WORD = (1 << 64) - 1

LETTERS = {
    wire.SPAN: "h", wire.SPAN_ALLOC: "H", wire.SPAN_FREE: "D", wire.OBJECT: "o", wire.OBJECT_ALLOC: "m",
    wire.OBJECT_FREE: "f", wire.STACK: "u", wire.STACK_ALLOC: "s", wire.STACK_FREE: "S",
    wire.GC_BEGIN: "g", wire.GC_END: "e", wire.STW_BEGIN: "x", wire.PROCS_CHANGE: "P",
    wire.PROC_START: "i", wire.HEAP_ALLOC: "l", wire.HEAP_GOAL: "w", wire.GC_SWEEP_END: "b",
}  # fmt: skip


def fields_of(step: SeenStep) -> str:
    """A record's fields after its letter and the time."""
    record, _, addr, n, of, resumed = step
    if record in "hH":
        return f"{n} {'-' if of == MANUAL else of} {addr:x}"
    if record == "m":
        return f"{of or '-'} {'r' if resumed else '.'} {addr:x}"
    if record == "o":
        return f"{of or '-'} {addr:x}"
    return f"{n} {addr:x}" if record in "us" else f"{addr:x}"


UNKNOWN = (
    "the sizes that were asked for: an object counts with the bytes of its slot",
    "which pointers objects hold, and so what is marked: only what sweeps found dead",
    "what the page allocator and the Ps' page caches held when the trace began",
    "the order of what threads did at the same time, except where one could only come after the other",
)


class Lines:
    """Happenings on their way to lines. `heap` follows them, so that each type and place is known."""

    def __init__(self, trace: ExecutionTrace, config: Config) -> None:
        self.trace = trace
        self.heap = SeenHeap(config)
        self.config = config
        self.counts: Counter[str] = Counter()
        self.bytes = 0  # of slots that objects took
        self._p: int | None = None
        self._time = 0
        self._numbers: dict[tuple[int, int], int] = {}  # the recording's number by generation and type
        self._known: dict[wire.TracedType, int] = {}
        self._new: list[str] = []  # declarations of types that no line has yet

    def can_be(self, happening: Happening) -> bool:
        """Whether what happened does not contradict what came before."""
        step = self._step(happening)
        if step is None:
            return True
        judged = self.heap.judge(step)
        return not judged.awaits and judged.verdict is not Certainty.WRONG

    def of(self, happening: Happening) -> list[str]:
        """The lines of one event, and those that have to come before it."""
        letter = LETTERS.get(happening.kind)
        if letter is None:
            return []
        time, p, kind, numbers = happening[:4]
        step = self._step(happening)
        found, self._new = self._new, []
        if step is not None:
            self.bytes += self.heap.carry_out(step)
            fields = fields_of(step)
        elif kind >= wire.SPAN:
            return []  # a goroutine without a stack
        elif kind == wire.STW_BEGIN:
            fields = json.dumps(happening.generation.strings.get(numbers[0], ""))
        elif kind == wire.PROC_START:
            p, fields = numbers[0], ""
        else:
            fields = " ".join(map(str, numbers[: 2 if kind == wire.GC_SWEEP_END else 1]))
        if p != self._p:
            self._p = p
            found.append(f"@ {'-' if p < 0 else p}")
        passed = max(time - self._time, 0) if self._time else 0
        self._time = max(self._time, time)
        if letter in "xiP":
            self.heap.carry_out(SeenStep(letter, p, 0))
        self.counts[letter] += 1
        found.append(f"{letter} {passed} {fields}".rstrip())
        return found

    def _step(self, happening: Happening) -> SeenStep | None:
        """What the heap's part in it is."""
        kind, p, numbers = happening.kind, happening.p, happening.numbers
        if kind < wire.SPAN:
            return None
        letter, addr = LETTERS[kind], self.address(happening)
        if kind == wire.OBJECT_ALLOC or kind == wire.OBJECT:
            number = self._type(happening)
            resumed = happening.resumed and kind == wire.OBJECT_ALLOC
            return SeenStep(letter, p, addr, 0, number, resumed)
        if kind in (wire.OBJECT_FREE, wire.SPAN_FREE, wire.STACK_FREE):
            return SeenStep(letter, p, addr)
        if kind in (wire.SPAN, wire.SPAN_ALLOC):
            return SeenStep(letter, p, addr, numbers[1], MANUAL if numbers[2] & 1 else numbers[2] >> 1)
        return SeenStep(letter, p, addr, 1 << numbers[1] - 1) if addr and numbers[1] else None

    @property
    def ground(self) -> Ground:
        """What places count from. Raises TraceFault where the trace has no allocation events."""
        ground = self.trace.ground
        if ground is None:
            raise damaged(
                self.trace.name,
                wire.HEADER_BYTES,
                "a trace without allocation events",
                "one written under GODEBUG=traceallocfree=1",
            )
        return ground

    def address(self, happening: Happening) -> int:
        """Where an event's span, object or stack is."""
        ground, kind = self.ground, happening.kind
        if kind <= wire.SPAN_FREE:
            unit = ground.page_size
        elif kind <= wire.OBJECT_FREE:
            unit = ground.heap_align
        else:
            unit = ground.stack_align
        return ground.base + happening.numbers[0] * unit & WORD

    def _type(self, happening: Happening) -> int:
        """The recording's number for an object's type, declared where it is new; 0 for none."""
        told = happening.numbers[1]
        if not told:
            return 0
        generation = happening.generation
        key = (generation.number, told)
        number = self._numbers.get(key)
        if number is None:
            typ = generation.types.get(told)
            if typ is None:
                raise damaged(
                    self.trace.name, happening.offset, f"type {told}", "one that its generation has"
                )
            number = self._known.get(typ)
            if number is None:
                number = self._known[typ] = len(self._known) + 1
                self.heap.types[number] = SeenType(typ.size, typ.ptrdata, typ.name)
                self._new.append(f"T {number} {typ.size} {typ.ptrdata} {json.dumps(typ.name)}")
            if len(self._numbers) > 4 * len(generation.types) + 4096:
                self._numbers.clear()
            self._numbers[key] = number
        return number


def import_trace(
    source: Path,
    config: Config,
    about: dict[str, Any],
    target: Path,
    progress: Callable[[int, int], None] | None = None,
    force: bool = True,
) -> Imported:
    """Writes a trace as a recording. `about` goes into its header, and its `go` must be a release that
    writes such traces. Raises TraceFault, UsageFault."""
    with ExecutionTrace(source) as trace, tempfile.TemporaryFile() as body:
        _check_release(trace, about["go"])
        result = Imported(str(source), config.platform, "execution trace", unknown=list(UNKNOWN))
        lines = Lines(trace, config)
        # The header, which comes first, is known last.
        with gzip.GzipFile(fileobj=body, mode="wb", compresslevel=1, mtime=0) as packed:
            piece: list[str] = []
            for count, happening in enumerate(Ordering(trace, lines.can_be).happenings()):
                piece += lines.of(happening)
                if len(piece) >= LINES:
                    packed.write(("\n".join(piece) + "\n").encode())
                    piece.clear()
                if progress is not None and count % EVERY == 0:
                    progress(lines.counts.total(), 0)
            packed.write("".join(f"{line}\n" for line in piece).encode())
        ground = lines.ground
        counts = lines.counts
        result.events = counts.total()
        result.allocations, result.frees, result.collections = counts["m"], counts["f"], counts["g"]
        result.bytes = lines.bytes
        header = {
            "format": FORMAT,
            "version": VERSION,
            "platform": config.platform,
            **about,
            "data_end": 0,
            "phys_page_size": config.phys_page_size,
            "workload": "execution trace",
            "gc": "conc",
            "imported": {"form": "execution trace", "unknown": list(UNKNOWN)},
            "trace_version": f"go1.{trace.version}",
            "base": ground.base,
            "ticks_per_second": trace.frequency,
            "events": result.events,
        }
        body.seek(0)
        with gzip.GzipFile(fileobj=body, mode="rb") as packed:
            columnar.write_as_named(target, json.dumps(header), _pieces(packed), force)
    return result


def _check_release(trace: ExecutionTrace, go: str) -> None:
    """Whether a release (`go1.27`) writes traces in this version of the format."""
    release = re.match(r"go1\.(\d+)", go)
    if release is None or wire.format_of(int(release[1])) != trace.version:
        fitting = wire.releases_of(trace.version)
        words = " or ".join(f"--go 1.{minor}" for minor in fitting)
        found = f"the trace is of Go {' or '.join(f'1.{minor}' for minor in fitting)} by its first bytes"
        raise UsageFault(Fault(f"{found}, not of {go}", words, file=trace.name))


def _pieces(body: gzip.GzipFile) -> Iterator[list[str]]:
    while lines := [line.decode().removesuffix("\n") for line in body.readlines(1 << 20)]:
        yield lines
