"""Mach-O programs: of macOS and iOS."""

from __future__ import annotations

import struct
from typing import Any

from archcalc.goverify.formats.parts import add_debug, named, within
from archcalc.goverify.image import Image, Segment, Unreadable
from archcalc.host.extras import needed

_MACHO_CPUS = {7: "386", 0x01000007: "amd64", 12: "arm", 0x0100000C: "arm64"}


def read(data: bytes) -> Image:
    wide, little = data[:4] in (b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf"), data[0] in (0xCE, 0xCF)
    order = "<" if little else ">"
    within(data, 0, 32 if wide else 28, "its header")
    _, cpu, _, _, count, size, _ = struct.unpack_from(order + "7I", data)
    start = 32 if wide else 28
    within(data, start, size, f"its {count} load commands")
    if cpu not in _MACHO_CPUS:
        raise Unreadable(f"for processor {cpu:#x}, which Go has no port to")
    at = start
    for number in range(count):
        if at + 8 > start + size:
            raise Unreadable(f"load command {number} of {count} does not fit the {size} bytes of all")
        kind, length = struct.unpack_from(order + "II", data, at)
        if length < 8 or at + length > start + size:
            raise Unreadable(f"load command {number} says that it has {length} bytes")
        _macho_command(data, at, kind, length, order, number)
        at += length
    parsed = _lief_macho(data)
    segments = [
        Segment(str(s.name), s.virtual_address, s.file_offset, s.file_size)
        for s in parsed.segments
        if s.file_size and str(s.name) not in ("__DWARF", "__LINKEDIT")
    ]
    if not segments:
        raise Unreadable("nothing in it is loaded: an object file, or no whole program")
    for segment in segments:
        within(data, segment.offset, segment.size, f"segment {segment.name}")
    image = Image(data, "Mach-O", little, (_MACHO_CPUS[cpu],), ("darwin", "ios"), 0, segments)
    debug: dict[str, bytes] = {}
    for section in parsed.sections:
        name = str(section.name)
        plain = name.removeprefix("__z").removeprefix("__")
        if plain.startswith("debug_"):
            within(data, section.offset, section.size, name)
            add_debug(image, debug, "." + plain, data[section.offset : section.offset + section.size], False)
        elif name == "__gopclntab":
            within(data, section.offset, section.size, name)
            image.pclntab = Segment(name, section.virtual_address, section.offset, section.size)
    image.debug = debug
    image.symbols = named((str(s.name), int(s.value), 0) for s in parsed.symbols if int(s.raw_type) & 0x0E)
    if any(name.startswith("_runtime.") for name in image.symbols):
        image.symbols = {name.removeprefix("_"): symbol for name, symbol in image.symbols.items()}
    return image


def _macho_command(data: bytes, at: int, kind: int, length: int, order: str, number: int) -> None:
    """Refuses what counts more than the file can hold, before anybody walks it."""
    if kind in (1, 0x19):  # LC_SEGMENT, LC_SEGMENT_64
        head, each, place = (56, 68, 48) if kind == 1 else (72, 80, 64)
        if length < head:
            raise Unreadable(f"load command {number} is too short for a segment")
        sections = struct.unpack_from(order + "I", data, at + place)[0]
        if head + sections * each > length:
            raise Unreadable(f"load command {number} has {length} bytes for {sections} sections")
        code, first = ("II", 32) if kind == 1 else ("QQ", 40)
        offset, size = struct.unpack_from(order + code, data, at + first)
        within(data, offset, size, f"the segment of load command {number}")
    elif kind == 2:  # LC_SYMTAB
        if length < 24:
            raise Unreadable(f"load command {number} is too short for a symbol table")
        symbols, count, strings, size = struct.unpack_from(order + "4I", data, at + 8)
        within(data, symbols, count * 12, "its symbol table")
        within(data, strings, size, "its table of names")


def _lief_macho(data: bytes) -> Any:
    lief = needed("lief", "verify")
    lief.logging.disable()
    config = lief.MachO.ParserConfig()
    config.parse_dyld_exports = False
    config.parse_dyld_bindings = False
    config.parse_dyld_rebases = False
    parsed = lief.MachO.parse(data, config)
    if parsed is None or parsed.size < 1:
        raise Unreadable("LIEF cannot read its commands")
    return parsed.at(0)
