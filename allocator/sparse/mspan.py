"""Spans: runs of pages that the heap handed out (mheap.go, type mspan), and their doubly linked lists.

The record of a span lives as long as the machine, at the address that fixalloc gave it, and is
used again for other pages once its span is freed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.sparse.heap_bits import ObjectType
    from allocator.sparse.specials import Special

# mSpanState, in Go's order.
DEAD, IN_USE, MANUAL = range(3)
STATE_NAMES = ("mSpanDead", "mSpanInUse", "mSpanManual")

NOWHERE = (0, 0)
NO_STACKS: list[int] = []  # the free stacks of every span that never had any


class MSpan:
    """One mspan. Bitmaps are integers, bit i for object i; `sweepgen` is as in Go, where h is the heap's:

    h-2 needs sweeping, h-1 is being swept, h is swept, h+1 was cached before sweeping began and
    still is, h+3 was swept and is cached now. `types` says by object what its heap bits or its
    header hold: None while all bits are clear. Spans whose objects all hold the same may share a tuple.
    """

    __slots__ = (
        "alloc_bits",
        "alloc_count",
        "alloc_count_before_cache",
        "base",
        "elemsize",
        "free_index",
        "is_user_arena_chunk",
        "large_type",
        "limit",
        "list",
        "manual_free_list",
        "mark_bits",
        "needzero",
        "nelems",
        "next",
        "npages",
        "prev",
        "self_addr",
        "spanclass",
        "specials",
        "state",
        "sweepgen",
        "types",
        "unrolled",
        "user_arena_free",
    )  # fmt: skip

    def __init__(self, self_addr: int) -> None:
        # All in one place: a call of _clear took as long as all that it writes.
        self.self_addr = self_addr
        self.nelems = self.sweepgen = self.alloc_count_before_cache = self.base = self.npages = self.limit = 0
        self.alloc_count = self.spanclass = self.elemsize = self.needzero = self.free_index = 0
        self.alloc_bits = self.mark_bits = 0
        self.state = DEAD
        self.manual_free_list = NO_STACKS
        self.next: MSpan | None = None
        self.prev: MSpan | None = None
        self.list: SpanList | None = None
        self.specials: list[Special] | None = None
        self.types: list[ObjectType | None] | tuple[ObjectType | None, ...] | None = None
        self.large_type: ObjectType | None = None
        self.is_user_arena_chunk = False
        self.unrolled: MSpan | None = None  # a large object's pointer bits, from its GC program
        self.user_arena_free = NOWHERE  # what is left of a chunk: from, to

    def init(self, base: int, npages: int, page_size: int) -> None:
        """(*mspan).init: a record taken for a run of pages. What it leaves alone is of its last life."""
        if self.npages:
            self._clear()
        self.base = base
        self.npages = npages
        self.limit = base + npages * page_size

    def _clear(self) -> None:
        """As a record is that was never used, but for its pages and what a life leaves behind."""
        self.next = self.prev = self.list = self.specials = self.types = None
        self.alloc_count = self.spanclass = self.elemsize = self.needzero = self.free_index = 0
        self.alloc_bits = self.mark_bits = 0
        self.state = DEAD

    @property
    def noscan(self) -> bool:
        """Whether its objects have no pointers."""
        return bool(self.spanclass & 1)

    @property
    def sizeclass(self) -> int:
        """The size class, 0 for a large object."""
        return self.spanclass >> 1

    def first_free(self, index: int) -> int:
        """The first free object at or after `index`, nelems where there is none (nextFreeIndex)."""
        free = ~(self.alloc_bits >> index) & (1 << self.nelems - index) - 1
        return index + (free & -free).bit_length() - 1 if free else self.nelems

    def allocated(self) -> int:
        """Which objects are allocated, as bits. A cached span knows only what its cache has synced."""
        return (self.alloc_bits | (1 << self.free_index) - 1) & (1 << self.nelems) - 1

    def open_types(self) -> list[ObjectType | None]:
        """`types`, to be written to."""
        types = self.types
        if type(types) is not list:
            types = self.types = [None] * self.nelems if types is None else list(types)
        return types

    def index_of(self, p: int) -> int:
        """The number of the object that an address lies in (objIndex)."""
        return (p - self.base) // self.elemsize

    def describe(self) -> dict[str, Any]:
        """The fields by name, for messages and tables."""
        return {
            "base": self.base,
            "npages": self.npages,
            "state": STATE_NAMES[self.state],
            "spanclass": self.spanclass,
            "elemsize": self.elemsize,
            "nelems": self.nelems,
            "alloc_count": self.alloc_count,
            "free_index": self.free_index,
            "needzero": self.needzero,
            "sweepgen": self.sweepgen,
            "limit": self.limit,
            "self": self.self_addr,
        }


class SpanList:
    """One mSpanList: a doubly linked list threaded through the spans."""

    __slots__ = ("first", "last")

    def __init__(self) -> None:
        self.first: MSpan | None = None
        self.last: MSpan | None = None

    def __iter__(self) -> Iterator[MSpan]:
        s = self.first
        while s is not None:
            after = s.next
            yield s
            s = after

    def insert(self, s: MSpan) -> None:
        """Puts s at the front."""
        if s.next is not None or s.prev is not None or s.list is not None:
            raise Throw("mSpanList.insert", f"runtime: failed mSpanList.insert {s.self_addr:#x}")
        s.next = self.first
        if self.first is not None:
            self.first.prev = s
        else:
            self.last = s
        self.first = s
        s.list = self

    def insert_back(self, s: MSpan) -> None:
        """Puts s at the end."""
        if s.next is not None or s.prev is not None or s.list is not None:
            raise Throw("mSpanList.insertBack", f"runtime: failed mSpanList.insertBack {s.self_addr:#x}")
        s.prev = self.last
        if self.last is not None:
            self.last.next = s
        else:
            self.first = s
        self.last = s
        s.list = self

    def remove(self, s: MSpan) -> None:
        """Takes s off this list."""
        if s.list is not self:
            line = f"runtime: failed mSpanList.remove span.npages={s.npages} span={s.self_addr:#x}"
            raise Throw("mSpanList.remove", line)
        if s.prev is None:
            self.first = s.next
        else:
            s.prev.next = s.next
        if s.next is None:
            self.last = s.prev
        else:
            s.next.prev = s.prev
        s.next = s.prev = None
        s.list = None
