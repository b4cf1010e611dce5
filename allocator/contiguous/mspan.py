"""Spans: runs of pages, kept as columns, and the doubly linked lists that they are on.

A span is a small integer, its place in the runtime's allspans: the record that
fixalloc handed out for it lives as long as the machine and is used again for
other runs of pages once it is freed. Every field of mspan that the allocator
reads is one column with a place for each span (mheap.go, type mspan).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.contiguous.heap_bitmap import LargeBits
    from allocator.contiguous.specials import Special

# mSpanState, in Go's order.
DEAD, IN_USE, STACK, FREE = range(4)
STATE_NAMES = ("_MSpanDead", "_MSpanInUse", "_MSpanStack", "_MSpanFree")

NIL = -1  # no span

AT_ONCE = 64  # records that columns are lengthened by
_NUMBERS = array("q", [0] * AT_ONCE)
_EMPTY: dict[str, array[int] | list[Any]] = {
    "next": array("q", [NIL] * AT_ONCE),
    "prev": array("q", [NIL] * AT_ONCE),
    "in_cache": [False] * AT_ONCE,
    "on_list": [None] * AT_ONCE,
    "specials": [None] * AT_ONCE,
    "stack_free": [None] * AT_ONCE,
    "alloc_bits": [0] * AT_ONCE,
    "mark_bits": [0] * AT_ONCE,
    "bits": [0] * AT_ONCE,
}
_NO_COLUMNS = ("count", "made", "printed")


class SpanList:
    """One mSpanList: a doubly linked list threaded through the spans' next and prev columns."""

    __slots__ = ("first", "last", "name", "spans")

    def __init__(self, spans: Spans, name: str) -> None:
        self.spans = spans
        self.name = name
        self.first = NIL
        self.last = NIL

    def __iter__(self) -> Iterator[int]:
        s = self.first
        after = self.spans.next
        while s >= 0:
            yield s
            s = after[s]

    def _refuse(self, what: str, throw: str, s: int) -> None:
        spans = self.spans
        near = [hex(spans.self_addr[n]) if n >= 0 else "0x0" for n in (s, spans.next[s], spans.prev[s])]
        spans.printed.append(f"{what} {' '.join(near)}")
        raise Throw(throw)

    def insert(self, s: int) -> None:
        """Puts s at the front."""
        spans = self.spans
        on_list = spans.on_list
        if on_list[s] is not None:
            self._refuse("runtime: failed MSpanList_Insert", "MSpanList_Insert", s)
        first = self.first
        if first >= 0:
            spans.prev[first] = s
        else:
            self.last = s
        spans.next[s] = first
        self.first = s
        on_list[s] = self

    def insert_back(self, s: int) -> None:
        """Puts s at the end."""
        spans = self.spans
        on_list = spans.on_list
        if on_list[s] is not None:
            self._refuse("failed MSpanList_InsertBack", "MSpanList_InsertBack", s)
        last = self.last
        if last >= 0:
            spans.next[last] = s
        else:
            self.first = s
        spans.prev[s] = last
        self.last = s
        on_list[s] = self

    def take_first(self) -> int:
        """Takes the first span off the list, which must have one."""
        spans = self.spans
        on_list, nexts = spans.on_list, spans.next
        s = self.first
        if on_list[s] is not self:
            self._refuse("runtime: failed MSpanList_Remove", "MSpanList_Remove", s)
        self.first = after = nexts[s]
        if after >= 0:
            spans.prev[after] = nexts[s] = NIL
        else:
            self.last = NIL
        on_list[s] = None
        return s

    def remove(self, s: int) -> None:
        """Takes s off this list."""
        spans = self.spans
        on_list = spans.on_list
        if on_list[s] is not self:
            self._refuse("runtime: failed MSpanList_Remove", "MSpanList_Remove", s)
        nexts, prevs = spans.next, spans.prev
        after, before = nexts[s], prevs[s]
        if self.first == s:
            self.first = after
        else:
            nexts[before] = after
        if self.last == s:
            self.last = before
        else:
            prevs[after] = before
        nexts[s] = prevs[s] = NIL
        on_list[s] = None


class Spans:
    """Every span record ever made, in allspans order; one column for each field.

    Numbers are in arrays of 64 bits: they cost eight bytes each however large they are, and many
    spans can be written at once. `alloc_bits` and `mark_bits` are whole bitmaps as integers, bit i
    for object i. Columns are lengthened by many records at once: `count` are there, `made` have a
    place, and a place that is not used yet is zero. `end` takes those away, for whoever looks at
    whole columns.
    `bits` is the span's part of the heap bitmap, a byte for four words, first word first: a
    bytearray once objects with pointers are in it, until then the one byte that fills it, and
    for a large object the recipe that `heap_bitmap.span_bytes` follows when it is read.
    """

    __slots__ = (
        "alloc_bits", "alloc_count", "base", "bits", "count", "elemsize", "free_index", "in_cache", "limit",
        "made", "mark_bits", "needzero", "nelems", "next", "npages", "npreleased", "on_list", "prev",
        "printed", "self_addr", "sizeclass", "specials", "stack_free", "state", "sweepgen", "unused_since",
    )  # fmt: skip

    def __init__(self, printed: list[str]) -> None:
        self.printed = printed
        self.count = self.made = 0
        self.self_addr = array("q")
        self.base = array("q")
        self.npages = array("q")
        self.state = array("q")
        self.sizeclass = array("q")
        self.elemsize = array("q")
        self.nelems = array("q")
        self.limit = array("q")
        self.free_index = array("q")
        self.alloc_count = array("q")
        self.alloc_bits: list[int] = []
        self.mark_bits: list[int] = []
        self.sweepgen = array("q")
        self.needzero = array("q")
        self.npreleased = array("q")
        self.unused_since = array("q")
        self.in_cache: list[bool] = []
        self.next = array("q")
        self.prev = array("q")
        self.on_list: list[SpanList | None] = []
        self.specials: list[list[Special] | None] = []
        self.stack_free: list[list[int] | None] = []
        self.bits: list[bytearray | int | LargeBits] = []

    def __len__(self) -> int:
        return self.count

    def columns(self) -> dict[str, Any]:
        """The columns by name."""
        return {name: getattr(self, name) for name in self.__slots__ if name not in _NO_COLUMNS}

    def record(self, self_addr: int) -> int:
        """Makes the record that fixalloc hands out for the first time; a zeroed mspan."""
        s = self.count
        if s == self.made:
            self._lengthen()
        self.count = s + 1
        self.self_addr[s] = self_addr
        return s

    def _lengthen(self) -> None:
        """Places for more records: one at a time in each column, a record cost 35 empty calls, and now 5."""
        for name, column in self.columns().items():
            column.extend(_EMPTY.get(name, _NUMBERS))
        self.made += AT_ONCE

    def end(self) -> None:
        """Ends all columns with the last record. Whoever lengthens them then does it by `lengthened`."""
        if self.made > self.count:
            for column in self.columns().values():
                del column[self.count :]
            self.made = self.count

    def lengthened(self, n: int) -> None:
        """Every column was given n more records."""
        self.count += n
        self.made = self.count

    def init(self, s: int, base: int, npages: int) -> None:
        """(*mspan).init: a record taken for a run of pages. What it leaves alone stays as it was
        in the record's last life: nelems, limit, sweepgen."""
        self.base[s] = base
        self.npages[s] = npages
        self.alloc_count[s] = 0
        self.sizeclass[s] = 0
        self.in_cache[s] = False
        self.elemsize[s] = 0
        self.state[s] = DEAD
        self.unused_since[s] = 0
        self.npreleased[s] = 0
        self.specials[s] = None
        self.needzero[s] = 0
        self.free_index[s] = 0
        self.alloc_bits[s] = 0
        self.mark_bits[s] = 0
        self.next[s] = self.prev[s] = NIL
        self.on_list[s] = None

    def first_free(self, s: int) -> int:
        """The first free object at or after free_index, nelems if there is none (nextFreeIndex)."""
        index, nelems = self.free_index[s], self.nelems[s]
        if index > nelems:
            raise Throw("s.freeindex > s.nelems")
        free = ~(self.alloc_bits[s] >> index) & ((1 << (nelems - index)) - 1)
        return index + (free & -free).bit_length() - 1 if free else nelems

    def describe(self, s: int) -> dict[str, Any]:
        """One span's fields by name, for messages and tables."""
        return {
            "base": self.base[s],
            "npages": self.npages[s],
            "state": STATE_NAMES[self.state[s]],
            "sizeclass": self.sizeclass[s],
            "elemsize": self.elemsize[s],
            "nelems": self.nelems[s],
            "alloc_count": self.alloc_count[s],
            "free_index": self.free_index[s],
            "needzero": self.needzero[s],
            "npreleased": self.npreleased[s],
            "sweepgen": self.sweepgen[s],
            "limit": self.limit[s],
            "self": self.self_addr[s],
        }


class PageTable:
    """mheap.spans: which span a page of the arena belongs to, stale entries included.

    Kept in chunks of 128 pages (1 MB, what the heap grows by): a chunk that one span fills is
    one integer, so that a terabyte of large objects costs a word a megabyte at most.
    """

    __slots__ = ("chunks",)

    SHIFT = 7
    PAGES = 1 << SHIFT

    def __init__(self) -> None:
        self.chunks: dict[int, array[int] | int] = {}

    def get(self, page: int) -> int:
        """The span entered for that page; NIL where none ever was."""
        chunk = self.chunks.get(page >> 7, NIL)
        return chunk[page & 127] if type(chunk) is array else chunk  # type: ignore[return-value]

    def set(self, page: int, s: int) -> None:
        """Enters s for one page."""
        chunk = self.chunks.get(page >> 7)
        if type(chunk) is not array:
            if chunk == s:
                return
            chunk = self.chunks[page >> 7] = _filled(chunk)
        chunk[page & 127] = s

    def set_range(self, page: int, n: int, s: int) -> None:
        """Enters s for n pages from `page` on."""
        chunks = self.chunks
        i = page >> 7
        low = page & 127
        end = low + n
        if end < 128 or (low and end == 128):
            chunk = chunks.get(i)
            if type(chunk) is not array:
                if chunk == s:
                    return
                chunk = chunks[i] = _filled(chunk)
            chunk[low:end] = array("q", (s,)) * n
            return
        if low:
            self.set_range(page, 128 - low, s)
            n -= 128 - low
            i += 1
        whole = n >> 7
        if whole == 1:
            chunks[i] = s
        else:
            chunks.update(dict.fromkeys(range(i, i + whole), s))
        if n & 127:
            self.set_range((i + whole) << 7, n & 127, s)

    def split(self, page: int, npages: int, s: int, rest: int, t: int) -> None:
        """Enters s for npages from `page` on, and t for the first and the last of the `rest` behind them."""
        low = page & 127
        end = low + npages
        if end + rest <= 128:
            chunk = self.chunks.get(page >> 7)
            if type(chunk) is array:
                if npages == 1:
                    chunk[low] = s
                else:
                    chunk[low:end] = array("q", (s,)) * npages
                chunk[end] = chunk[end + rest - 1] = t
                return
        self.set_range(page, npages, s)
        self.set(page + npages, t)
        self.set(page + npages + rest - 1, t)

    def fill(self, page: int, spans: array[int]) -> None:
        """Enters a span for each page from `page` on."""
        at = 0
        while at < len(spans):
            low = page + at & 127
            n = min(128 - low, len(spans) - at)
            if n == 128:
                self.chunks[page + at >> 7] = spans[at : at + 128]
            else:
                chunk = self.chunks.get(page + at >> 7)
                if type(chunk) is not array:
                    chunk = self.chunks[page + at >> 7] = _filled(chunk)
                chunk[low : low + n] = spans[at : at + n]
            at += n

    def has(self, page: int, n: int, s: int) -> bool:
        """Whether any of n pages from `page` on is entered for s."""
        end = page + n
        while page < end:
            chunk = self.chunks.get(page >> 7)
            low = page & 127
            high = min(128, low + end - page)
            if chunk == s or (type(chunk) is array and s in chunk[low:high]):
                return True
            page += high - low
        return False


def _filled(chunk: array[int] | int | None) -> array[int]:
    """A chunk of pages that one span had, or none."""
    return array("q", (chunk if type(chunk) is int else NIL,)) * PageTable.PAGES
