"""What programs stored in the simulated heap: pointers, kept by page, so that collections can follow them.

Only words that were written exist. Memory that was never written, or was zeroed, reads as zero.
"""

from __future__ import annotations

from array import array
from typing import TypeAlias

# By place in the page; an array has all places, most of them 0.
Words: TypeAlias = "dict[int, int] | array[int]"

FEW = 96  # words of a page that take as much memory as a dictionary as all words do as an array


class Contents:
    """The written words of the heap, by page. False as long as nothing is stored."""

    __slots__ = ("below", "pages", "per_page", "shift", "typecode", "word_shift")

    def __init__(self, page_shift: int, ptr_size: int) -> None:
        self.shift = page_shift
        self.below = (1 << page_shift) - 1
        self.word_shift = ptr_size.bit_length() - 1
        self.per_page = 1 << page_shift - self.word_shift
        self.typecode = "Q" if ptr_size == 8 else "I"
        self.pages: dict[int, Words] = {}

    def __bool__(self) -> bool:
        return bool(self.pages)

    def store(self, addr: int, value: int) -> None:
        """Writes a word."""
        page = addr >> self.shift
        place = (addr & self.below) >> self.word_shift
        words = self.pages.get(page)
        if words is None:
            if value:
                self.pages[page] = {place: value}
        elif type(words) is array:
            words[place] = value
            if not value:
                self._drop_if_empty(page)
        elif value:
            words[place] = value
            if len(words) > FEW:
                self.pages[page] = self.all_of(words)
        else:
            words.pop(place, None)  # type: ignore[call-arg]
            self._drop_if_empty(page)

    def load(self, addr: int) -> int:
        """Reads a word."""
        words = self.pages.get(addr >> self.shift)
        if words is None:
            return 0
        place = (addr & self.below) >> self.word_shift
        return words[place] if type(words) is array else words.get(place, 0)  # type: ignore[union-attr]

    def all_of(self, words: Words) -> array[int]:
        """All words of a page, as an array."""
        if type(words) is array:
            return words
        whole = array(self.typecode, bytes(self.per_page << self.word_shift))
        for place, value in words.items():  # type: ignore[union-attr]
            whole[place] = value
        return whole

    def written(self, start: int, end: int) -> list[int]:
        """The addresses of words in [start, end) that are not zero, in order."""
        shift, step = self.shift, self.word_shift
        found: list[int] = []
        for page in self._pages(start, end):
            words = self.pages[page]
            base = page << shift
            first = max(-(-(start - base) >> step), 0)
            last = min(-(-(end - base) >> step), self.per_page)
            if type(words) is array:
                found += [base + (place << step) for place in range(first, last) if words[place]]
            elif last - first < len(words):
                # The words of a small object are looked up, rather than sought among all of its page.
                found += [base + (place << step) for place in range(first, last) if place in words]
            else:
                found += [base + (place << step) for place in sorted(words) if first <= place < last]
        return found

    def _pages(self, start: int, end: int) -> list[int]:
        """Those of the range in which something is stored, in order."""
        first, last = start >> self.shift, end - 1 >> self.shift
        if last - first < len(self.pages):
            return [page for page in range(first, last + 1) if page in self.pages]
        return sorted(page for page in self.pages if first <= page <= last)

    def zero(self, start: int, size: int) -> None:
        """Zeroes memory."""
        for page in self._pages(start, start + size):
            words = self.pages[page]
            base = page << self.shift
            first = max(start - base, 0) >> self.word_shift
            last = min(start + size - base + (1 << self.word_shift) - 1 >> self.word_shift, self.per_page)
            if first == 0 and last == self.per_page:
                del self.pages[page]
                continue
            if type(words) is not array:
                gone = (
                    [place for place in range(first, last) if place in words]
                    if last - first < len(words)
                    else [place for place in words if first <= place < last]
                )
                for place in gone:
                    del words[place]
            else:
                gone = words[first:last]  # type: ignore[assignment]
                if not any(gone):
                    continue
                words[first:last] = array(self.typecode, bytes(last - first << self.word_shift))
            if gone:
                self._drop_if_empty(page)

    def zero_objects(self, base: int, size: int, objects: int) -> None:
        """Zeroes those of the objects side by side from base on, each of `size` bytes, given as bits."""
        for page in self._pages(base, base + objects.bit_length() * size):
            words = self.pages[page]
            start = (page << self.shift) - base
            places = range(self.per_page) if type(words) is array else list(words)
            for place in places:
                if words[place] and objects >> (start + (place << self.word_shift)) // size & 1:
                    if type(words) is array:
                        words[place] = 0
                    else:
                        del words[place]
            self._drop_if_empty(page)

    def clear(self, addrs: list[int]) -> None:
        """Zeroes words that were written."""
        pages = self.pages
        for addr in addrs:
            words = pages[addr >> self.shift]
            place = (addr & self.below) >> self.word_shift
            if type(words) is array:
                words[place] = 0
            else:
                del words[place]
        for page in {addr >> self.shift for addr in addrs}:
            self._drop_if_empty(page)

    def _drop_if_empty(self, page: int) -> None:
        words = self.pages[page]
        if not (any(words) if type(words) is array else words):
            del self.pages[page]
