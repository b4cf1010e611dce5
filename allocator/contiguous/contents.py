"""What programs stored in the simulated heap: pointers, kept by page, so that collections can follow them.

Only words that were written exist. Memory that was never written, or was zeroed,
reads as zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.contiguous.core import Core
    from allocator.contiguous.heap_bitmap import LargeBits


class Contents:
    """The written words of the heap, by page. False as long as nothing is stored."""

    __slots__ = ("pages", "rt")

    def __init__(self, rt: Core) -> None:
        self.rt = rt
        self.pages: dict[int, dict[int, int]] = {}

    def __bool__(self) -> bool:
        return bool(self.pages)

    def store(self, addr: int, value: int) -> None:
        """Writes a word."""
        page = addr >> self.rt.config.page_shift
        if value:
            self.pages.setdefault(page, {})[addr] = value
        elif page in self.pages:
            self.pages[page].pop(addr, None)
            self._drop_if_empty(page)

    def load(self, addr: int) -> int:
        """Reads a word."""
        return self.pages.get(addr >> self.rt.config.page_shift, {}).get(addr, 0)

    def written(self, start: int, end: int) -> list[int]:
        """The addresses of words in [start, end) that are not zero, in order."""
        config = self.rt.config
        shift = config.page_shift
        first, last = start >> shift, (end - 1) >> shift
        if first == last:
            words = self.pages.get(first, {})
            step = config.ptr_size
            if (end - start) // step < len(words):
                # The words of a small object are looked up, rather than sought among all of its page.
                return [addr for addr in range(-(-start // step) * step, end, step) if addr in words]
        if last - first < len(self.pages):
            pages = [page for page in range(first, last + 1) if page in self.pages]
        else:
            pages = sorted(page for page in self.pages if first <= page <= last)
        return [addr for page in pages for addr in sorted(self.pages[page]) if start <= addr < end]

    def clear(self, addrs: list[int]) -> None:
        """Zeroes words."""
        shift = self.rt.config.page_shift
        for addr in addrs:
            page = addr >> shift
            del self.pages[page][addr]
            self._drop_if_empty(page)

    def _drop_if_empty(self, page: int) -> None:
        if not self.pages[page]:
            del self.pages[page]

    def zero(self, v: int, size: int) -> None:
        """What malloc does with a block that needs it."""
        self.clear(self.written(v, v + size))

    def forget(self, s: int) -> None:
        """Drops what was stored in objects of a span that a sweep has freed; malloc would zero it."""
        spans = self.rt.spans
        base, size, alive = spans.base[s], spans.elemsize[s], spans.alloc_bits[s]
        words = self.written(base, base + spans.nelems[s] * size)
        self.clear([addr for addr in words if not alive >> (addr - base) // size & 1])

    def pointers(self, s: int, base: int, extent: int) -> Iterator[int]:
        """The pointers stored in the pointer words of the object at base, in span s, within so many bytes."""
        if not extent or not self.pages:
            return
        rt = self.rt
        spans = rt.spans
        words = self.written(base, base + extent)
        if not words:
            return
        shift = rt.word_shift
        start = spans.base[s]
        bits: bytes | bytearray | int | LargeBits = spans.bits[s]
        if not isinstance(bits, bytearray):
            bits = rt.bitmap(s, ((words[-1] - start) >> shift) // 4 + 1)
        for addr in words:
            word = (addr - start) >> shift
            if bits[word >> 2] >> (word & 3) & 1:
                yield self.pages[addr >> rt.config.page_shift][addr]
