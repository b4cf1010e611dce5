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
            self.segments: list[tuple[int, int, int]] = [
                (one["p_vaddr"], one["p_filesz"], one["p_offset"]) for one in file.iter_segments("PT_LOAD")
            ]
        except Exception as error:  # pyelftools fails in whatever way its input leads it to
            found = f"not an ELF program, or damaged ({str(error)[:80]})"
            raise UsageFault(Fault(found, file=str(path))) from None
        self.ptr_size = file.elfclass // 8
        self.order = "<" if file.little_endian else ">"

    def at(self, address: int, length: int) -> bytes:
        """Bytes of the file at an address of the program."""
        for start, size, offset in self.segments:
            if start <= address < start + size:
                return self.data[offset + address - start : offset + address - start + length]
        raise UsageFault(f"the program's file has nothing at {address:#x}, where a type should be")

    def type(self, address: int, types: int) -> TypeInFile:
        """The type at an address."""
        word = self.ptr_size
        code = "Q" if word == 8 else "I"
        head = struct.Struct(f"{self.order}2{code}I4B2{code}i")
        size, ptrdata, _, flags, align, _, kind, _, gcdata, name = head.unpack(self.at(address, head.size))
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
