"""Logs of allocations that other tools wrote, as events: GODEBUG=allocfreetrace=1, and lists of sizes.

The traces are printed by malloc and the sweeper themselves, under a lock and from the program's
start on. So an object that is freed without having been allocated, or twice, or with another
size, shows that the log is damaged.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from archcalc.reading.words import counted
from archcalc.traces.reader import GZIP_MAGIC, MAX_LINE, fault, shorten

_TRACE = re.compile(r"(?<!runtime\.)trace(?:alloc|free|gc)")  # runtime.tracealloc is a frame of a stack
_ALLOC = re.compile(r"tracealloc\(0x([0-9a-f]{1,16}), 0x([0-9a-f]{1,16})(?:, (.+))?\)", re.ASCII)
_FREE = re.compile(r"tracefree\(0x([0-9a-f]{1,16}), 0x([0-9a-f]{1,16})\)", re.ASCII)
_STACK = re.compile(r"goroutine \d+ .*\[.*\]:", re.ASCII)
_SIZE = re.compile(r"\d{1,20}|0x[0-9a-fA-F]{1,16}", re.ASCII)
_HEADING = re.compile(r"size\s*(,\s*type)?", re.ASCII | re.IGNORECASE)

FORMS = ("allocfreetrace", "sizes")
FIRST_LINES = 10_000  # in which a log that begins like a list of sizes shows that it is not one
ALLOC, FREE, COLLECT = range(3)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a log tells; `line` is where. Addresses are the log's own, sizes are bytes."""

    kind: int
    line: int
    address: int = 0
    size: int = 0
    type: str | None = None


class Log:
    """An opened log, whose events can be gone through more than once. A context manager.

    `form` is one of FORMS; `other_lines` counts, after `events`, the lines that the program printed.
    Raises TraceFault for what is not a log.
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
        """All its events, in order."""
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
            file = unpacked(self._file)
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
            raise fault(self.name, number, f"a line of more than {counted(MAX_LINE, 'byte')}", "a log")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as broken:
            raise fault(
                self.name,
                number,
                f"byte {data[broken.start]:#04x}, which is not UTF-8",
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
                # A program may print stacks itself, but not after what looks like a trace.
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
                self.name, number, shorten(rest.strip()), f"{expected}, and nothing after", column + end
            )
        return size, typ


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """What is in a file: itself, or what it has packed by gzip, xz or bzip2."""
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
    """Where a whole trace begins in a line, after what the program printed without a line end."""
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
