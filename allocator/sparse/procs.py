"""What a P has of the heap for itself (type p, runtime2.go), and what runs without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.sparse.page_cache import PageCache

if TYPE_CHECKING:
    from allocator.sparse.mcache import MCache
    from allocator.sparse.span_records import Entry

MSPAN_CACHE = 128  # len(p.mspancache.buf)


class P:
    """One P: its number, its pages, its span records and its mcache. Pages and records are used
    last in, first out."""

    __slots__ = ("assist_bytes", "mcache", "mspan_cache", "number", "page_cache")

    def __init__(self, number: int, mcache: MCache) -> None:
        self.number = number
        self.mcache = mcache
        self.assist_bytes = 0  # gcAssistBytes of the goroutine that runs here: below zero it owes marking
        self.page_cache = PageCache()
        self.mspan_cache: list[Entry] = []
