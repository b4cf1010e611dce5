"""PE programs, read by LIEF: of Windows."""

from __future__ import annotations

from typing import Any

from archcalc.goverify.formats.parts import add_debug, asking, named, within, without_underscores
from archcalc.goverify.image import Image, Segment, Unreadable
from archcalc.host.extras import needed
from archcalc.reading.words import counted

_MACHINES = {"I386": "386", "AMD64": "amd64", "ARM": "arm", "THUMB": "arm", "ARMNT": "arm", "ARM64": "arm64"}
_NOT_NEEDED = ("parse_signature", "parse_exports", "parse_imports", "parse_rsrc", "parse_reloc")
_SHORTEST_OPTIONAL_HEADER = 96
"""Bytes of the header that a program has, but an object file does not."""
_SYMBOL = 18
"""Bytes of a symbol."""


def read(data: bytes) -> Image:
    """A program with its sections and symbols. Raises Unreadable."""
    lief = needed("lief", "verify")
    with asking("LIEF", "its headers"):
        parsed = _parsed(lief, data)
        _look_for_cuts(data, parsed)
        image = _loaded(data, parsed)
        base = int(parsed.optional_header.imagebase)
        starts = {at: base + int(one.virtual_address) for at, one in enumerate(parsed.sections, 1)}
        image.symbols = without_underscores(
            named(
                (str(one.name), starts[one.section_idx] + int(one.value), 0)
                for one in parsed.symbols
                if one.section_idx in starts
            )
        )
    return image


def _parsed(lief: Any, data: bytes) -> Any:
    lief.logging.disable()
    config = lief.PE.ParserConfig()
    for part in _NOT_NEEDED:
        setattr(config, part, False)
    parsed = lief.PE.parse(data, config)
    if parsed is None:
        raise Unreadable("cut short, or a DOS program without a PE header")
    return parsed


def _look_for_cuts(data: bytes, parsed: Any) -> None:
    """Refuses a file that LIEF gave up on, or whose tables claim more than the file has."""
    header = parsed.header
    said, found = header.numberof_sections, len(parsed.sections)
    if said != found:
        raise Unreadable(f"cut short: of {counted(said, 'section')}, {found} can be read")
    if header.sizeof_optional_header < _SHORTEST_OPTIONAL_HEADER:
        raise Unreadable("without an optional header: an object file")
    if header.pointerto_symbol_table:
        size = _SYMBOL * header.numberof_symbols
        within(
            data,
            header.pointerto_symbol_table,
            size,
            f"its table of {counted(header.numberof_symbols, 'symbol')}",
        )
    for section in parsed.sections:
        if section.sizeof_raw_data:
            name = f"section {section.name}"
            within(data, section.pointerto_raw_data, section.sizeof_raw_data, name)


def _loaded(data: bytes, parsed: Any) -> Image:
    """What is loaded of a program, for which port, and its debug sections."""
    machine = getattr(parsed.header.machine, "name", str(parsed.header.machine))
    if machine not in _MACHINES:
        raise Unreadable(f"for machine {machine}, which Go has no port to")
    base = int(parsed.optional_header.imagebase)
    entry = base + int(parsed.optional_header.addressof_entrypoint)
    image = Image(data, "PE", True, (_MACHINES[machine],), ("windows",), entry, [])
    debug: dict[str, bytes] = {}
    for section in parsed.sections:
        offset, size = int(section.pointerto_raw_data), int(section.sizeof_raw_data)
        # Names that are longer than eight bytes are in the table of strings.
        name = str(section.coff_string.string if section.coff_string else section.name)
        plain = name.removeprefix(".z").removeprefix(".")
        if plain.startswith("debug_"):
            used = min(size, int(section.virtual_size)) or size
            add_debug(image, debug, "." + plain, data[offset : offset + used], False)
        elif size:
            image.segments.append(Segment(name, base + int(section.virtual_address), offset, size))
    if not image.segments:
        raise Unreadable("nothing in it is loaded")
    image.debug = debug
    return image
