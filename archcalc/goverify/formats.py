"""Programs of all formats that Go's linker writes, to Images: ELF, Mach-O, PE and Plan 9's a.out.

Headers are checked here before LIEF sees the file: a file that is cut short, or that counts more
than it can hold, is refused with the reason. Plan 9's format, which LIEF does not know, is read here.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from archcalc.goverify.image import Image, Segment, Symbol, Unreadable
from archcalc.host.extras import needed
from archcalc.reading.errors import Fault, UsageFault

LARGEST = 1 << 30
"""Bytes of a file that is still read."""
LARGEST_SECTION = 1 << 28
"""Bytes that a compressed section may unpack to."""
MOST_SYMBOLS = 2_000_000
MOST_SECTIONS = 0xFF00

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
_MACHO_CPUS = {7: "386", 0x01000007: "amd64", 12: "arm", 0x0100000C: "arm64"}
_PE_MACHINES = {0x14C: "386", 0x8664: "amd64", 0x1C0: "arm", 0x1C4: "arm", 0xAA64: "arm64"}


def read(path: Path) -> Image:
    """A program. Raises UsageFault, with the file and the reason, for anything else."""
    try:
        if path.exists() and not path.is_file():
            raise fault(path, "a folder" if path.is_dir() else "no file, but a device or a pipe")
        if path.stat().st_size > LARGEST:
            raise fault(path, f"larger than {LARGEST >> 20} MB")
        data = path.read_bytes()
    except OSError as error:
        raise fault(path, f"cannot read: {error.strerror or error}") from error
    reader, what = _reader(data)
    if reader is None:
        raise fault(path, what)
    try:
        with warnings.catch_warnings():
            # LIEF warns of each number that has no name, and we judge them ourselves.
            warnings.simplefilter("ignore")
            image: Image = reader(data)
            return image
    except Unreadable as error:
        raise fault(path, f"{what}: {error}") from error
    except (struct.error, zlib.error, MemoryError, OverflowError, RuntimeError, ValueError) as error:
        raise fault(path, f"{what} whose headers contradict each other ({error})") from error


def fault(path: Path, found: str) -> UsageFault:
    """A file that is no program of Go's."""
    return UsageFault(Fault(found, "a program that Go has built", id="no-program", file=str(path)))


def _reader(data: bytes) -> tuple[Any, str]:
    """What reads a file, by how it begins, and what it is."""
    start = data[:4]
    if not data:
        return None, "an empty file"
    if start == b"\x7fELF":
        return _elf, "an ELF file"
    if start in (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"):
        return _macho, "a Mach-O file"
    if start in (b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"):
        return None, "a universal Mach-O file, of several programs"
    if start[:2] == b"MZ":
        return _pe, "a PE file"
    if start in _PLAN9:
        return _plan9, "a Plan 9 a.out file"
    if not data.strip(b"\0"):
        return None, f"{len(data)} bytes of zeros"
    if start[:2] == b"#!" or not set(data[:512]) - set(b"\t\n\f\r" + bytes(range(32, 127))):
        return None, "a text"
    if start[:6] == b"\xfd7zX" or start[:2] == b"\x1f\x8b":
        return None, "a compressed file"
    return None, "no program: it begins with " + start.hex(" ")


def _within(data: bytes, offset: int, size: int, what: str) -> None:
    if offset < 0 or size < 0 or offset + size > len(data):
        raise Unreadable(f"cut short: {what} ends at byte {offset + size}, the file at {len(data)}")


# ---- ELF ------------------------------------------------------------------------------------


def _elf(data: bytes) -> Image:
    _within(data, 0, 52, "its header")
    wide, little = data[4] == 2, data[5] == 1
    if data[4] not in (1, 2) or data[5] not in (1, 2):
        raise Unreadable("neither 32-bit nor 64-bit, or of no byte order")
    order = "<" if little else ">"
    _within(data, 0, 64 if wide else 52, "its header")
    layout = "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"
    header = struct.unpack_from(order + layout, data, 16)
    machine, entry, program, sections = header[1], header[3], header[4], header[5]
    program_size, programs, section_size, count = header[8:12]
    if programs and program_size < (56 if wide else 32):
        raise Unreadable(f"program headers of {program_size} bytes")
    if count and section_size < (64 if wide else 40):
        raise Unreadable(f"section headers of {section_size} bytes")
    _within(data, program, program_size * programs, f"its table of {programs} program headers")
    _within(data, sections, section_size * count, f"its table of {count} sections")
    if count > MOST_SECTIONS:
        raise Unreadable(f"{count} sections")
    for at in range(count):
        kind, offset, size = _section_header(data, sections + at * section_size, order, wide)
        if kind not in (0, 8):  # SHT_NULL and SHT_NOBITS have nothing in the file
            _within(data, offset, size, f"section {at}")
    loads = []
    for at in range(programs):
        kind, offset, address, size = _program_header(data, program + at * program_size, order, wide)
        if kind == 1:
            _within(data, offset, size, f"program header {at}")
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
            _within(image.data, section.offset, section.size, name)
            content = image.data[section.offset : section.offset + section.size]
            compressed = bool(int(section.flags) & 0x800) and not name.startswith(".z")
            _add_debug(image, debug, "." + plain, content, compressed, int(section.flags))
        elif name in (".gopclntab", ".data.rel.ro.gopclntab"):
            _within(image.data, section.offset, section.size, name)
            address = section.virtual_address
            image.pclntab = Segment(name, address, section.offset, section.size)
    image.debug = debug
    image.symbols = _named(
        (str(symbol.name), int(symbol.value), int(symbol.size))
        for symbol in parsed.symtab_symbols
        if "FILE" not in str(symbol.type) and "SECTION" not in str(symbol.type)
    )


def _named(symbols: Iterable[tuple[str, int, int]]) -> Mapping[str, Symbol]:
    found: dict[str, Symbol] = {}
    for number, (name, address, size) in enumerate(symbols):
        if number > MOST_SYMBOLS:
            raise Unreadable(f"more than {MOST_SYMBOLS} symbols")
        if name:
            found.setdefault(name, Symbol(address, size))
    return found


def _add_debug(
    image: Image, debug: dict[str, bytes], name: str, content: bytes, compressed: bool, flags: int = 0
) -> None:
    """A debug section, unpacked where it is compressed either way (ZLIB…, SHF_COMPRESSED)."""
    try:
        if content[:4] == b"ZLIB" and len(content) >= 12:
            content = _unpacked(content[12:], int.from_bytes(content[4:12], "big"))
        elif compressed:
            wide = image.data[4] == 2
            layout = image.order + ("IIQQ" if wide else "III")
            fields = struct.unpack_from(layout, content)
            kind, size = fields[0], fields[2] if wide else fields[1]
            if kind != 1:
                raise Unreadable(f"compressed in way {kind}, which is not zlib's")
            content = _unpacked(content[struct.calcsize(layout) :], size)
    except (Unreadable, struct.error, zlib.error) as error:
        image.notes.append(f"{name}: {error}")
        return
    debug[name] = content


def _unpacked(content: bytes, size: int) -> bytes:
    if size > LARGEST_SECTION:
        raise Unreadable(f"it says that it unpacks to {size} bytes")
    unpacked = zlib.decompressobj().decompress(content, size + 1)
    if len(unpacked) != size:
        raise Unreadable(f"it unpacks to {len(unpacked)} bytes, and says {size}")
    return unpacked


# ---- Mach-O ---------------------------------------------------------------------------------


def _macho(data: bytes) -> Image:
    wide, little = data[:4] in (b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf"), data[0] in (0xCE, 0xCF)
    order = "<" if little else ">"
    _within(data, 0, 32 if wide else 28, "its header")
    _, cpu, _, _, count, size, _ = struct.unpack_from(order + "7I", data)
    start = 32 if wide else 28
    _within(data, start, size, f"its {count} load commands")
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
        _within(data, segment.offset, segment.size, f"segment {segment.name}")
    image = Image(data, "Mach-O", little, (_MACHO_CPUS[cpu],), ("darwin", "ios"), 0, segments)
    debug: dict[str, bytes] = {}
    for section in parsed.sections:
        name = str(section.name)
        plain = name.removeprefix("__z").removeprefix("__")
        if plain.startswith("debug_"):
            _within(data, section.offset, section.size, name)
            _add_debug(image, debug, "." + plain, data[section.offset : section.offset + section.size], False)
        elif name == "__gopclntab":
            _within(data, section.offset, section.size, name)
            image.pclntab = Segment(name, section.virtual_address, section.offset, section.size)
    image.debug = debug
    image.symbols = _named((str(s.name), int(s.value), 0) for s in parsed.symbols if int(s.raw_type) & 0x0E)
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
        _within(data, offset, size, f"the segment of load command {number}")
    elif kind == 2:  # LC_SYMTAB
        if length < 24:
            raise Unreadable(f"load command {number} is too short for a symbol table")
        symbols, count, strings, size = struct.unpack_from(order + "4I", data, at + 8)
        _within(data, symbols, count * 12, "its symbol table")
        _within(data, strings, size, "its table of names")


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


# ---- PE -------------------------------------------------------------------------------------


def _pe(data: bytes) -> Image:
    _within(data, 0, 64, "its DOS header")
    start = struct.unpack_from("<I", data, 60)[0]
    _within(data, start, 24, "its PE header")
    if data[start : start + 4] != b"PE\0\0":
        raise Unreadable("a DOS program without a PE header")
    machine, count, _, table, symbols, optional, _ = struct.unpack_from("<HHIIIHH", data, start + 4)
    _within(data, start + 24, optional + 40 * count, f"its table of {count} sections")
    if machine not in _PE_MACHINES:
        raise Unreadable(f"for machine {machine:#x}, which Go has no port to")
    if optional < 96:
        raise Unreadable("without an optional header: an object file")
    if table:
        _within(data, table, 18 * symbols + 4, f"its table of {symbols} symbols")
        strings = table + 18 * symbols
        _within(data, strings, struct.unpack_from("<I", data, strings)[0], "its table of names")
    entry = struct.unpack_from("<I", data, start + 40)[0]
    parsed = _lief_pe(data)
    base = int(parsed.optional_header.imagebase)
    segments, debug_sections = [], []
    sections = list(parsed.sections)
    for section in sections:
        offset, size = int(section.pointerto_raw_data), int(section.sizeof_raw_data)
        if size:
            _within(data, offset, size, f"section {section.name}")
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
        _add_debug(image, debug, name, content, False)
    image.debug = debug
    starts = {at + 1: base + int(section.virtual_address) for at, section in enumerate(sections)}
    image.symbols = _named(
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


# ---- Plan 9 ---------------------------------------------------------------------------------

_PLAN9: Mapping[bytes, tuple[str, int, int, int]] = {
    b"\x00\x00\x01\xeb": ("386", 32, 0x1000, 0x1000),
    b"\x00\x00\x8a\x97": ("amd64", 40, 0x200000, 0x200000),
    b"\x00\x00\x06\x47": ("arm", 32, 0x1000, 0x1000),
}
"""By magic: GOARCH, bytes of the header, where text is loaded less the header, rounding of data."""


def _plan9(data: bytes) -> Image:
    arch, header, text_base, rounding = _PLAN9[data[:4]]
    _within(data, 0, header, "its header")
    text, initialised, _, table, entry, spsz, pcsz = struct.unpack_from(">7I", data, 4)
    if header == 40:
        entry = struct.unpack_from(">Q", data, 32)[0]
    _within(data, header, text + initialised + table + spsz + pcsz, "text, data and symbols")
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
