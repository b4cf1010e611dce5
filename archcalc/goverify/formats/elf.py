"""ELF programs: of Linux, the BSDs, Solaris and Native Client."""

from __future__ import annotations

import struct
from typing import Any

from archcalc.goverify.formats.parts import MOST_SECTIONS, add_debug, named, within
from archcalc.goverify.image import Image, Segment, Unreadable
from archcalc.host.extras import needed

_ELF_MACHINES = {
    3: ("386",), 8: ("mips", "mipsle", "mips64", "mips64le"), 20: ("ppc",), 21: ("ppc64", "ppc64le"),
    22: ("s390x",), 40: ("arm",), 62: ("amd64", "amd64p32"), 183: ("arm64",), 243: ("riscv", "riscv64"),
    258: ("loong64",), 43: ("sparc64",),
}  # fmt: skip
_ELF_SYSTEMS = {
    0: ("linux", "android", "netbsd", "openbsd", "dragonfly", "solaris", "freebsd", "illumos"),
    2: ("netbsd",), 3: ("linux", "android"), 6: ("solaris", "illumos"), 9: ("freebsd",),
    12: ("openbsd",), 123: ("nacl",),
}  # fmt: skip


def read(data: bytes) -> Image:
    within(data, 0, 52, "its header")
    wide, little = data[4] == 2, data[5] == 1
    if data[4] not in (1, 2) or data[5] not in (1, 2):
        raise Unreadable("neither 32-bit nor 64-bit, or of no byte order")
    order = "<" if little else ">"
    within(data, 0, 64 if wide else 52, "its header")
    layout = "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"
    header = struct.unpack_from(order + layout, data, 16)
    machine, entry, program, sections = header[1], header[3], header[4], header[5]
    program_size, programs, section_size, count = header[8:12]
    if programs and program_size < (56 if wide else 32):
        raise Unreadable(f"program headers of {program_size} bytes")
    if count and section_size < (64 if wide else 40):
        raise Unreadable(f"section headers of {section_size} bytes")
    within(data, program, program_size * programs, f"its table of {programs} program headers")
    within(data, sections, section_size * count, f"its table of {count} sections")
    if count > MOST_SECTIONS:
        raise Unreadable(f"{count} sections")
    for at in range(count):
        kind, offset, size = _section_header(data, sections + at * section_size, order, wide)
        if kind not in (0, 8):  # SHT_NULL and SHT_NOBITS have nothing in the file
            within(data, offset, size, f"section {at}")
    loads = []
    for at in range(programs):
        kind, offset, address, size = _program_header(data, program + at * program_size, order, wide)
        if kind == 1:
            within(data, offset, size, f"program header {at}")
            loads.append(Segment(f"load {at}", address, offset, size))
    if not loads:
        raise Unreadable("nothing in it is loaded: an object file, or no whole program")
    if machine not in _ELF_MACHINES:
        raise Unreadable(f"for machine {machine}, which Go has no port to")
    image = Image(data, "ELF", little, _ELF_MACHINES[machine], _ELF_SYSTEMS.get(data[7], ()), entry, loads)
    if count:
        _elf_sections(image, _lief_elf(data))
    return image


def _program_header(data: bytes, at: int, order: str, wide: bool) -> tuple[int, int, int, int]:
    """Kind, offset, address and size in the file."""
    if wide:
        kind, _, offset, address, _, size = struct.unpack_from(order + "IIQQQQ", data, at)
    else:
        kind, offset, address, _, size = struct.unpack_from(order + "IIIII", data, at)
    return kind, offset, address, size


def _section_header(data: bytes, at: int, order: str, wide: bool) -> tuple[int, int, int]:
    """Kind, offset and size in the file."""
    if wide:
        _, kind, _, _, offset, size = struct.unpack_from(order + "IIQQQQ", data, at)
    else:
        _, kind, _, _, offset, size = struct.unpack_from(order + "IIIIII", data, at)
    return kind, offset, size


def _lief_elf(data: bytes) -> Any:
    lief = needed("lief", "verify")
    lief.logging.disable()
    config = lief.ELF.ParserConfig()
    config.parse_relocations = False
    config.parse_dyn_symbols = False
    config.parse_symbol_versions = False
    config.parse_overlay = False
    parsed = lief.ELF.parse(data, config)
    if parsed is None:
        raise Unreadable("LIEF cannot read its tables")
    return parsed


def _elf_sections(image: Image, parsed: Any) -> None:
    debug: dict[str, bytes] = {}
    for section in parsed.sections:
        name, kind = str(section.name), section.type
        if "NOBITS" in str(kind) or not section.size:
            continue
        plain = name.removeprefix(".z").removeprefix(".")
        if plain.startswith("debug_"):
            within(image.data, section.offset, section.size, name)
            content = image.data[section.offset : section.offset + section.size]
            compressed = bool(int(section.flags) & 0x800) and not name.startswith(".z")
            add_debug(image, debug, "." + plain, content, compressed, int(section.flags))
        elif name in (".gopclntab", ".data.rel.ro.gopclntab"):
            within(image.data, section.offset, section.size, name)
            address = section.virtual_address
            image.pclntab = Segment(name, address, section.offset, section.size)
    image.debug = debug
    image.symbols = named(
        (str(symbol.name), int(symbol.value), int(symbol.size))
        for symbol in parsed.symtab_symbols
        if "FILE" not in str(symbol.type) and "SECTION" not in str(symbol.type)
    )
