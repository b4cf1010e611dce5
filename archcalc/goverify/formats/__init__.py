"""Programs of all formats that Go's linker writes, to Images: one file for each format.

pyelftools reads ELF, LIEF Mach-O and PE. What neither reads is read here: Plan 9's a.out, XCOFF and
WebAssembly. A file that is cut short, or that counts more than it can hold, is refused with the reason.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

from archcalc.goverify.formats import elf, macho, pe, plan9, wasm, xcoff
from archcalc.goverify.image import Image, Unreadable
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted

LARGEST = 1 << 30
"""Bytes of a file that is still read."""


def read(path: Path) -> Image:
    """A program. Raises UsageFault, with the file and the reason, for anything else."""
    try:
        if path.exists() and not path.is_file():
            raise fault(path, "a folder" if path.is_dir() else "not a regular file, but a device or a pipe")
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
    """A file that is not a Go program."""
    return UsageFault(Fault(found, "a program built by Go", id="no-program", file=str(path)))


def _reader(data: bytes) -> tuple[Any, str]:
    """What reads a file, by how it begins, and what it is."""
    start = data[:4]
    if not data:
        return None, "an empty file"
    if start == b"\x7fELF":
        return elf.read, "an ELF file"
    if start in (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"):
        return macho.read, "a Mach-O file"
    if start in (b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"):
        return None, "a universal Mach-O file, of several programs"
    if start[:2] == b"MZ":
        return pe.read, "a PE file"
    if start in plan9.MAGICS:
        return plan9.read, "a Plan 9 a.out file"
    if start == b"\0asm":
        return wasm.read, "a WebAssembly module"
    if start[:2] == b"\x01\xf7":
        return xcoff.read, "an XCOFF file"
    if not data.strip(b"\0"):
        return None, f"{counted(len(data), 'byte')} of zeros"
    if start[:2] == b"#!" or not set(data[:512]) - set(b"\t\n\f\r" + bytes(range(32, 127))):
        return None, "a text file"
    if start[:6] == b"\xfd7zX" or start[:2] == b"\x1f\x8b":
        return None, "a compressed file"
    return None, "not a program: it begins with " + start.hex(" ")
