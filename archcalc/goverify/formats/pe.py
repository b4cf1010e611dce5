"""PE programs: of Windows."""

from __future__ import annotations

import struct
from typing import Any

from archcalc.goverify.formats.parts import add_debug, named, within
from archcalc.goverify.image import Image, Segment, Unreadable
from archcalc.host.extras import needed

_PE_MACHINES = {0x14C: "386", 0x8664: "amd64", 0x1C0: "arm", 0x1C4: "arm", 0xAA64: "arm64"}


def read(data: bytes) -> Image:
    within(data, 0, 64, "its DOS header")
    start = struct.unpack_from("<I", data, 60)[0]
    within(data, start, 24, "its PE header")
    if data[start : start + 4] != b"PE\0\0":
        raise Unreadable("a DOS program without a PE header")
    machine, count, _, table, symbols, optional, _ = struct.unpack_from("<HHIIIHH", data, start + 4)
    within(data, start + 24, optional + 40 * count, f"its table of {count} sections")
    if machine not in _PE_MACHINES:
        raise Unreadable(f"for machine {machine:#x}, which Go has no port to")
    if optional < 96:
        raise Unreadable("without an optional header: an object file")
    if table:
        within(data, table, 18 * symbols + 4, f"its table of {symbols} symbols")
        strings = table + 18 * symbols
        within(data, strings, struct.unpack_from("<I", data, strings)[0], "its table of names")
    entry = struct.unpack_from("<I", data, start + 40)[0]
    parsed = _lief_pe(data)
    base = int(parsed.optional_header.imagebase)
    segments, debug_sections = [], []
    sections = list(parsed.sections)
    for section in sections:
        offset, size = int(section.pointerto_raw_data), int(section.sizeof_raw_data)
        if size:
            within(data, offset, size, f"section {section.name}")
        name = _coff_name(data, str(section.name), table + 18 * symbols)
        plain = name.removeprefix(".z").removeprefix(".")
        used = min(size, int(section.virtual_size)) or size
        if plain.startswith("debug_"):
            debug_sections.append(("." + plain, data[offset : offset + used]))
        elif size:
            segments.append(Segment(name, base + int(section.virtual_address), offset, size))
    if not segments:
        raise Unreadable("nothing in it is loaded")
    image = Image(data, "PE", True, (_PE_MACHINES[machine],), ("windows",), base + entry, segments)
    debug: dict[str, bytes] = {}
    for name, content in debug_sections:
        add_debug(image, debug, name, content, False)
    image.debug = debug
    starts = {at + 1: base + int(section.virtual_address) for at, section in enumerate(sections)}
    image.symbols = named(
        (str(s.name), starts[s.section_idx] + int(s.value), 0)
        for s in parsed.symbols
        if s.section_idx in starts
    )
    if any(name.startswith("_runtime.") for name in image.symbols):
        image.symbols = {name.removeprefix("_"): symbol for name, symbol in image.symbols.items()}
    return image


def _coff_name(data: bytes, name: str, strings: int) -> str:
    """A section's name, which stands in the table of strings where it is long."""
    if not name.startswith("/") or not name[1:].isdecimal():
        return name
    start = strings + int(name[1:])
    end = data.find(b"\0", start, start + 256)
    return data[start:end].decode("utf-8", "replace") if 0 <= start < end else name


def _lief_pe(data: bytes) -> Any:
    lief = needed("lief", "verify")
    lief.logging.disable()
    config = lief.PE.ParserConfig()
    for part in ("parse_signature", "parse_exports", "parse_imports", "parse_rsrc", "parse_reloc"):
        setattr(config, part, False)
    parsed = lief.PE.parse(data, config)
    if parsed is None:
        raise Unreadable("LIEF cannot read its tables")
    return parsed
