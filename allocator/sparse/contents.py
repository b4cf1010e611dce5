"""What programs stored in the simulated heap: pointers, kept by page, so that collections can follow them.

Only words that were written exist. Memory that was never written, or was zeroed, reads as zero.
"""

from __future__ import annotations


class Contents:
    """The written words of the heap, by page. False as long as nothing is stored."""

    __slots__ = ("pages", "shift")

    def __init__(self, page_shift: int) -> None:
        self.shift = page_shift
        self.pages: dict[int, dict[int, int]] = {}

    def __bool__(self) -> bool:
        return bool(self.pages)

    def store(self, addr: int, value: int) -> None:
        """Writes a word."""
        page = addr >> self.shift
        if value:
            self.pages.setdefault(page, {})[addr] = value
        elif page in self.pages:
            self.pages[page].pop(addr, None)
            if not self.pages[page]:
                del self.pages[page]

    def load(self, addr: int) -> int:
        """Reads a word."""
        return self.pages.get(addr >> self.shift, {}).get(addr, 0)

    def written(self, start: int, end: int) -> list[int]:
        """The addresses of words in [start, end) that are not zero, in order."""
        first, last = start >> self.shift, end - 1 >> self.shift
        if last - first < len(self.pages):
            pages = [page for page in range(first, last + 1) if page in self.pages]
        else:
            pages = sorted(page for page in self.pages if first <= page <= last)
        return [addr for page in pages for addr in sorted(self.pages[page]) if start <= addr < end]

    def zero(self, start: int, size: int) -> None:
        """Zeroes memory."""
        for addr in self.written(start, start + size):
            self.store(addr, 0)
