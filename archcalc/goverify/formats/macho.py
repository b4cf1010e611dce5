"""Mach-O programs, read by LIEF: of macOS and iOS."""

from __future__ import annotations

from typing import Any

from archcalc.goverify.formats.parts import add_debug, asking, named, within, without_underscores
from archcalc.goverify.image import Image, Segment, Unreadable
from archcalc.host.extras import needed
from archcalc.reading.words import counted

_CPUS = {"X86": "386", "X86_64": "amd64", "ARM": "arm", "ARM64": "arm64"}
_DEFINED = 0x0E
"""The bits of a symbol's type that are clear where it is defined elsewhere (N_TYPE)."""


def read(data: bytes) -> Image:
    """A program with its sections and symbols. Raises Unreadable."""
    lief = needed("lief", "verify")
    with asking("LIEF", "its load commands"):
        parsed = _parsed(lief, data)
        _look_for_cuts(data, parsed)
        image = _loaded(data, parsed)
        _add_sections(image, parsed)
        image.symbols = without_underscores(
            named((str(s.name), int(s.value), 0) for s in parsed.symbols if int(s.raw_type) & _DEFINED)
        )
    return image


def _parsed(lief: Any, data: bytes) -> Any:
    lief.logging.disable()
    config = lief.MachO.ParserConfig()
    config.parse_dyld_exports = False
    config.parse_dyld_bindings = False
    config.parse_dyld_rebases = False
    parsed = lief.MachO.parse(data, config)
    if parsed is None or parsed.size < 1:
        raise Unreadable("cut short, or no load commands that LIEF can read")
    return parsed.at(0)


def _look_for_cuts(data: bytes, parsed: Any) -> None:
    """Refuses a file that LIEF gave up on, or whose tables claim more than the file has."""
    said, found = parsed.header.nb_cmds, len(parsed.commands)
    if said != found:
        raise Unreadable(f"of {said} load commands, {found} can be read")
    for segment in parsed.segments:
        if segment.numberof_sections != len(segment.sections):
            raise Unreadable(
                f"segment {segment.name} has no room for {counted(segment.numberof_sections, 'section')}"
            )
        within(data, segment.file_offset, segment.file_size, f"segment {segment.name}")
    table = parsed.symbol_command
    if table is not None:
        within(data, table.symbol_offset, table.numberof_symbols * 12, "its symbol table")
        within(data, table.strings_offset, table.strings_size, "its table of names")


def _loaded(data: bytes, parsed: Any) -> Image:
    """What is loaded of a program, and for which ports it may be."""
    cpu = getattr(parsed.header.cpu_type, "name", str(parsed.header.cpu_type))
    if cpu not in _CPUS:
        raise Unreadable(f"for processor {cpu}, which Go has no port to")
    segments = [
        Segment(str(one.name), one.virtual_address, one.file_offset, one.file_size)
        for one in parsed.segments
        if one.file_size and str(one.name) not in ("__DWARF", "__LINKEDIT")
    ]
    if not segments:
        raise Unreadable("nothing in it is loaded: an object file, or an incomplete program")
    return Image(data, "Mach-O", True, (_CPUS[cpu],), ("darwin", "ios"), 0, segments)


def _add_sections(image: Image, parsed: Any) -> None:
    debug: dict[str, bytes] = {}
    for section in parsed.sections:
        name, offset, size = str(section.name), section.offset, section.size
        plain = name.removeprefix("__z").removeprefix("__")
        if plain.startswith("debug_"):
            within(image.data, offset, size, name)
            add_debug(image, debug, "." + plain, image.data[offset : offset + size], False)
        elif name == "__gopclntab":
            within(image.data, offset, size, name)
            image.pclntab = Segment(name, section.virtual_address, offset, size)
    image.debug = debug
