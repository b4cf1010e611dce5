"""heapArena.spans of all arenas: which span a page belongs to (mheap.go)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from allocator.sparse.mspan import MSpan
from allocator.sparse.span_records import Entry, SpanRecords


class SpanTable:
    """By page, stale entries included; spans that nobody has asked for are the numbers of their records.

    By chunks of 512 pages; a chunk that one span fills is one entry, so that a terabyte of large
    objects costs little.
    """

    __slots__ = ("chunks", "records")

    def __init__(self, records: SpanRecords) -> None:
        self.records = records
        self.chunks: dict[int, list[Entry | None] | Entry] = {}

    def get(self, page: int) -> MSpan | None:
        """The span entered for the page with that number; None where none ever was."""
        chunk = self.chunks.get(page >> 9)
        s = chunk[page & 511] if type(chunk) is list else chunk
        return self.records[s] if type(s) is int else s  # type: ignore[return-value]

    def set_range(self, page: int, n: int, s: Entry) -> None:
        """Enters s for n pages from `page` on (setSpans)."""
        chunks = self.chunks
        while n:
            low = page & 511
            here = min(n, 512 - low)
            if here == 512:
                chunks[page >> 9] = s
            elif here == 1:
                self._listed(page)[low] = s
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
            chunk = self.chunks[page >> 9] = [cast("Entry | None", chunk)] * 512
        return chunk
