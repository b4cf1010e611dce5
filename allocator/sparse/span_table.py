"""heapArena.spans of all arenas: which span a page belongs to (mheap.go)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import cast

from allocator.sparse.mspan import MSpan
from allocator.sparse.span_records import Entry, SpanRecords

LONG = 64  # pages from which on a span is entered as a piece of its chunk


class Pieces:
    """A chunk of few long spans: where each begins in it, or what none has."""

    __slots__ = ("spans", "starts")

    def __init__(self, entry: Entry | None) -> None:
        self.starts = [0]
        self.spans: list[Entry | None] = [entry]

    def at(self, low: int) -> Entry | None:
        """The span of a page of the chunk."""
        return self.spans[bisect_right(self.starts, low) - 1]

    def put(self, low: int, n: int, s: Entry) -> None:
        """Enters s for n pages."""
        starts, spans, end = self.starts, self.spans, low + n
        behind = self.at(end) if end < 512 else None
        a, b = bisect_left(starts, low), bisect_left(starts, end)
        starts[a:b] = [low]
        spans[a:b] = [s]
        if end < 512 and (a + 1 == len(starts) or starts[a + 1] != end):
            starts.insert(a + 1, end)
            spans.insert(a + 1, behind)

    def listed(self) -> list[Entry | None]:
        """The same by page."""
        ends = [*self.starts[1:], 512]
        return [s for s, a, b in zip(self.spans, self.starts, ends, strict=True) for _ in range(b - a)]


class SpanTable:
    """By page, stale entries included; spans that were not asked for are the numbers of their records.

    By chunks of 512 pages; a chunk that one span fills is one entry, and one of a few long spans a few
    pieces, so that a terabyte of large objects costs little.
    """

    __slots__ = ("chunks", "records")

    def __init__(self, records: SpanRecords) -> None:
        self.records = records
        self.chunks: dict[int, list[Entry | None] | Pieces | Entry] = {}

    def get(self, page: int) -> MSpan | None:
        """The span entered for the page with that number; None where none ever was."""
        chunk = self.chunks.get(page >> 9)
        if type(chunk) is list:
            s = chunk[page & 511]
        else:
            s = chunk.at(page & 511) if type(chunk) is Pieces else cast("Entry | None", chunk)
        return self.records[s] if type(s) is int else s  # type: ignore[return-value]

    def set_range(self, page: int, n: int, s: Entry) -> None:
        """Enters s for n pages from `page` on (setSpans)."""
        chunks = self.chunks
        low = page & 511
        if low + n <= 512 and type(chunk := chunks.get(page >> 9)) is list:
            if n == 1:
                chunk[low] = s
            else:
                chunk[low : low + n] = [s] * n
            return
        while n:
            low = page & 511
            here = min(n, 512 - low)
            if here == 512:
                here = n & ~511
                chunks.update(dict.fromkeys(range(page >> 9, page + n >> 9), s))
            elif n >= LONG and type(chunks.get(page >> 9)) is not list:
                self._in_pieces(page).put(low, here, s)
            else:
                self._listed(page)[low : low + here] = [s] * here
            page += here
            n -= here

    def set_each(self, page: int, entries: Sequence[Entry]) -> None:
        """Enters spans for the pages from `page` on, one for each, all in one chunk."""
        low = page & 511
        self._listed(page)[low : low + len(entries)] = entries

    def _listed(self, page: int) -> list[Entry | None]:
        """The chunk that a page is of, as a list."""
        chunk = self.chunks.get(page >> 9)
        if type(chunk) is not list:
            listed = chunk.listed() if type(chunk) is Pieces else [cast("Entry | None", chunk)] * 512
            chunk = self.chunks[page >> 9] = listed
        return chunk

    def _in_pieces(self, page: int) -> Pieces:
        """The chunk that a page is of, in pieces."""
        chunk = self.chunks.get(page >> 9)
        if type(chunk) is not Pieces:
            chunk = self.chunks[page >> 9] = Pieces(cast("Entry | None", chunk))
        return chunk
