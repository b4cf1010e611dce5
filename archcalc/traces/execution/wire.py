"""Execution traces as they lie in a file: batches of a thread's events, generation by generation.

What runtime/trace writes since Go 1.23 (internal/trace/tracev2). A batch is the events of one M, up to
64 KB, with times counted from the batch's own; the batches of a generation stand together, in any order
of Ms, and the generation's types after its events. So a generation is read twice: once from head to head,
for where its batches are and for the types, and once more for the events. Memory holds the places of one
generation's batches, its types, and the one batch of each M that is read.
"""

from __future__ import annotations

import lzma
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from archcalc.reading.words import counted
from archcalc.traces.logs import unpacked
from archcalc.traces.reader import TraceFault, fault

HEADER = re.compile(rb"go 1\.(\d{1,3}) trace\0\0\0", re.ASCII)
HEADER_BYTES = 16
# The versions of the format that have allocation events, and how many kinds of events each knows beside them.
VERSIONS = {23: 50, 25: 52, 26: 53}
LAST = 27  # the last release that is known to write one of them
MAX_BATCH = 64 << 10
PACKED_BADLY = (OSError, EOFError, zlib.error, lzma.LZMAError)
MAX_NUMBER = 10  # bytes of a number

# Structural events (tracev2/events.go).
EVENT_BATCH, STACKS, STRINGS, CPU_SAMPLES, FREQUENCY = 1, 2, 4, 6, 8
EXPERIMENTAL_BATCH, SYNC, END_OF_GENERATION = 49, 50, 52
STRING = 5
ALLOC_FREE = 1  # the experiment

# Events of a thread, with how many numbers follow the time.
PROCS_CHANGE, PROC_START, PROC_STOP, PROC_STEAL, PROC_STATUS = 9, 10, 11, 12, 13
GO_START, GO_SYSCALL_BEGIN, GO_SYSCALL_END, GO_SYSCALL_END_BLOCKED = 16, 22, 23, 24
GO_DESTROY_SYSCALL = 18
STW_BEGIN, STW_END = 26, 27
GC_ACTIVE, GC_BEGIN, GC_END = 28, 29, 30
GC_SWEEP_BEGIN, GC_SWEEP_END = 32, 33
HEAP_ALLOC, HEAP_GOAL = 37, 38
GO_SWITCH, GO_SWITCH_DESTROY = 45, 46
SPAN, SPAN_ALLOC, SPAN_FREE = 128, 129, 130
OBJECT, OBJECT_ALLOC, OBJECT_FREE = 131, 132, 133
STACK, STACK_ALLOC, STACK_FREE = 134, 135, 136

NUMBERS = {
    PROCS_CHANGE: 2, PROC_START: 2, PROC_STOP: 0, PROC_STEAL: 3, PROC_STATUS: 2,
    14: 3, 15: 1, GO_START: 2, 17: 0, GO_DESTROY_SYSCALL: 0, 19: 2, 20: 2, 21: 3,
    GO_SYSCALL_BEGIN: 2, GO_SYSCALL_END: 0, GO_SYSCALL_END_BLOCKED: 0, 25: 3,
    STW_BEGIN: 2, STW_END: 0, GC_ACTIVE: 1, GC_BEGIN: 2, GC_END: 1, 31: 1, GC_SWEEP_BEGIN: 1,
    GC_SWEEP_END: 2, 34: 1, 35: 1, 36: 0, HEAP_ALLOC: 1, HEAP_GOAL: 1,
    39: 1, 40: 4, 41: 2, 42: 3, 43: 3, 44: 4, GO_SWITCH: 2, GO_SWITCH_DESTROY: 2, 47: 3, 48: 4, 51: 3,
    SPAN: 3, SPAN_ALLOC: 3, SPAN_FREE: 1, OBJECT: 2, OBJECT_ALLOC: 2, OBJECT_FREE: 1,
    STACK: 2, STACK_ALLOC: 2, STACK_FREE: 1,
}  # fmt: skip
# Those that somebody asks for here; the others are passed over.
WANTED = frozenset(
    (
        PROCS_CHANGE, PROC_START, PROC_STOP, PROC_STEAL, PROC_STATUS, GO_START, GO_SYSCALL_BEGIN,
        GO_SYSCALL_END, GO_SYSCALL_END_BLOCKED, GO_DESTROY_SYSCALL, STW_BEGIN, STW_END, GC_ACTIVE, GC_BEGIN,
        GC_END, GC_SWEEP_BEGIN, GC_SWEEP_END, HEAP_ALLOC, HEAP_GOAL, GO_SWITCH, GO_SWITCH_DESTROY,
        SPAN, SPAN_ALLOC, SPAN_FREE, OBJECT, OBJECT_ALLOC, OBJECT_FREE, STACK, STACK_ALLOC, STACK_FREE,
    )
)  # fmt: skip

Timed = tuple[int, int, tuple[int, ...], int]
"""An event: its time in ticks, its kind, its numbers, the byte where it stands."""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Where the events of one batch are: their time's beginning, in ticks; the first byte; how many bytes."""

    time: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class TracedType:
    """A type as the tracer knows it. Sizes in bytes; pointers lie in the first `ptrdata`."""

    address: int
    size: int
    ptrdata: int
    name: str


@dataclass(frozen=True, slots=True)
class Ground:
    """What a trace's events count from: the heap's first address, and the units of places in it, in bytes."""

    base: int
    page_size: int
    heap_align: int
    stack_align: int


@dataclass(slots=True)
class TraceGeneration:
    """One generation: the batches of each M in their order, and its types by their number there."""

    number: int
    batches: dict[int, list[EventBatch]] = field(default_factory=dict)
    types: dict[int, TracedType] = field(default_factory=dict)
    strings: dict[int, str] = field(default_factory=dict)


def is_trace(path: Path) -> bool:
    """Whether a file, packed or not, begins as an execution trace does. A pipe is none: it is read once."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return HEADER.fullmatch(unpacked(file).read(HEADER_BYTES)) is not None
    except PACKED_BADLY:
        return False


def releases_of(version: int) -> list[int]:
    """The releases, as the minor numbers of Go 1, whose traces are in a version of the format."""
    return [minor for minor in range(min(VERSIONS), LAST + 1) if format_of(minor) == version]


def format_of(minor: int) -> int:
    """The version of the format that Go 1.minor writes; a release before the first has none of these."""
    return max((version for version in VERSIONS if version <= minor), default=0)


def damaged(path: str, offset: int, found: str, expected: str = "") -> TraceFault:
    """What is wrong with a trace at a byte of it."""
    return fault(path, 0, f"at byte {offset}: {found}", expected)


class ExecutionTrace:
    """An opened trace, a context manager. Raises TraceFault, with the byte, if it is damaged."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.frequency = 0  # ticks a second
        self.ground: Ground | None = None
        self._file = _opened(path)
        try:
            header = self._file.read(HEADER_BYTES)
            found = HEADER.fullmatch(header)
            if found is None:
                raise damaged(self.name, 0, f"{header!r}", "what runtime/trace writes")
            self.version = int(found[1])
            if self.version not in VERSIONS:
                if self.version < min(VERSIONS):
                    words = "which has no allocation events"
                else:
                    words = "which is not known"
                raise damaged(
                    self.name, 0, f"the format of Go 1.{self.version}, {words}", "Go 1.23 to 1.27's"
                )
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ExecutionTrace:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def generations(self) -> Iterator[TraceGeneration]:
        """All of them, in order. A generation must be finished before the next is asked for."""
        at = HEADER_BYTES
        now: TraceGeneration | None = None
        while True:
            self._file.seek(at)
            head = self._file.read(2 + 4 * MAX_NUMBER + 1)
            if not head:
                break
            kind = head[0]
            if kind == END_OF_GENERATION and self.version >= 26:
                at += 1
                if now is None:
                    raise damaged(self.name, at - 1, "the end of a generation without batches")
                yield now
                now = None
                continue
            experiment, number, m, batch = self._head(head, at)
            if now is not None and number != now.number:
                if number != now.number + 1 or self.version >= 26:
                    expected = f"one of generation {now.number}"
                    raise damaged(self.name, at, f"a batch of generation {number}", expected)
                yield now
                now = None
            if now is None:
                now = TraceGeneration(number)
            self._file.seek(batch.offset)
            data = self._file.read(batch.size)
            if len(data) != batch.size:
                raise damaged(self.name, at, f"{counted(len(data), 'byte')} of a batch", f"{batch.size}")
            self._sort(now, experiment, m, batch, data)
            at = batch.offset + batch.size
        if now is not None:
            if self.version >= 26:
                raise damaged(self.name, at, "the end of the file", "the end of the generation")
            yield now

    def _head(self, head: bytes, at: int) -> tuple[int, int, int, EventBatch]:
        """A batch's head: the experiment or 0, the generation, the M, and where its events are."""
        kind = head[0]
        if kind not in (EVENT_BATCH, EXPERIMENTAL_BATCH):
            raise damaged(self.name, at, f"event {kind}", "the beginning of a batch")
        here, experiment = 1, 0
        if kind == EXPERIMENTAL_BATCH:
            experiment = head[1] if len(head) > 1 else 0
            here = 2
        numbers = []
        for _ in range(4):
            value, here = self._number(head, here, at)
            numbers.append(value)
        generation, m, time, size = numbers
        if not generation:
            raise damaged(self.name, at, "a batch of generation 0", "a number from 1 on")
        if size > MAX_BATCH:
            raise damaged(self.name, at, f"a batch of {counted(size, 'byte')}", f"{MAX_BATCH} at most")
        return experiment, generation, m, EventBatch(time, at + here, size)

    def _number(self, data: bytes, here: int, at: int) -> tuple[int, int]:
        """A number of seven bits a byte, low ones first, and where it ends; `at` is where data begins."""
        value = shift = 0
        for i in range(here, min(here + MAX_NUMBER, len(data))):
            byte = data[i]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> 64:
                    break
                return value, i + 1
            shift += 7
        raise damaged(self.name, at + here, "a number that does not end", "at most 64 bits")

    def _sort(self, now: TraceGeneration, experiment: int, m: int, batch: EventBatch, data: bytes) -> None:
        if experiment:
            if experiment == ALLOC_FREE and data:
                self._of_experiment(now, batch, data)
            return
        kind = data[0] if data else 0
        if kind in (FREQUENCY, SYNC):
            self._sync(batch, data)
        elif kind == STRINGS:
            self._strings(now, batch, data)
        elif kind not in (STACKS, CPU_SAMPLES, 0):
            now.batches.setdefault(m, []).append(batch)

    def _sync(self, batch: EventBatch, data: bytes) -> None:
        at = 1 if data[0] == SYNC else 0
        if len(data) > at and data[at] == FREQUENCY:
            self.frequency, _ = self._number(data, at + 1, batch.offset)

    def _strings(self, now: TraceGeneration, batch: EventBatch, data: bytes) -> None:
        """The words that events come with, such as why the world was stopped."""
        here = 1
        while here < len(data):
            if data[here] != STRING:
                raise damaged(self.name, batch.offset + here, f"event {data[here]}", "a string")
            number, here = self._number(data, here + 1, batch.offset)
            length, here = self._number(data, here, batch.offset)
            now.strings[number] = data[here : here + length].decode(errors="replace")
            here += length

    def _of_experiment(self, now: TraceGeneration, batch: EventBatch, data: bytes) -> None:
        """The types, or what addresses count from (traceallocfree.go, tracetype.go)."""
        here = 1
        if data[0] == 1:
            numbers = []
            for _ in range(4):
                value, here = self._number(data, here, batch.offset)
                numbers.append(value)
            if any(n < 1 or n & (n - 1) for n in numbers[1:]):
                expected = "a page, an object's and a stack's alignment, powers of two"
                raise damaged(self.name, batch.offset, f"{numbers[1:]}", expected)
            self.ground = Ground(*numbers)
            return
        if data[0] != 0:
            raise damaged(self.name, batch.offset, f"batch {data[0]} of the experiment", "types")
        while here < len(data):
            numbers = []
            for _ in range(5):
                value, here = self._number(data, here, batch.offset)
                numbers.append(value)
            number, address, size, ptrdata, length = numbers
            if here + length > len(data) or ptrdata > size:
                raise damaged(
                    self.name, batch.offset + here, f"a type of {counted(size, 'byte')}", "its name"
                )
            name = data[here : here + length].decode(errors="replace")
            now.types[number] = TracedType(address, size, ptrdata, name)
            here += length

    def events(self, batch: EventBatch) -> list[Timed]:
        """A batch's events, those that are needed."""
        self._file.seek(batch.offset)
        data = self._file.read(batch.size)
        found: list[Timed] = []
        time, here, end = batch.time, 0, len(data)
        known = VERSIONS[self.version]
        try:
            while here < end:
                start = here
                kind = data[here]
                count = NUMBERS.get(kind, -1)
                if count < 0 or known <= kind < SPAN:
                    raise damaged(
                        self.name, batch.offset + here, f"event {kind}", "one that a thread can have"
                    )
                here += 1
                numbers = []
                for _ in range(count + 1):
                    byte = data[here]
                    here += 1
                    if byte < 0x80:
                        numbers.append(byte)
                        continue
                    value, shift = byte & 0x7F, 7
                    while True:
                        byte = data[here]
                        here += 1
                        value |= (byte & 0x7F) << shift
                        if byte < 0x80:
                            break
                        shift += 7
                    if value >> 64:
                        raise damaged(
                            self.name, batch.offset + start, "a number of more than 64 bits", "an event"
                        )
                    numbers.append(value)
                time += numbers[0]
                if kind in WANTED:
                    found.append((time, kind, tuple(numbers[1:]), batch.offset + start))
        except IndexError:
            raise damaged(
                self.name, batch.offset + start, f"event {kind}, cut off at the end of its batch"
            ) from None
        return found


def _opened(path: Path) -> IO[bytes]:
    """The file, gzip'd or as it is, so that it can be gone through in any order."""
    try:
        file: IO[bytes] = path.open("rb")
    except OSError as broken:
        raise fault(str(path), 0, f"cannot be read: {broken.strerror or broken}") from None
    try:
        seekable = file.seekable()
        inside = unpacked(file) if seekable else file
        if seekable and inside is file:
            return file
        kept = tempfile.TemporaryFile()  # noqa: SIM115 - it stays open as long as the trace
        with file:
            shutil.copyfileobj(inside, kept)
        kept.seek(0)
        return kept
    except PACKED_BADLY as broken:
        file.close()
        raise fault(str(path), 0, f"packed data that is damaged or cut short ({broken})") from None
