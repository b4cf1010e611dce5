"""Programs made by hand, of the kinds that no sample is of: a table of functions, tables, a version.

They hold what a stripped Go program holds and no code. Everything lies in one segment at BASE.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from archcalc.calculator import figures
from archcalc.profiles import platforms

BASE = 0x400000
VERSION = b"devel +7aefdfded0 Fri Jan 6 2017"

ELF_MACHINES = {
    "386": 3, "mips": 8, "mipsle": 8, "mips64": 8, "mips64le": 8, "ppc64": 21, "ppc64le": 21, "s390x": 22,
    "arm": 40, "amd64": 62, "amd64p32": 62, "arm64": 183,
}  # fmt: skip
OSABI = {"freebsd": 9, "netbsd": 2, "openbsd": 12, "solaris": 6, "nacl": 123}


def content(platform: str, base: int, changes: Mapping[str, int] | None = None) -> bytes:
    """The segment: pclntab with the entry point's name, class tables, the version and its string header.

    `changes` gives entries of tables other values: `class_to_size[5]`.
    """
    system, arch = platform.split("/")
    port = figures.compute(platforms.load(platform))
    order = ">" if port.sys["BigEndian"] else "<"
    word = int(port.sys["PtrSize"])
    code = order + ("Q" if word == 8 else "I")
    table = struct.pack(order + "IHBB", 0xFFFFFFFB, 0, int(port.sys["PCQuantum"]), word)
    table += struct.pack(code, 1) + 3 * struct.pack(code, base) + struct.pack(order + "I", 0)
    data = table + f"_rt0_{arch}_{system}\0".encode()
    classes = port.size_classes
    for name, width in (
        ("class_to_size", "H"), ("class_to_allocnpages", "B"),
        ("size_to_class8", "B"), ("size_to_class128", "B"),
    ):  # fmt: skip
        values = list(getattr(classes, name))
        for at in range(len(values)):
            values[at] = (changes or {}).get(f"{name}[{at}]", values[at])
        data += b"\xcc" * (-len(data) % 32) + struct.pack(f"{order}{len(values)}{width}", *values)
    data += b"\xcc" * 16 + b"".join(struct.pack(order + "BBHH", *one) for one in classes.class_to_divmagic)
    data += b"\xcc" * (-len(data) % word)
    at = base + len(data) + 2 * word
    return data + struct.pack(code + code[1], at, len(VERSION)) + VERSION + b" and more text"


def elf(platform: str, changes: Mapping[str, int] | None = None, wide: bool | None = None) -> bytes:
    """An ELF program without sections."""
    system, arch = platform.split("/")
    port = figures.compute(platforms.load(platform))
    order = ">" if port.sys["BigEndian"] else "<"
    wide = port.sys["RegSize"] == 8 if wide is None else wide
    header, program = (64, 56) if wide else (52, 32)
    start = header + program
    data = content(platform, BASE + start, changes)
    size = start + len(data)
    ident = b"\x7fELF" + bytes([1 + wide, 1 + (order == ">"), 1, OSABI.get(system, 0)]) + bytes(8)
    numbers = (2, ELF_MACHINES[arch], 1, BASE, header, 0, 0, header, program, 1, 0, 0, 0)
    head = ident + struct.pack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), *numbers)
    if wide:
        load = struct.pack(order + "IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 4096)
    else:
        load = struct.pack(order + "IIIIIIII", 1, 0, BASE, BASE, size, size, 5, 4096)
    return head + load + data


def plan9(arch: str) -> bytes:
    """A Plan 9 program without symbols."""
    magic, header, base = {
        "386": (0x1EB, 32, 0x1000), "amd64": (0x8A97, 40, 0x200000), "arm": (0x647, 32, 0x1000),
    }[arch]  # fmt: skip
    text = content(f"plan9/{arch}", base + header)
    head = struct.pack(">8I", magic, len(text), 0, 0, 0, base + header, 0, 0)
    return head + (struct.pack(">Q", base + header) if header == 40 else b"") + text
