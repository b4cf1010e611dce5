"""Watching a machine: what it hands out, noted beside it, so that an audit has something to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.contiguous.mspan import PageTable

if TYPE_CHECKING:
    from allocator.common.types import Type
    from allocator.contiguous.core import Core

CLEAN, USED = range(2)


class Watch:
    """Notes of a machine: its live objects with type and data size, the pages that were ever used.

    `twice` has the addresses that were handed out while they were in use.
    """

    __slots__ = ("objects", "pages", "rt", "twice")

    def __init__(self, rt: Core) -> None:
        self.rt = rt
        self.objects: dict[int, tuple[Type | None, int]] = {}
        self.pages = PageTable()
        self.twice: list[int] = []

    def allocated(self, v: int, typ: Type | None, data_size: int) -> None:
        """malloc returned v; typ None where it has no pointers."""
        if v in self.objects:
            self.twice.append(v)
        self.objects[v] = typ, data_size

    def freed(self, s: int, objects: int) -> None:
        """A sweep freed these objects of a span, as bits."""
        base, size = self.rt.spans.base[s], self.rt.spans.elemsize[s]
        while objects:
            index = (objects & -objects).bit_length() - 1
            objects &= objects - 1
            self.objects.pop(base + index * size, None)

    def used(self, s: int) -> None:
        """A span was put to use: its pages are no longer fresh from the OS."""
        self.pages.set_range(
            self.rt.spans.base[s] >> self.rt.config.page_shift, self.rt.spans.npages[s], USED
        )

    def released(self, v: int, n: int) -> None:
        """The scavenger gave [v, v+n) back: the OS will zero it."""
        shift = self.rt.config.page_shift
        self.pages.set_range(v >> shift, n >> shift, CLEAN)

    def was_used(self, s: int) -> bool:
        """Whether a span has memory that is not fresh."""
        spans = self.rt.spans
        return self.pages.has(spans.base[s] >> self.rt.config.page_shift, spans.npages[s], USED)
