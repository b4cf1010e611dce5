"""Watching a machine: what it hands out, noted beside it, so that an audit has something to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.types import Type
from allocator.sparse.mspan import MSpan

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore


class Watch:
    """Notes of a machine: live objects by address with type (None: no pointers) and bytes asked for.

    `twice` has the addresses that were handed out while they were in use; `used` the pages that
    were written to since the system gave them, by number.
    """

    __slots__ = ("core", "objects", "twice", "used")

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self.objects: dict[int, tuple[Type | None, int]] = {}
        self.twice: list[int] = []
        self.used: set[int] = set()

    def allocated(self, v: int, typ: Type | None, size: int) -> None:
        """malloc returned v."""
        if v in self.objects:
            self.twice.append(v)
        self.objects[v] = typ, size

    def freed(self, s: MSpan, objects: int) -> None:
        """A sweep freed these objects of a span, as bits."""
        header = self.core.header_of(s)
        while objects:
            index = (objects & -objects).bit_length() - 1
            objects &= objects - 1
            slot = s.base + index * s.elemsize
            if s.spanclass == self.core.tiny_spanclass:
                for v in range(slot, slot + s.elemsize):
                    self.objects.pop(v, None)
            else:
                self.objects.pop(slot + header, None)
