"""Types in a program's own file: where the file's segments have them, and other files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from archcalc.reading.errors import UsageFault
from archcalc.recorder.binary import ProgramFile

BASE = 0x400000


def elf(wide: bool, little: bool, content: bytes) -> bytes:
    """An ELF program of one segment, which begins with the file."""
    order = "<" if little else ">"
    head, entry = (64, 56) if wide else (52, 32)
    size = head + entry + len(content)
    ident = b"\x7fELF" + bytes([1 + wide, 2 - little, 1]) + bytes(9)
    numbers = (2, 62, 1, BASE, head, 0, 0, head, entry, 1, 0, 0, 0)
    file = ident + struct.pack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), *numbers)
    if wide:
        return file + struct.pack(order + "IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 4096) + content
    return file + struct.pack(order + "IIIIIIII", 1, 0, BASE, BASE, size, size, 5, 4096) + content


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("little", [True, False])
def test_the_bytes_at_an_address_are_those_of_the_segment(tmp_path: Path, wide: bool, little: bool) -> None:
    path = tmp_path / "program"
    path.write_bytes(elf(wide, little, b"what stands there"))
    program = ProgramFile(path, (1, 24))
    start = BASE + (64 + 56 if wide else 52 + 32)
    assert program.at(start + 5, 6) == b"stands"
    assert program.ptr_size == (8 if wide else 4) and program.order == ("<" if little else ">")
    with pytest.raises(UsageFault, match="nothing at 0x300000"):
        program.at(0x300000, 4)


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"#!/bin/sh\n", elf(True, True, b"")[:70], b"\x7fELF\x09\x09" + bytes(60)]
)
def test_what_is_not_a_program_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "program"
    path.write_bytes(data)
    with pytest.raises(UsageFault, match="program: not an ELF program, or damaged"):
        ProgramFile(path, (1, 24))
