"""Types in a program's own file: what the recorder names by address is read there, not while it runs."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from archcalc.host.extras import needed
from archcalc.reading.errors import Fault, UsageFault

GC_MASK_ON_DEMAND = 1 << 4  # abi.TFlagGCMaskOnDemand, since 1.24
GC_PROG = 1 << 6  # abi.KindGCProg, up to 1.23
EXTRA_STAR = 1 << 1  # abi.TFlagExtraStar
PAGE = 4096  # what segments are rounded to
MASK_BYTES = 512  # of pointer data: only objects up to this size have their bits in the span


@dataclass(frozen=True, slots=True)
class TypeInFile:
    """internal/abi.Type. Sizes are bytes; `mask` is empty where the file has none that is read."""

    size: int
    ptrdata: int
    kind: int
    align: int
    mask: bytes
    name: str


class ProgramFile:
    """An ELF program's segments. `types` is where the running program said its types begin."""

    def __init__(self, path: Path, minor: tuple[int, int]) -> None:
        library = needed("elftools.elf.elffile", "record")
        self.data = path.read_bytes()
        self.minor = minor
        try:
            file = library.ELFFile(BytesIO(self.data))
            loads = list(file.iter_segments("PT_LOAD"))
            # Bytes of address space that the program itself takes.
            self.size = sum(
                (one["p_vaddr"] % PAGE + one["p_memsz"] + PAGE - 1) // PAGE * PAGE for one in loads
            )
            self.segments: list[tuple[int, int, int]] = [
                (one["p_vaddr"], one["p_filesz"], one["p_offset"]) for one in loads
            ]
        except Exception as error:  # pyelftools fails in whatever way its input leads it to
            found = f"not an ELF program, or damaged ({str(error)[:80]})"
            raise UsageFault(Fault(found, file=str(path))) from None
        self.ptr_size = file.elfclass // 8
        self.order = "<" if file.little_endian else ">"
        self.slide = 0  # bytes that a program for any place was loaded above its file's addresses
        self._file = file
        self._pointers: dict[int, int] | None = None if file["e_type"] == "ET_DYN" else {}

    def loaded(self, table: int) -> None:
        """Says where the program's line table is (pcHeader), and so where all of it is.

        Raises UsageFault where the file does not say where that table is in it.
        """
        if self._file["e_type"] != "ET_DYN":
            return
        names = (".gopclntab", ".data.rel.ro.gopclntab")
        section = next(filter(None, map(self._file.get_section_by_name, names)), None)
        if section is None:
            raise UsageFault("the program was built with -buildmode=pie, and has no table of its lines")
        self.slide = table - section["sh_addr"]

    def _pointer(self, at: int, found: int) -> int:
        """A pointer at an address of the file, which says `found`: the loader may have put another there."""
        if self._pointers is None:
            self._pointers = {}
            word = "Q" if self.ptr_size == 8 else "I"
            entry = struct.Struct(f"{self.order}{word}{word}{word.lower()}")
            for name in (".rela.dyn", ".rela"):
                section = self._file.get_section_by_name(name)
                if section is not None and section["sh_type"] == "SHT_RELA":
                    # Those without a symbol (their upper half) are relative to where the program is.
                    for where, info, addend in entry.iter_unpack(section.data()):
                        if not info >> (32 if word == "Q" else 8):
                            self._pointers[where] = addend
        return self._pointers.get(at, found)

    def at(self, address: int, length: int) -> bytes:
        """Bytes of the file at an address of the program."""
        for start, size, offset in self.segments:
            if start <= address < start + size:
                return self.data[offset + address - start : offset + address - start + length]
        raise UsageFault(f"the program's file has nothing at {address:#x}, where a type should be")

    def type(self, address: int, types: int) -> TypeInFile:
        """The type at an address of the running program, whose types begin at `types`."""
        address, types = address - self.slide, types - self.slide
        word = self.ptr_size
        code = "Q" if word == 8 else "I"
        head = struct.Struct(f"{self.order}2{code}I4B2{code}i")
        size, ptrdata, _, flags, align, _, kind, _, gcdata, name = head.unpack(self.at(address, head.size))
        gcdata = self._pointer(address + 3 * word + 8, gcdata)
        mask = b""
        direct = not kind & GC_PROG if self.minor < (1, 24) else not flags & GC_MASK_ON_DEMAND
        if 0 < ptrdata <= MASK_BYTES and direct:
            mask = self.at(gcdata, (ptrdata // word + 7) // 8)
        return TypeInFile(
            size, ptrdata, kind, align, mask, self._name(types + name, bool(flags & EXTRA_STAR))
        )

    def _name(self, address: int, star: bool) -> str:
        length = shift = 0
        at = address + 1
        while True:
            (byte,) = self.at(at, 1)
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        return self.at(at, length).decode("utf-8", "replace")[1 if star else 0 :]
