"""What readers of all formats share: limits, checks of what a file says, and unpacking of debug sections.

Libraries that read formats raise anything on bad input; `asking` turns that into a reason.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from archcalc.goverify.image import Image, Symbol, Unreadable
from archcalc.reading.errors import UsageFault
from archcalc.reading.words import counted

LARGEST_SECTION = 1 << 28
"""Bytes that a compressed section may unpack to."""
MOST_SYMBOLS = 2_000_000
MOST_SECTIONS = 0xFF00


@contextmanager
def asking(library: str, what: str) -> Iterator[None]:
    """A context for asking a library about a file. Raises Unreadable for whatever it fails with."""
    try:
        yield
    except (Unreadable, UsageFault):
        raise
    except Exception as error:
        raise Unreadable(f"cut short or damaged: {library} cannot read {what} ({reason(error)})") from None


def reason(error: Exception) -> str:
    """What a library says, in short: its words may hold whole sections, or numbers of any length."""
    try:
        words = " ".join(str(error).split())[:120]
    except ValueError:
        words = "a number of thousands of digits"
    return f"{type(error).__name__}: {words}"


def within(data: bytes, offset: int, size: int, what: str) -> None:
    """Refuses a file that is shorter than it says. Raises Unreadable."""
    if offset < 0 or size < 0 or offset + size > len(data):
        raise Unreadable(f"cut short: {what} ends at byte {offset + size}, the file at {len(data)}")


def named(symbols: Iterable[tuple[str, int, int]]) -> Mapping[str, Symbol]:
    """Symbols by name, the first of each; from name, address and size. Raises Unreadable."""
    found: dict[str, Symbol] = {}
    for number, (name, address, size) in enumerate(symbols):
        if number > MOST_SYMBOLS:
            raise Unreadable(f"more than {counted(MOST_SYMBOLS, 'symbol')}")
        if name:
            found.setdefault(name, Symbol(address, size))
    return found


def without_underscores(symbols: Mapping[str, Symbol]) -> Mapping[str, Symbol]:
    """Go's own names, where the system puts an underscore before each."""
    if not any(name.startswith("_runtime.") for name in symbols):
        return symbols
    return {name.removeprefix("_"): symbol for name, symbol in symbols.items()}


def add_debug(image: Image, debug: dict[str, bytes], name: str, content: bytes, compressed: bool) -> None:
    """A debug section, unpacked where it is compressed either way (ZLIB…, SHF_COMPRESSED)."""
    try:
        if content[:4] == b"ZLIB" and len(content) >= 12:
            content = unpacked(content[12:], int.from_bytes(content[4:12], "big"))
        elif compressed:
            wide = image.data[4] == 2
            layout = image.order + ("IIQQ" if wide else "III")
            fields = struct.unpack_from(layout, content)
            kind, size = fields[0], fields[2] if wide else fields[1]
            if kind != 1:
                raise Unreadable(f"compressed by method {kind}, which is not zlib")
            content = unpacked(content[struct.calcsize(layout) :], size)
    except (Unreadable, struct.error, zlib.error) as error:
        image.notes.append(f"{name}: {error}")
        return
    debug[name] = content


def unpacked(content: bytes, size: int) -> bytes:
    if size > LARGEST_SECTION:
        raise Unreadable(f"it claims to unpack to {counted(size, 'byte')}")
    unpacked = zlib.decompressobj().decompress(content, size + 1)
    if len(unpacked) != size:
        raise Unreadable(f"it unpacks to {counted(len(unpacked), 'byte')}, but claims {size}")
    return unpacked
