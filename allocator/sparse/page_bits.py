"""Bits of pages by number (pageInUse, pageMarks and their kin of all arenas): an integer for each 512."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress

SHIFT = 9
MASK = (1 << SHIFT) - 1
_DIGITS = bytes.maketrans(b"01", b"\x00\x01")


class PageBits:
    """A set of pages. Pages have numbers, their address divided by the page size."""

    __slots__ = ("_chunks",)

    def __init__(self) -> None:
        self._chunks: dict[int, int] = {}

    def add(self, page: int) -> None:
        """Sets a page's bit."""
        chunks = self._chunks
        key = page >> SHIFT
        chunks[key] = chunks.get(key, 0) | 1 << (page & MASK)

    def add_bits(self, page: int, bits: int) -> None:
        """Sets those bits of the pages from `page` on, all of which are of one 512."""
        key = page >> SHIFT
        self._chunks[key] = self._chunks.get(key, 0) | bits << (page & MASK)

    def discard(self, page: int) -> None:
        """Clears a page's bit."""
        key = page >> SHIFT
        left = self._chunks.get(key, 0) & ~(1 << (page & MASK))
        if left:
            self._chunks[key] = left
        else:
            self._chunks.pop(key, None)

    def clear(self) -> None:
        """Clears all."""
        self._chunks.clear()

    def __contains__(self, page: int) -> bool:
        return bool(self._chunks.get(page >> SHIFT, 0) >> (page & MASK) & 1)

    def __iter__(self) -> Iterator[int]:
        """The pages, in order."""
        for pages in self.by_chunk():
            yield from pages

    def by_chunk(self) -> Iterator[list[int]]:
        """The same, those of each 512 that has any."""
        for key in sorted(self._chunks):
            digits = f"{self._chunks[key]:b}"[::-1].encode().translate(_DIGITS)
            yield list(compress(range(key << SHIFT, key + 1 << SHIFT), digits))
