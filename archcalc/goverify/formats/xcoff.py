"""XCOFF programs of 64 bits: of AIX."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from archcalc.goverify.formats.parts import add_debug, named, within
from archcalc.goverify.image import Image, Segment, Unreadable
from archcalc.reading.words import counted

# Section types (scnhdr.h): what is loaded, and what has DWARF, whose upper half tells which.
_TEXT, _DATA, _DWARF = 0x20, 0x40, 0x10
_DWARF_PARTS = {
    1: "info", 2: "line", 3: "pubnames", 4: "pubtypes", 5: "aranges", 6: "abbrev", 7: "str", 8: "ranges",
    9: "loc", 10: "frame", 11: "macinfo",
}  # fmt: skip
_HEADER = struct.Struct(">HHiQHHi")
_SECTION = struct.Struct(">8s6QIII4x")
_SYMBOL = struct.Struct(">QIhHBB")


def read(data: bytes) -> Image:
    """A program with its sections and symbols. Raises Unreadable."""
    within(data, 0, _HEADER.size, "its header")
    _, count, _, symbols, optional, _, symbol_count = _HEADER.unpack_from(data)
    start = _HEADER.size + optional
    within(data, start, count * _SECTION.size, f"its table of {counted(count, 'section')}")
    image = Image(data, "XCOFF", False, ("ppc64",), ("aix",), 0, [])
    debug: dict[str, bytes] = {}
    for at in range(count):
        raw, _, address, size, offset, _, _, _, _, flags = _SECTION.unpack_from(
            data, start + at * _SECTION.size
        )
        name = raw.rstrip(b"\0").decode("ascii", "replace")
        if flags & 0xFFFF in (_TEXT, _DATA):
            within(data, offset, size, f"section {name}")
            image.segments.append(Segment(name, address, offset, size))
        elif flags & 0xFFFF == _DWARF and (part := _DWARF_PARTS.get(flags >> 16)):
            within(data, offset, size, f"section {name}")
            add_debug(image, debug, f".debug_{part}", data[offset : offset + size], False)
    if not image.segments:
        raise Unreadable("nothing in it is loaded: an object file, or an incomplete program")
    image.debug = debug
    if symbols:
        within(data, symbols, symbol_count * _SYMBOL.size, f"its table of {counted(symbol_count, 'symbol')}")
        image.symbols = named(_symbols(data, symbols, symbol_count))
    return image


def _symbols(data: bytes, start: int, count: int) -> Iterator[tuple[str, int, int]]:
    """Name and address of each symbol of a section; auxiliary entries are stepped over."""
    strings = start + count * _SYMBOL.size
    at = 0
    while at < count:
        value, name, section, _, _, auxiliary = _SYMBOL.unpack_from(data, start + at * _SYMBOL.size)
        if section > 0 and name:
            end = data.find(b"\0", strings + name)
            if end < 0:
                raise Unreadable("a symbol's name does not end")
            # The symbol of a function's descriptor and that of its code differ by a dot.
            yield data[strings + name : end].decode("utf-8", "replace").removeprefix("."), value, 0
        at += 1 + auxiliary
