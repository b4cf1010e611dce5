"""WebAssembly modules: their memory as it is before the first instruction, at address 0."""

from __future__ import annotations

from archcalc.goverify.formats.parts import within
from archcalc.goverify.image import Image, Segment, Unreadable
from archcalc.reading.words import counted

_MEMORY, _DATA = 5, 11
_I32_CONST, _END = 0x41, 0x0B
PAGE = 65536
MOST_PAGES = 1024
"""Pages of memory that a module may begin with; Go's have what their data needs and a megabyte."""
_LONGEST = 5


def read(data: bytes) -> Image:
    """The memory that data segments fill; Go gives modules neither symbols nor DWARF. Raises Unreadable."""
    within(data, 0, 8, "its header")
    if data[4:8] != b"\x01\0\0\0":
        raise Unreadable(f"of version {int.from_bytes(data[4:8], 'little')}")
    memory: bytearray | None = None
    at = 8
    while at < len(data):
        kind = data[at]
        size, at = _number(data, at + 1)
        within(data, at, size, f"section {kind}")
        if kind == _MEMORY:
            memory = bytearray(_pages(data, at) * PAGE)
        elif kind == _DATA:
            if memory is None:
                raise Unreadable("data without a memory")
            _fill(memory, data[at : at + size])
        at += size
    if memory is None:
        raise Unreadable("without a memory of its own")
    segments = [Segment("memory", 0, 0, len(memory))]
    return Image(bytes(memory), "WebAssembly", True, ("wasm",), ("js", "wasip1"), 0, segments)


def _pages(data: bytes, at: int) -> int:
    count, at = _number(data, at)
    _, at = _number(data, at)
    pages, _ = _number(data, at)
    if count != 1 or pages > MOST_PAGES:
        raise Unreadable(f"{counted(count, 'memory')}, the first of {counted(pages, 'page')}")
    return pages


def _fill(memory: bytearray, section: bytes) -> None:
    count, at = _number(section, 0)
    for number in range(count):
        flags, at = _number(section, at)
        if flags != 0 or at >= len(section) or section[at] != _I32_CONST:
            raise Unreadable(f"data segment {number} has no constant address")
        place, at = _number(section, at + 1)
        if at >= len(section) or section[at] != _END:
            raise Unreadable(f"data segment {number} has no constant address")
        size, at = _number(section, at + 1)
        within(section, at, size, f"data segment {number}")
        if place + size > len(memory):
            raise Unreadable(
                f"data segment {number} ends at {place + size:#x}, the memory at {len(memory):#x}"
            )
        memory[place : place + size] = section[at : at + size]
        at += size


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number in LEB128, unsigned, and where it ends."""
    value = 0
    for shift in range(_LONGEST):
        if at >= len(data):
            break
        value |= (data[at] & 0x7F) << (7 * shift)
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise Unreadable("a number that does not end")
