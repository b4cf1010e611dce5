"""heapArena.spans of all arenas: which span a page belongs to (mheap.go)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from allocator.sparse.mspan import MSpan
from allocator.sparse.span_records import Entry, SpanRecords

LONG = 64  # pages from which on a span is a piece of its block
CHUNK = 1 << 9
BLOCK = 1 << 17


class Pieces:
    """A block of long spans: where each piece of it begins, and its span; None for what none has."""

    __slots__ = ("spans", "starts")

    def __init__(self) -> None:
        self.starts = [0]
        self.spans: list[Entry | None] = [None]

    def at(self, low: int) -> Entry | None:
        """The span of a page of the block."""
        return self.spans[bisect_right(self.starts, low) - 1]

    def put(self, low: int, end: int, s: Entry) -> None:
        """Enters s for the pages from low up to end."""
        starts, spans = self.starts, self.spans
        a = len(starts) - 1
        if low < starts[a]:
            a = bisect_left(starts, low)
        elif low > starts[a]:
            a += 1
        b = bisect_left(starts, end, a)
        behind = spans[b - 1]
        starts[a:b] = [low]
        spans[a:b] = [s]
        if end < BLOCK and (a + 1 == len(starts) or starts[a + 1] != end):
            starts.insert(a + 1, end)
            spans.insert(a + 1, behind)

    def listed(self, low: int, end: int) -> list[Entry | None]:
        """The same by page, from low up to end."""
        first, behind = bisect_right(self.starts, low), bisect_left(self.starts, end)
        borders = [low, *self.starts[first:behind], end]
        spans = self.spans[first - 1 : behind]
        return [s for s, a, b in zip(spans, borders, borders[1:], strict=False) for _ in range(b - a)]


class SpanTable:
    """By page, stale entries included; spans that were not asked for are the numbers of their records.

    A chunk of 512 pages is a list once a short span lies in it. All others are in blocks of 1 GB, where a
    long span is one piece, however long it is.
    """

    __slots__ = ("_above", "blocks", "chunks", "records")

    def __init__(self, records: SpanRecords) -> None:
        self.records = records
        self.chunks: dict[int, list[Entry | None]] = {}
        self.blocks: dict[int, Pieces] = {}
        self._above = 0  # from this page on there are no lists

    def get(self, page: int) -> MSpan | None:
        """The span entered for the page with that number; None where none ever was."""
        chunk = self.chunks.get(page >> 9)
        if chunk is not None:
            s = chunk[page & 511]
        else:
            block = self.blocks.get(page >> 17)
            s = None if block is None else block.at(page & BLOCK - 1)
        return self.records[s] if type(s) is int else s  # type: ignore[return-value]

    def at(self, pages: Sequence[int]) -> list[Entry]:
        """What is entered for some pages of one chunk, all of which have something."""
        chunk = self.chunks.get(pages[0] >> 9)
        if chunk is None:
            block = self.blocks[pages[0] >> 17]
            return [block.at(page & BLOCK - 1) for page in pages]  # type: ignore[misc]
        return [chunk[page & 511] for page in pages]  # type: ignore[misc]

    def set_range(self, page: int, n: int, s: Entry) -> None:
        """Enters s for n pages from `page` on (setSpans)."""
        end = page + n
        if page < self._above:
            low = page & 511
            if low + n <= CHUNK and (chunk := self.chunks.get(page >> 9)) is not None:
                if n == 1:
                    chunk[low] = s
                else:
                    chunk[low : low + n] = [s] * n
                return
            if n >= LONG:
                self._enter_in_lists(page, end, s)
        while page < end:
            if n < LONG:
                low = page & 511
                here = min(end - page, CHUNK - low)
                self._listed(page)[low : low + here] = [s] * here
            else:
                low = page & BLOCK - 1
                here = min(end - page, BLOCK - low)
                block = self.blocks.get(page >> 17)
                if block is None:
                    block = self.blocks[page >> 17] = Pieces()
                block.put(low, low + here, s)
            page += here

    def _enter_in_lists(self, page: int, end: int, s: Entry) -> None:
        """Enters s for pages of chunks that are lists; those that it fills are none any more."""
        for number in range(page >> 9, (min(end, self._above) - 1 >> 9) + 1):
            chunk = self.chunks.get(number)
            if chunk is not None:
                a, b = max(page - (number << 9), 0), min(end - (number << 9), CHUNK)
                if b - a == CHUNK:
                    del self.chunks[number]
                else:
                    chunk[a:b] = [s] * (b - a)

    def set_each(self, page: int, entries: Sequence[Entry]) -> None:
        """Enters spans for the pages from `page` on, one for each, all in one chunk."""
        low = page & 511
        self._listed(page)[low : low + len(entries)] = entries

    def _listed(self, page: int) -> list[Entry | None]:
        """The chunk that a page is of, as a list."""
        number = page >> 9
        chunk = self.chunks.get(number)
        if chunk is None:
            block = self.blocks.get(page >> 17)
            low = (number << 9) & BLOCK - 1
            chunk = [None] * CHUNK if block is None else block.listed(low, low + CHUNK)
            self.chunks[number] = chunk
            self._above = max(self._above, number + 1 << 9)
        return chunk
