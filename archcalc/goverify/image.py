"""A program as it lies in memory: segments, symbols and debug sections, whatever its format."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from archcalc.reading.words import counted


class Unreadable(Exception):
    """A part of a program that is not what it says, with the reason."""


class Segment(NamedTuple):
    """A part of the file that is loaded: its address, its place in the file and its size there, in bytes."""

    name: str
    address: int
    offset: int
    size: int


class Symbol(NamedTuple):
    """A symbol's address, and its size in bytes where the format tells (0 where not)."""

    address: int
    size: int


@dataclass
class Image:
    """What a reader of a format makes of a file.

    `archs` are the GOARCHs and `systems` the GOOSs that the headers allow; `debug` has the
    DWARF sections, uncompressed, by their ELF names.
    """

    data: bytes
    format: str
    little_endian: bool
    archs: tuple[str, ...]
    systems: tuple[str, ...]
    entry: int
    segments: list[Segment]
    symbols: Mapping[str, Symbol] = field(default_factory=dict)
    debug: Mapping[str, bytes] = field(default_factory=dict)
    pclntab: Segment | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def order(self) -> str:
        """The byte order as `struct` writes it."""
        return "<" if self.little_endian else ">"

    def offset(self, address: int, size: int = 1) -> int | None:
        """Where in the file some bytes of memory are; None where the file does not have them."""
        for segment in self.segments:
            at = address - segment.address
            if at >= 0 and at + size <= segment.size and segment.offset + at + size <= len(self.data):
                return segment.offset + at
        return None

    def address(self, offset: int) -> int | None:
        """Where in memory a byte of the file lies."""
        for segment in self.segments:
            if segment.offset <= offset < segment.offset + segment.size:
                return segment.address + offset - segment.offset
        return None

    def read(self, address: int, size: int) -> bytes:
        """Bytes of memory. Raises Unreadable where the file does not have them all."""
        offset = self.offset(address, size) if size >= 0 else None
        if offset is None:
            raise Unreadable(f"{counted(size, 'byte')} at {address:#x} are not in the file")
        return self.data[offset : offset + size]

    def numbers(self, address: int, count: int, width: int) -> tuple[int, ...]:
        """Unsigned integers of `width` bytes. Raises Unreadable."""
        code = {1: "B", 2: "H", 4: "I", 8: "Q"}[width]
        return struct.unpack(f"{self.order}{count}{code}", self.read(address, count * width))

    def find(self, needle: bytes) -> Iterator[int]:
        """The addresses of some bytes, in the order of the file."""
        at = self.data.find(needle)
        while at >= 0:
            address = self.address(at)
            if address is not None:
                yield address
            at = self.data.find(needle, at + 1)
