"""Importing: what other logs know of a program's allocations, done again on a simulated machine and recorded.

A log of GODEBUG=allocfreetrace=1 has the size, rounded to its class, and the type of every
allocation that took a block, and tells with each collection which objects its sweeps freed. A
list of sizes (`size[,type]`) has less. Neither has all that a recording needs, so the machine of
the platform carries out what the log has, and its own recording is the result. What had to be
taken for granted is said in `Imported.unknown`, and in the recording's header.

The traces are printed by malloc and the sweeper themselves, under a lock and from the program's
start on. So an object that is freed without having been allocated, or twice, or with another
size, shows that the log is damaged.

A log is read twice: which objects a collection has to free is told only behind it. In memory
stand what is alive, and of each allocation the collection that it dies in.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import shutil
import tempfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from allocator.common.throw import BadRequest, Death
from allocator.common.types import KIND_NO_POINTERS, Type
from allocator.contiguous.runtime import Runtime
from allocator.contiguous.sweep import DONE
from archcalc.traces.reader import GZIP_MAGIC, MAX_LINE, fault, shorten
from archcalc.traces.writer import Recorder

_TRACE = re.compile(r"(?<!runtime\.)trace(?:alloc|free|gc)")  # runtime.tracealloc is a frame of a stack
_ALLOC = re.compile(r"tracealloc\(0x([0-9a-f]{1,16}), 0x([0-9a-f]{1,16})(?:, (.+))?\)", re.ASCII)
_FREE = re.compile(r"tracefree\(0x([0-9a-f]{1,16}), 0x([0-9a-f]{1,16})\)", re.ASCII)
_STACK = re.compile(r"goroutine \d+ .*\[.*\]:", re.ASCII)
_SIZE = re.compile(r"\d{1,20}|0x[0-9a-fA-F]{1,16}", re.ASCII)
_HEADING = re.compile(r"size\s*(,\s*type)?", re.ASCII | re.IGNORECASE)

FORMS = ("allocfreetrace", "sizes")
FIRST_LINES = 10_000  # in which a log that begins like a list of sizes shows that it is none
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
    progress: Callable[[int, int], None] | None = None,
    force: bool = True,
) -> Imported:
    """Carries out a log on a freshly booted, recording machine, and writes what it recorded.

    `progress` gets the allocations carried out and those there are, 0 where that is not known.
    Raises TraceFault, with the line, for a log that is damaged or is none.
    """
    name = str(source)
    with Log(source) as log:
        rt = boot()
        result = Imported(name, rt.config.platform, log.form)
        recorder = Recorder(rt)
        run = (_LogRun if log.form == "allocfreetrace" else _ListRun)(rt, recorder, result, progress)
        result.unknown = list(run.unknown)
        try:
            run.all(log)
        except Death as death:
            result.death = rt.last_words(death)
            recorder.death(death, run.request)
        except BadRequest as broken:
            raise fault(name, run.line, f"an object that no program can have: {broken}") from None
        result.other_lines = log.other_lines
    about: dict[str, Any] = {
        "workload": "import",
        "n": result.allocations,
        "seed": 0,
        "gc": "stw" if result.collections else "off",
        "gomaxprocs": 1,
        "imported": {"form": result.form, "unknown": result.unknown},
    }
    recorder.save(target, result.death is not None, force, **about)
    result.events = recorder.events
    return result


# Reading.


class Log:
    """An opened log, whose events can be gone through more than once. A context manager.

    `form` is one of FORMS; `other_lines` counts, after `events`, the lines that the program printed.
    Raises TraceFault for what is no log.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.other_lines = 0
        try:
            self._file: IO[bytes] = path.open("rb")
            if not self._file.seekable():
                # What comes from a pipe is kept, to be read again.
                kept = tempfile.TemporaryFile()  # noqa: SIM115 - it stays open as long as the log
                with self._file as pipe:
                    shutil.copyfileobj(pipe, kept)
                self._file = kept
        except OSError as broken:
            raise fault(self.name, 0, f"cannot be read: {broken.strerror or broken}") from None
        try:
            self.form = self._form()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def events(self) -> Iterator[Event]:
        """All that it tells, in order."""
        return self._traces() if self.form == "allocfreetrace" else self._sizes()

    def _form(self) -> str:
        first: tuple[int, str] | None = None
        number = 1
        for number, text in self._lines():
            line = text.strip()
            if _TRACE.match(line) or _trace_in(line):
                return "allocfreetrace"
            if first is None and line and not line.startswith("#"):
                first = number, line
            if first is not None and number > FIRST_LINES and _is_sizes(first[1]):
                break
        if first is not None and _is_sizes(first[1]):
            return "sizes"
        raise fault(
            self.name,
            number if first is None else first[0],
            "an empty file" if first is None else f"neither kind of log: {shorten(first[1])}",
            "what GODEBUG=allocfreetrace=1 prints, or lines size[,type]",
        )

    def _lines(self) -> Iterator[tuple[int, str]]:
        """The lines of a text that may be packed (gzip, xz, bzip2), with their numbers."""
        number = 0
        try:
            self._file.seek(0)
            file = _unpacked(self._file)
            while data := file.readline(MAX_LINE + 1):
                number += 1
                yield number, self._text(number, data)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as broken:
            raise fault(
                self.name, number + 1, f"packed data that is damaged or cut short ({broken})"
            ) from None
        except OSError as broken:
            raise fault(self.name, 0, f"cannot be read: {broken.strerror or broken}") from None

    def _text(self, number: int, data: bytes) -> str:
        if len(data) > MAX_LINE:
            raise fault(self.name, number, f"a line of more than {MAX_LINE} bytes", "a log")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as broken:
            raise fault(
                self.name,
                number,
                f"byte {data[broken.start]:#04x}, which is no UTF-8",
                column=broken.start + 1,
            ) from None
        if "\0" in text:
            raise fault(self.name, number, "a zero byte", "text", text.index("\0") + 1)
        return text.removeprefix("\ufeff") if number == 1 else text

    # Traces of allocfreetrace.

    def _traces(self) -> Iterator[Event]:
        """The runtime prints a trace in one go: its line, a goroutine's stack, an empty line.

        Whoever kept the first lines alone (with grep, say) has a log without stacks; the first
        allocation or free tells.
        """
        name = self.name
        self.other_lines = 0
        inside = ""  # of what trace the line at hand is a part
        due = False  # the goroutine of that trace
        stacks: bool | None = None  # whether there are any, once that is known
        number = 1
        before = text = ""
        for number, text in self._lines():
            line = text.rstrip("\r\n")
            start = 0 if _TRACE.match(line) else None if inside else _trace_in(line)
            if start is not None:
                if due and stacks is None:
                    inside, stacks = "", False
                elif inside == "tracegc" and stacks is None:
                    inside = ""
                if inside:
                    raise fault(name, number, shorten(line), f"the end of the {inside} before it")
                event = _trace(line[start:], number)
                if event is None:
                    raise fault(
                        name,
                        number,
                        shorten(line),
                        "tracealloc(0x…, 0x…, TYPE), tracefree(0x…, 0x…) or tracegc()",
                    )
                self.other_lines += start > 0
                yield event
                if stacks is not False:
                    inside = line[start : line.index("(", start)]
                    due = event.kind != COLLECT
            elif line == "end tracegc":
                if inside != "tracegc" and stacks is not False:
                    raise fault(name, number, "end tracegc", "tracegc() before it")
                inside = ""
            elif due and stacks is None and not _STACK.fullmatch(line):
                inside, due, stacks = "", False, False
                self.other_lines += bool(line)
            elif not line:
                if due:
                    raise fault(name, number, "an empty line", f"the goroutine of the {inside}")
                if inside != "tracegc":
                    inside = ""
            elif due:
                if not _STACK.fullmatch(line):
                    raise fault(name, number, shorten(line), f"the goroutine of the {inside}")
                due, stacks = False, True
            elif not inside:
                # A program may print stacks itself, but not behind what looks like a trace.
                if _STACK.fullmatch(line) and "0x" in before:
                    raise fault(name, number, shorten(line), "a trace that this goroutine belongs to")
                self.other_lines += 1
            before = line
        if (stacks and inside) or inside == "tracegc":
            raise fault(name, number, "the end of the file", f"the end of the {inside}: it is cut short")

    # Lists of sizes.

    def _sizes(self) -> Iterator[Event]:
        headed = False
        for number, text in self._lines():
            line = text.strip()
            if not line or line.startswith("#"):
                continue
            if not headed:
                headed = True
                if _is_heading(line):
                    continue
            size, typ = self._fields(number, text.rstrip())
            yield Event(ALLOC, number, 0, int(size, 16 if size[:2] == "0x" else 10), typ)

    def _fields(self, number: int, line: str) -> tuple[str, str | None]:
        """Size and type of a line, either of which may be quoted as in CSV."""
        first, comma, rest = line.partition(",")
        size = _bare(first)
        expected = "size[,type], the size in bytes"
        if size is None or not _SIZE.fullmatch(size):
            column = 1 + len(line) - len(line.lstrip())
            raise fault(self.name, number, shorten(line), expected, column)
        if not comma:
            return size, None
        column = len(line) - len(rest.lstrip()) + 1
        typ = _bare(rest)
        if not typ or typ[0].isdigit():
            raise fault(
                self.name, number, shorten(rest.strip()), f"{expected}; the name of a Go type", column
            )
        end = _top_level_comma(typ)
        if end is not None and typ == rest.strip():
            raise fault(
                self.name, number, shorten(rest.strip()), f"{expected}, and nothing behind", column + end
            )
        return size, typ


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    magic = file.read(6)
    file.seek(0)
    if magic[:2] == GZIP_MAGIC:
        return gzip.open(file)  # type: ignore[return-value]
    if magic == b"\xfd7zXZ\x00":
        return lzma.open(file)
    if magic[:3] == b"BZh":
        return bz2.open(file)
    return file


def _trace_in(line: str) -> int | None:
    """Where in a line a whole trace begins, behind what the program printed without ending its line."""
    for match in _TRACE.finditer(line):
        if _trace(line[match.start() :], 0) is not None:
            return match.start()
    return None


def _bare(cell: str) -> str | None:
    """A cell without its quotes; None where they are not as CSV has them."""
    text = cell.strip()
    if not text.startswith('"'):
        return text
    inner = text[1:-1].replace('""', "")
    return (
        text[1:-1].replace('""', '"').strip()
        if len(text) > 1 and text[-1] == '"' and '"' not in inner
        else None
    )


def _is_heading(line: str) -> bool:
    first, comma, rest = line.partition(",")
    return bool(_HEADING.fullmatch(f"{_bare(first) or ''}{comma}{_bare(rest) or ''}"))


def _is_sizes(line: str) -> bool:
    """Whether a list of sizes may begin so."""
    return _is_heading(line) or bool(_SIZE.fullmatch(_bare(line.partition(",")[0]) or ""))


def _top_level_comma(name: str) -> int | None:
    """Where a type's name has a comma outside of all brackets, which no type's has."""
    depth = 0
    for at, char in enumerate(name):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth <= 0:
            return at
    return None


def _trace(line: str, number: int) -> Event | None:
    match = _ALLOC.fullmatch(line)
    if match:
        return Event(ALLOC, number, int(match[1], 16), int(match[2], 16), match[3])
    match = _FREE.fullmatch(line)
    if match:
        return Event(FREE, number, int(match[1], 16), int(match[2], 16))
    return Event(COLLECT, number) if line == "tracegc()" else None


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
        self, rt: Runtime, recorder: Recorder, result: Imported, progress: Callable[[int, int], None] | None
    ) -> None:
        self.rt = rt
        self.recorder = recorder
        self.result = result
        self.progress = progress
        self.types: dict[tuple[str, int], Type | None] = {}
        self.request = ""
        self.line = 0
        self.allocations = 0  # in all; 0 where that is not known

    def all(self, log: Log) -> None:
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
                self.progress(result.allocations, self.allocations)
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

    def all(self, log: Log) -> None:
        deaths, late = self._fates(log)
        rt, result = self.rt, self.result
        self.allocations = len(deaths)
        live: dict[int, int] = {}  # the object's number by its address
        number = 0
        for event in log.events():
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
                live = {v: n for v, n in live.items() if deaths[n] != now}
                rt.collect(list(live), mode="force" if now in late else "block")
                self.recorder.flush()
        # The log shows all of these freed, whoever swept them.
        while late and rt.sweepone() != DONE:
            pass

    def _fates(self, log: Log) -> tuple[array[int], set[int]]:
        """In which collection each object dies, or -1; and of which some are freed between allocations."""
        name = self.result.source
        deaths = array("l")
        late: set[int] = set()
        at: dict[int, tuple[int, int, int]] = {}  # number, size, collections before
        collections = odd = 0
        allocated = False
        for event in log.events():
            where = f"the object at {event.address:x}"
            if event.address >> 8 * self.rt.config.ptr_size:
                raise fault(
                    name, event.line, f"{where}, an address of 64 bits", f"a log of {self.result.platform}"
                )
            if event.kind == ALLOC:
                if event.address in at:
                    raise fault(
                        name, event.line, f"{where} is allocated, and was not freed", "tracefree before"
                    )
                if not event.size or not event.address:
                    raise fault(name, event.line, f"an object of {event.size} bytes at {event.address:x}")
                at[event.address] = len(deaths), event.size, collections
                deaths.append(-1)
                odd += not self._is_rounded(event.size)
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
        if odd:
            self.result.unknown.append(
                f"how this allocator would have rounded {odd} of the objects: their sizes are none of its "
                "classes, so the log is of another version of Go, and they are rounded up once more"
            )
        return deaths, late

    def _is_rounded(self, size: int) -> bool:
        """Whether an object can have that size, once rounded."""
        config = self.rt.config
        if size > config.max_small_size:
            return size % config.page_size == 0
        return config.size_classes.class_to_size[config.size_classes.size_to_class(size)] == size

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

    def all(self, log: Log) -> None:
        ptr_size = self.rt.config.ptr_size
        for event in log.events():
            self.line = event.line
            name, size = event.type, event.size
            words = words_of(name) if name is not None else ""
            if words and size % (len(words) * ptr_size) == 0 and size:
                typ: Type | None = self.named(name or "", words, size)
            else:
                typ = None if name is None or not size else self.named(name, "", size)
            self.alloc(event, typ)
