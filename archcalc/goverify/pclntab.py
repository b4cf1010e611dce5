"""The table of functions that every Go program carries, stripped or not (golang.org/s/go12symtab)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from archcalc.generations.constraints import KNOWN_ARCH, KNOWN_OS
from archcalc.goverify.image import Image, Unreadable

MAGICS = {
    0xFFFFFFFB: "Go 1.2 to 1.15", 0xFFFFFFFA: "Go 1.16 and 1.17", 0xFFFFFFF0: "Go 1.18 and 1.19",
    0xFFFFFFF1: "Go 1.20 or later",
}  # fmt: skip
_START = re.compile(rb"_rt0_([a-z0-9]{2,16})_([a-z0-9]{2,12})\0")


@dataclass(frozen=True, slots=True)
class PclnTab:
    """Where the table is, the Go releases that have its form, and what its header says.

    `min_lc` is the smallest instruction and `ptr_size` a pointer, in bytes.
    """

    address: int
    go: str
    current: bool
    min_lc: int
    ptr_size: int
    functions: int


def find(image: Image) -> PclnTab | None:
    """The table: where a section or a symbol says that it is, else where its header is found."""
    for address in _candidates(image):
        try:
            table = _read(image, address)
        except (Unreadable, struct.error):
            continue
        if table is not None:
            return table
    return None


def _candidates(image: Image) -> Iterator[int]:
    if image.pclntab is not None:
        yield image.pclntab.address
    if "runtime.pclntab" in image.symbols:
        yield image.symbols["runtime.pclntab"].address
    for magic in MAGICS:
        yield from image.find(struct.pack(image.order + "I", magic) + b"\0\0")


def _read(image: Image, address: int) -> PclnTab | None:
    magic, pad, min_lc, ptr_size = struct.unpack(image.order + "IHBB", image.read(address, 8))
    if magic not in MAGICS or pad or min_lc not in (1, 2, 4) or ptr_size not in (4, 8):
        return None
    functions = image.numbers(address + 8, 1, ptr_size)[0]
    # Each function has two words at least, so a larger number is impossible.
    if not 0 < functions < len(image.data) // 8:
        return None
    current = magic == 0xFFFFFFFB
    if current:
        # The last entry of the table is the end of the text; the files begin after it.
        image.read(address + 8 + ptr_size, (2 * functions + 1) * ptr_size + 4)
    return PclnTab(address, MAGICS[magic], current, min_lc, ptr_size, functions)


def platforms(image: Image) -> list[tuple[str, str]]:
    """GOOS and GOARCH of each entry point that the program has (rt0_GOOS_GOARCH.s), from its names."""
    found: dict[tuple[str, str], None] = {}
    names = (name.encode() + b"\0" for name in image.symbols if name.startswith("_rt0_"))
    for match in (*_START.finditer(image.data), *filter(None, map(_START.fullmatch, names))):
        arch, system = match[1].decode(), match[2].decode()
        if arch in KNOWN_ARCH and system in KNOWN_OS:
            found[system, arch] = None
    return list(found)
