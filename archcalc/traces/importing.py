"""Importing: what other logs know of a program's allocations, done again on a simulated machine and recorded.

A log of GODEBUG=allocfreetrace=1 has the size, rounded to its class, and the type of every
allocation that took a block, and tells with each collection which objects its sweeps freed. A
list of sizes (`size[,type]`) has less. Neither has all that a recording needs, so the machine of
the platform carries out what the log has, and its own recording is the result. What had to be
taken for granted is said in `Imported.unknown`, and in the recording's header.

The traces are printed by malloc and the sweeper themselves, under a lock and from the program's
start on. So an object that is freed without having been allocated, or twice, or with another
size, shows that the log is damaged.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from allocator.heap_bitmap import KIND_NO_POINTERS, Type
from allocator.runtime import Runtime
from allocator.sweep import DONE
from allocator.throw import BadRequest, Death
from archcalc.traces.reader import MAX_LINE, fault, shorten
from archcalc.traces.writer import Recorder

_ALLOC = re.compile(r"tracealloc\(0x([0-9a-f]{1,16}), 0x([0-9a-f]{1,16})(?:, (.+))?\)", re.ASCII)
_FREE = re.compile(r"tracefree\(0x([0-9a-f]{1,16}), 0x([0-9a-f]{1,16})\)", re.ASCII)
_STACK = re.compile(r"goroutine \d+ \[[^\]]*\]:", re.ASCII)
_SIZE = re.compile(r"\d{1,20}|0x[0-9a-fA-F]{1,16}", re.ASCII)
_HEADING = re.compile(r"\s*size\s*(,\s*type\s*)?", re.ASCII | re.IGNORECASE)

ALLOC, FREE, COLLECT = range(3)

# What is known of types by the language alone, as a picture of their words.
_POINTERS = ("*", "map[", "map.hdr[", "chan ", "<-chan ", "chan<- ", "func(", "unsafe.Pointer")
_NO_POINTERS = frozenset(
    (
        "bool", "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64",
        "uintptr", "float32", "float64", "complex64", "complex128", "byte", "rune",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a log tells; `line` is where. Addresses are the log's own, sizes are bytes."""

    kind: int
    line: int
    address: int = 0
    size: int = 0
    type: str | None = None


@dataclass(slots=True)
class Imported:
    """What came of an import. `other_lines` stood between the traces: the program's own output."""

    source: str
    platform: str
    form: str
    allocations: int = 0
    frees: int = 0
    collections: int = 0
    bytes: int = 0
    other_lines: int = 0
    events: int = 0
    death: dict[str, Any] | None = None
    unknown: list[str] = field(default_factory=list)


def import_log(
    source: Path,
    boot: Callable[[], Runtime],
    target: Path,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Carries out a log on a freshly booted, recording machine, and writes what it recorded.

    Raises TraceFault, with the line, for a log that is damaged or is none.
    """
    name = str(source)
    events, form, other = parse(source)
    rt = boot()
    result = Imported(name, rt.config.platform, form, other_lines=other)
    recorder = Recorder(rt)
    run = (
        _LogRun(rt, recorder, result, progress)
        if form == "allocfreetrace"
        else _ListRun(rt, recorder, result, progress)
    )
    result.unknown = list(run.unknown)
    try:
        run.all(events)
    except Death as death:
        result.death = rt.last_words(death)
        recorder.death(death, run.request)
    except BadRequest as broken:
        raise fault(name, run.line, f"an object that no program can have: {broken}") from None
    about: dict[str, Any] = {
        "workload": "import",
        "n": result.allocations,
        "seed": 0,
        "gc": "stw" if result.collections else "off",
        "gomaxprocs": 1,
        "imported": {"form": form, "unknown": result.unknown},
    }
    recorder.save(target, result.death is not None, **about)
    result.events = recorder.events
    return result


# Reading.


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path)  # type: ignore[return-value]
    if magic == b"\xfd7zXZ\x00":
        return lzma.open(path)
    if magic[:3] == b"BZh":
        return bz2.open(path)
    return path.open("rb")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text that may be packed (gzip, xz, bzip2), with their numbers."""
    name = str(path)
    number = 0
    try:
        with io.BufferedReader(_opened(path)) as file:  # type: ignore[type-var]
            while data := file.readline(MAX_LINE + 1):
                number += 1
                if len(data) > MAX_LINE:
                    raise fault(name, number, f"a line of more than {MAX_LINE} bytes", "a log")
                try:
                    text = data.decode("utf-8")
                except UnicodeDecodeError as broken:
                    raise fault(name, number, f"byte {data[broken.start]:#04x}, which is no UTF-8") from None
                if "\0" in text:
                    raise fault(name, number, "a zero byte", "text")
                yield number, text
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as broken:
        raise fault(name, number + 1, f"packed data that is damaged or cut short ({broken})") from None
    except OSError as broken:
        raise fault(name, 0, f"cannot be read: {broken.strerror or broken}") from None


def parse(path: Path) -> tuple[list[Event], str, int]:
    """What a log tells, in order; its form, `allocfreetrace` or `sizes`; how many lines are others'."""
    name = str(path)
    lines = _lines(path)
    before: list[tuple[int, str]] = []
    for number, line in lines:
        before.append((number, line))
        text = line.strip()
        if text.startswith(("tracealloc(", "tracefree(", "tracegc(")):
            events, other = _parse_log(name, _chain(before, lines))
            return events, "allocfreetrace", other
        if text and (_HEADING.fullmatch(text) or _SIZE.match(text)):
            return _parse_sizes(name, _chain(before, lines)), "sizes", 0
        if len(before) > 10_000:
            break
    raise fault(
        name,
        before[-1][0] if before else 1,
        "neither kind of log" if before else "an empty file",
        "what GODEBUG=allocfreetrace=1 prints, or lines size[,type]",
    )


def _chain(first: list[tuple[int, str]], rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield from first
    yield from rest


def _parse_log(name: str, lines: Iterator[tuple[int, str]]) -> tuple[list[Event], int]:
    events: list[Event] = []
    inside = ""  # of what trace the line at hand is a part
    stack_due = False
    other = 0
    number = 1
    text = "\n"
    for number, text in lines:
        line = text.rstrip("\r\n")
        if line.startswith("trace") and line[5:10].startswith(("alloc", "free", "gc")):
            if inside:
                raise fault(name, number, shorten(line), f"the end of the {inside} before it")
            event = _trace(line, number)
            if event is None:
                raise fault(
                    name,
                    number,
                    shorten(line),
                    "tracealloc(0x…, 0x…, TYPE), tracefree(0x…, 0x…) or tracegc()",
                )
            events.append(event)
            inside = line[: line.index("(")]
            stack_due = event.kind != COLLECT
        elif line == "end tracegc":
            if inside != "tracegc":
                raise fault(name, number, "end tracegc", "tracegc() before it")
            inside = ""
        elif not line:
            if stack_due:
                raise fault(name, number, "an empty line", f"the goroutine of the {inside}")
            if inside != "tracegc":
                inside = ""
        elif stack_due:
            if not _STACK.fullmatch(line):
                raise fault(name, number, shorten(line), f"the goroutine of the {inside}")
            stack_due = False
        elif not inside:
            if _STACK.fullmatch(line):
                raise fault(name, number, shorten(line), "a trace that this goroutine belongs to")
            other += 1
    if inside or not text.endswith("\n"):
        raise fault(
            name, number, "the end of the file", f"the end of the {inside or 'line'}: it is cut short"
        )
    return events, other


def _trace(line: str, number: int) -> Event | None:
    match = _ALLOC.fullmatch(line)
    if match:
        return Event(ALLOC, number, int(match[1], 16), int(match[2], 16), match[3])
    match = _FREE.fullmatch(line)
    if match:
        return Event(FREE, number, int(match[1], 16), int(match[2], 16))
    return Event(COLLECT, number) if line == "tracegc()" else None


def _parse_sizes(name: str, lines: Iterator[tuple[int, str]]) -> list[Event]:
    events: list[Event] = []
    headed = False
    for number, text in lines:
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        if not events and not headed and _HEADING.fullmatch(line):
            headed = True
            continue
        size, comma, typ = line.partition(",")
        size, typ = size.strip(), typ.strip()
        if not _SIZE.fullmatch(size) or (comma and not typ):
            raise fault(name, number, shorten(line), "size[,type], the size in bytes")
        events.append(Event(ALLOC, number, 0, int(size, 0 if size[:2] == "0x" else 10), typ or None))
    return events


# Types.


def words_of(name: str) -> str | None:
    """A type's words as a picture, `p` a pointer, where the language tells; "" for no pointers, else None."""
    if name.startswith("[]"):
        return "p.."
    if name.startswith(_POINTERS):
        return "p"
    if name == "string":
        return "p."
    if name in ("interface {}", "error"):
        return "pp"
    return "" if name in _NO_POINTERS else None


# Carrying it out.


class _Run:
    """A log on its way through a machine; `request` is the allocation at hand as a recording names it."""

    unknown: tuple[str, ...] = ()

    def __init__(
        self, rt: Runtime, recorder: Recorder, result: Imported, progress: Callable[[int], None] | None
    ) -> None:
        self.rt = rt
        self.recorder = recorder
        self.result = result
        self.progress = progress
        self.types: dict[tuple[str, int], Type | None] = {}
        self.request = ""
        self.line = 0

    def all(self, events: list[Event]) -> None:
        """Carries everything out."""
        raise NotImplementedError

    def alloc(self, event: Event, typ: Type | None) -> int:
        """One object."""
        rt, result = self.rt, self.result
        number = "-" if typ is None else str(rt.type_ids.setdefault(typ, len(rt.type_ids) + 1))
        flags = "nz" if typ is None or typ.noscan else "z"
        self.request = f"m {event.size} {number} {flags} 0"
        v = rt.mallocgc(event.size, typ, True, 0)
        result.allocations += 1
        result.bytes += event.size
        if result.allocations % 4096 == 0:
            self.recorder.flush()
            if self.progress is not None:
                self.progress(result.allocations)
        return v

    def named(self, name: str, words: str, size: int) -> Type:
        """A type of those words, or without pointers and of that size."""
        ptr_size = self.rt.config.ptr_size
        key = name, len(words) * ptr_size or size
        typ = self.types.get(key)
        if typ is None:
            if words:
                typ = Type.of_words(name, words, ptr_size)
            else:
                typ = Type(size, 0, 25 | KIND_NO_POINTERS, min(size & -size, ptr_size), b"", name)
            self.types[key] = typ
        return typ


class _LogRun(_Run):
    """A log of allocfreetrace. What dies is what the sweeps freed before the next collection."""

    unknown = (
        "what fitted into an open tiny block: such a log has the blocks only, as objects of 16 bytes",
        "the sizes asked for: those here are rounded to their class",
        "where types have pointers: objects of 16 bytes and more are taken as without any, except of types "
        "whose words the language tells; smaller ones have pointers in every word, or they would be tiny",
        "which P allocated: all is done by one",
        "stacks and all else that takes memory beside objects, so addresses are others than the log's",
        "when a collection's spans were swept: all at once, or as allocations want them where the log shows "
        "frees between allocations",
    )

    def all(self, events: list[Event]) -> None:
        deaths, late = self._fates(events)
        rt, result = self.rt, self.result
        live: dict[int, int] = {}  # the object's number by its address
        number = 0
        for event in events:
            self.line = event.line
            if event.kind == ALLOC:
                v = self.alloc(event, self._type(event))
                live[v] = number
                number += 1
            elif event.kind == FREE:
                result.frees += 1
            else:
                now = result.collections
                result.collections += 1
                live = {v: n for v, n in live.items() if deaths.get(n, -1) != now}
                rt.collect(list(live), mode="force" if now in late else "block")
                self.recorder.flush()
        # The log shows all of these freed, whoever swept them.
        while late and rt.sweepone() != DONE:
            pass

    def _fates(self, events: list[Event]) -> tuple[dict[int, int], set[int]]:
        """In which collection each object dies, and of which some are freed between allocations."""
        name = self.result.source
        deaths: dict[int, int] = {}
        late: set[int] = set()
        at: dict[int, tuple[int, int, int]] = {}  # number, size, collections before
        number = collections = 0
        allocated = False
        for event in events:
            where = f"the object at {event.address:x}"
            if event.kind == ALLOC:
                if event.address in at:
                    raise fault(
                        name, event.line, f"{where} is allocated, and was not freed", "tracefree before"
                    )
                if not event.size or not event.address:
                    raise fault(name, event.line, f"an object of {event.size} bytes at {event.address:x}")
                at[event.address] = number, event.size, collections
                number += 1
                allocated = True
            elif event.kind == FREE:
                known = at.pop(event.address, None)
                if known is None:
                    raise fault(
                        name, event.line, f"{where} is freed, and was not allocated", "tracealloc before"
                    )
                if known[1] != event.size:
                    raise fault(
                        name,
                        event.line,
                        f"{where} is freed with {event.size} bytes",
                        f"{known[1]}, as allocated",
                    )
                if known[2] == collections:
                    raise fault(
                        name, event.line, f"{where} is freed without a collection", "tracegc() between"
                    )
                deaths[known[0]] = collections - 1
                if allocated:
                    late.add(collections - 1)
            else:
                collections += 1
                allocated = False
        return deaths, late

    def _type(self, event: Event) -> Type | None:
        size, ptr_size = event.size, self.rt.config.ptr_size
        name = event.type
        small = size < self.rt.config.tiny_size
        words = words_of(name) if name is not None else ""
        if small:
            # Without pointers it would be in a tiny block, and the block be 16 bytes.
            if not words or len(words) * ptr_size > size:
                words = "p" * (size // ptr_size)
            return self.named(name or "?", words, size)
        if words and len(words) * ptr_size <= size:
            return self.named(name or "", words, size)
        return None if name is None else self.named(name, "", size)


class _ListRun(_Run):
    """A list of sizes; nothing in it ever dies."""

    unknown = (
        "what dies, and when: nothing does, and there is no collection",
        "where types have pointers: objects are taken as without any, except of types whose words the "
        "language tells",
        "which P allocated: all is done by one",
        "stacks and everything else that takes memory beside objects",
    )

    def all(self, events: list[Event]) -> None:
        ptr_size = self.rt.config.ptr_size
        for event in events:
            self.line = event.line
            name, size = event.type, event.size
            words = words_of(name) if name is not None else ""
            if words and size % (len(words) * ptr_size) == 0 and size:
                typ: Type | None = self.named(name or "", words, size)
            else:
                typ = None if name is None or not size else self.named(name, "", size)
            self.alloc(event, typ)
