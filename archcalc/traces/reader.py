"""Reading recordings: the header, the types, and the lines, streamed.

A recording is text, gzip'd or plain, one record a line. Whatever is wrong with a file is
a `TraceFault` with its line number; memory stays at one piece of the file.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allocator.common.types import KIND_GC_PROG, KIND_NO_POINTERS, Type
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted

FORMAT = "archtrace"
VERSION = 1
VERSIONS = (1, 2, 3)

GZIP_MAGIC = b"\x1f\x8b"
COLUMNAR_MAGIC = b"PAR1"

PIECE = 1 << 20
MAX_LINE = 1 << 24
MAX_COUNT = 1 << 64

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,19})", re.ASCII)
_WORDS = re.compile(r"(?:0|[1-9a-f][0-9a-f]{0,15})(?:,(?:0|[1-9a-f][0-9a-f]{0,15}))*")


class TraceFault(UsageFault):
    """A recording that cannot be read: cut short, damaged, or not a recording at all."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line. Sizes and addresses are bytes; `extra` is all of it, as read."""

    platform: str
    data_end: int
    phys_page_size: int
    events: int
    workload: str
    gc: str
    gomaxprocs: int
    ulimit_v: int | None
    extra: dict[str, Any]
    version: int = VERSION
    generation: str = ""  # the release of Go that the program was built by, without its last number
    phys_huge_page_size: int = 0

    @property
    def collector_off(self) -> bool:
        """Whether the run had GOGC=off."""
        return self.gc == "off"


def fault(path: str, line: int, found: str, expected: str = "", column: int = 1) -> TraceFault:
    """A fault at a line of a recording; line 0 where it is not in a line."""
    return TraceFault(Fault(found, expected, id="trace", file=path, line=line, column=column))


def shorten(line: str) -> str:
    """A line as a message quotes it."""
    return repr(line if len(line) <= 100 else line[:97] + "...")


@functools.lru_cache(maxsize=1 << 14)  # recordings have the same ones over and over
@functools.lru_cache(maxsize=1 << 12)
def decimal(text: str) -> int:
    """A count as recordings write it. ValueError for anything else."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"found {shorten(text)}, expected a decimal number")
    value = int(text)
    if value >= MAX_COUNT:
        raise ValueError(f"found {text}, expected a number of at most 64 bits")
    return value


def address(text: str) -> int:
    """An address as recordings write it. ValueError for anything else."""
    try:
        value = int(text, 16)
        if 0 <= value < MAX_COUNT and f"{value:x}" == text:
            return value
    except ValueError:
        pass
    raise ValueError(f"found {shorten(text)}, expected a hexadecimal address without 0x")


base_of = functools.lru_cache(maxsize=1 << 14)(address)  # of spans, which are swept again in each cycle


@functools.lru_cache(maxsize=1 << 12)  # what lives long has the same ones again in each cycle
def marks_of(words: str) -> int:
    """The mark bits that 64-bit words say, low bits first. ValueError where they are not written so."""
    if not _WORDS.fullmatch(words):
        raise ValueError(f"found {shorten(words)}, expected hexadecimal words of 64 bits")
    return int("".join([word.zfill(16) for word in reversed(words.split(","))]), 16)


def pieces(path: Path) -> Iterator[list[str]]:
    """The lines of a text file, gzip'd or plain, at most a megabyte's worth at a time. Opened once."""
    for line_number, data in blocks(path):
        yield _decode(str(path), line_number, data).split("\n")


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """The same before it is decoded: the number of the first line, and lines without the end of the last."""
    name = str(path)
    line_number = 1
    rest = b""
    try:
        with path.open("rb") as raw, _unpacked(name, raw) as file:
            # read1 gives what there is before it reports that the rest is missing.
            while data := file.read1(PIECE):
                whole, newline, data_rest = (rest + data).rpartition(b"\n")
                rest = data_rest
                if len(rest) > MAX_LINE:
                    raise fault(
                        name, line_number, f"a line of more than {counted(MAX_LINE, 'byte')}", "a recording"
                    )
                if newline:
                    yield line_number, whole
                    line_number += whole.count(b"\n") + 1
            if rest:
                raise fault(name, line_number, "a last line without a line end", "a complete recording")
    except (EOFError, zlib.error, gzip.BadGzipFile) as broken:
        raise fault(name, line_number, f"gzip data that is damaged or cut short ({broken})") from None
    except OSError as broken:
        raise TraceFault(
            Fault(f"cannot be read: {broken.strerror or broken}", id="trace", file=name)
        ) from None


def check_text(path: str, first: int, data: bytes) -> None:
    """TraceFault where lines, the first of that number, are not UTF-8."""
    if not data.isascii():
        _decode(path, first, data)


def _unpacked(name: str, raw: io.BufferedReader) -> gzip.GzipFile | io.BufferedReader:
    """A file's text, by its first bytes. TraceFault for what is not text of a recording."""
    magic = raw.peek(4)[:4]
    if magic[:2] == GZIP_MAGIC:
        return gzip.GzipFile(fileobj=raw, mode="rb")
    if magic == COLUMNAR_MAGIC:
        raise fault(name, 0, "columns, which cannot be read in one pass", "a file, not a pipe")
    if magic[:1] != b"{" and magic:
        raise fault(name, 1, "not a recording", "*.trace.gz, or the text in it, which begins with a header")
    return raw


def _decode(path: str, first: int, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as broken:
        line = first + data.count(b"\n", 0, broken.start)
        raise fault(path, line, f"byte {data[broken.start]:#04x}, which is not UTF-8") from None


def parse_header(path: str, line: str, versions: tuple[int, ...] = (VERSION,)) -> Header:
    """The header, or TraceFault. Only some versions are accepted."""
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise fault(path, 1, shorten(line), f'a header line with "format": "{FORMAT}"')
    if type(header.get("version")) is not int or header["version"] not in versions:
        expected = f"version {' or '.join(map(str, versions))}"
        raise fault(path, 1, f"version {header.get('version')!r} of the format", expected)

    def number(key: str, default: int | None = None) -> int:
        value = header.get(key, default)
        if type(value) is not int or not 0 <= value < MAX_COUNT:
            raise fault(
                path, 1, f"{key}: {shorten(repr(value))} in the header", "a number of at most 64 bits"
            )
        return value

    def word(key: str) -> str:
        value = header.get(key, "")
        if not isinstance(value, str):
            raise fault(path, 1, f"{key}: {shorten(repr(value))} in the header", "a string")
        return value

    return Header(
        platform=word("platform"),
        data_end=number("data_end"),
        phys_page_size=number("phys_page_size"),
        events=number("events"),
        workload=word("workload"),
        gc=word("gc"),
        gomaxprocs=number("gomaxprocs", 1),
        ulimit_v=number("ulimit_v") if "ulimit_v" in header else None,
        extra=header,
        version=header["version"],
        generation=".".join(word("go").removeprefix("go").split(".")[:2]),
        phys_huge_page_size=number("phys_huge_page_size", 0),
    )


def parse_type(line: str, ptr_size: int) -> tuple[int, Type]:
    """A T record: its number and the type. ValueError where it is malformed."""
    parts = line.split(" ", 7)
    if len(parts) != 8:
        raise ValueError(f"found {shorten(line)}, expected T id size ptrdata kind align ptrmask name")
    _, number, size, ptrdata, kind, align, mask, name = parts
    try:
        name = json.loads(name)
        data = b"" if mask == "-" else bytes.fromhex(mask)
    except (ValueError, RecursionError):
        raise ValueError(f"found {shorten(line)}, expected a mask in hexadecimal and a JSON string") from None
    if not isinstance(name, str) or (mask != "-" and mask != data.hex()):
        raise ValueError(f"found {shorten(line)}, expected a mask in hexadecimal and a JSON string")
    typ = Type(
        decimal(size), decimal(ptrdata), decimal(kind), decimal(align), data, name, name == "runtime._defer"
    )
    if typ.kind > 255 or typ.ptrdata > typ.size:
        raise ValueError(f"found {shorten(line)}, expected a kind of one byte and ptrdata within the size")
    if not typ.noscan and not typ.kind & KIND_GC_PROG and len(data) * 8 < typ.ptrdata // ptr_size:
        words = counted(typ.ptrdata // ptr_size, "bit")
        raise ValueError(f"found {shorten(line)}, expected a mask of {words}")
    if bool(typ.kind & KIND_NO_POINTERS) != (typ.ptrdata == 0):
        raise ValueError(f"found {shorten(line)}, expected ptrdata 0 just where the kind says no pointers")
    return decimal(number), typ
