"""ELF programs, read by pyelftools: of Linux, the BSDs, Solaris and Native Client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

from archcalc.goverify.formats.parts import MOST_SECTIONS, MOST_SYMBOLS, add_debug, asking, named, within
from archcalc.goverify.image import Image, Segment, Unreadable
from archcalc.host.extras import needed
from archcalc.reading.words import counted

_ARCHS: Mapping[str, tuple[str, ...]] = {
    "EM_386": ("386",), "EM_MIPS": ("mips", "mipsle", "mips64", "mips64le"), "EM_PPC": ("ppc",),
    "EM_PPC64": ("ppc64", "ppc64le"), "EM_S390": ("s390x",), "EM_ARM": ("arm",),
    "EM_X86_64": ("amd64", "amd64p32"), "EM_AARCH64": ("arm64",), "EM_RISCV": ("riscv", "riscv64"),
    "EM_LOONGARCH": ("loong64",), "EM_SPARCV9": ("sparc64",),
}  # fmt: skip
_SYSTEMS: Mapping[str | int, tuple[str, ...]] = {
    "ELFOSABI_SYSV": (
        "linux", "android", "netbsd", "openbsd", "dragonfly", "solaris", "freebsd", "illumos",
    ),
    "ELFOSABI_NETBSD": ("netbsd",), "ELFOSABI_LINUX": ("linux", "android"),
    "ELFOSABI_SOLARIS": ("solaris", "illumos"), "ELFOSABI_FREEBSD": ("freebsd",),
    "ELFOSABI_OPENBSD": ("openbsd",), 123: ("nacl",),
}  # fmt: skip
_TABLES = (".gopclntab", ".data.rel.ro.gopclntab")
"""Sections that Go's table of functions is in, the second in programs that may lie anywhere (PIE)."""


def read(data: bytes) -> Image:
    """A program with its sections and symbols. Raises Unreadable."""
    if len(data) > 5 and (data[4] not in (1, 2) or data[5] not in (1, 2)):
        raise Unreadable("neither 32-bit nor 64-bit, or without a byte order")
    library = needed("elftools.elf.elffile", "verify")
    with asking("pyelftools", "its headers"):
        file = library.ELFFile(BytesIO(data))
        image = _loaded(data, file)
        if file.num_sections() > MOST_SECTIONS:
            raise Unreadable(f"{counted(file.num_sections(), 'section')}")
        _add_sections(image, file)
    return image


def _loaded(data: bytes, file: Any) -> Image:
    """What is loaded of a program, and for which ports it may be."""
    loads = []
    for at, segment in enumerate(file.iter_segments("PT_LOAD")):
        within(data, segment["p_offset"], segment["p_filesz"], f"part {at} of what is loaded")
        loads.append(Segment(f"load {at}", segment["p_vaddr"], segment["p_offset"], segment["p_filesz"]))
    if not loads:
        raise Unreadable("nothing in it is loaded: an object file, or an incomplete program")
    machine = file["e_machine"]
    if machine not in _ARCHS:
        raise Unreadable(f"for machine {machine}, which Go has no port to")
    systems = _SYSTEMS.get(file["e_ident"]["EI_OSABI"], ())
    return Image(data, "ELF", file.little_endian, _ARCHS[machine], systems, file["e_entry"], loads)


def _add_sections(image: Image, file: Any) -> None:
    debug: dict[str, bytes] = {}
    for section in file.iter_sections():
        name, offset, size = section.name, section["sh_offset"], section["sh_size"]
        if section["sh_type"] in ("SHT_NULL", "SHT_NOBITS") or not size:
            continue
        within(image.data, offset, size, f"section {name}")
        plain = name.removeprefix(".z").removeprefix(".")
        if plain.startswith("debug_"):
            compressed = bool(section.compressed) and not name.startswith(".z")
            add_debug(image, debug, "." + plain, image.data[offset : offset + size], compressed)
        elif name in _TABLES:
            image.pclntab = Segment(name, section["sh_addr"], offset, size)
        elif section["sh_type"] == "SHT_SYMTAB":
            image.symbols = named(_symbols(section))
    image.debug = debug


def _symbols(table: Any) -> Iterator[tuple[str, int, int]]:
    """Name, address and size of each symbol but those of files and sections."""
    if table.num_symbols() > MOST_SYMBOLS:
        raise Unreadable(f"more than {counted(MOST_SYMBOLS, 'symbol')}")
    for symbol in table.iter_symbols():
        if symbol["st_info"]["type"] not in ("STT_FILE", "STT_SECTION"):
            yield symbol.name, symbol["st_value"], symbol["st_size"]
