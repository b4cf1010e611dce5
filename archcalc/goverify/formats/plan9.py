"""Programs of Plan 9: its a.out, which no library reads."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from archcalc.goverify.formats.parts import within
from archcalc.goverify.image import Image, Segment, Symbol, Unreadable

MAGICS: Mapping[bytes, tuple[str, int, int, int]] = {
    b"\x00\x00\x01\xeb": ("386", 32, 0x1000, 0x1000),
    b"\x00\x00\x8a\x97": ("amd64", 40, 0x200000, 0x200000),
    b"\x00\x00\x06\x47": ("arm", 32, 0x1000, 0x1000),
}
"""By magic: GOARCH, bytes of the header, where text is loaded less the header, rounding of data."""


def read(data: bytes) -> Image:
    arch, header, text_base, rounding = MAGICS[data[:4]]
    within(data, 0, header, "its header")
    text, initialised, _, table, entry, spsz, pcsz = struct.unpack_from(">7I", data, 4)
    if header == 40:
        entry = struct.unpack_from(">Q", data, 32)[0]
    within(data, header, text + initialised + table + spsz + pcsz, "text, data and symbols")
    text_address = text_base + header
    data_address = -(-(text_address + text) // rounding) * rounding
    segments = [
        Segment("text", text_address, header, text),
        Segment("data", data_address, header + text, initialised),
    ]
    image = Image(data, "Plan 9 a.out", True, (arch,), ("plan9",), entry, segments)
    start = header + text + initialised
    image.symbols = _plan9_symbols(data[start : start + table], 8 if header == 40 else 4)
    return image


def _plan9_symbols(table: bytes, width: int) -> Mapping[str, Symbol]:
    """Big-endian value, type with its high bit set, name and NUL (a.out(6)).

    The names of source files, whose components are numbers, are stepped over.
    """
    found: dict[str, Symbol] = {}
    at = 0
    while at + width + 1 < len(table):
        value = int.from_bytes(table[at : at + width], "big")
        kind = chr(table[at + width] & 0x7F)
        at += width + 1
        if kind in "zZ":
            at += 1
            while table[at : at + 2] not in (b"\0\0", b""):
                at += 2
            at += 2
            continue
        end = table.find(b"\0", at)
        if end < 0:
            raise Unreadable("a symbol's name does not end")
        if kind in "tTdDbB":
            found.setdefault(table[at:end].decode("utf-8", "replace"), Symbol(value, 0))
        at = end + 1
    return found
