"""Sorted ranges of addresses that never touch or overlap (mranges.go, type addrRanges).

Addresses are offset addresses: counted from the beginning of the arena map, so that they are in
order as numbers on every port.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator

from allocator.common.throw import Throw

INITIAL_CAPACITY = 16


class AddrRanges:
    """Ranges [base, limit). `reserve` is asked for memory, in entries, whenever the array must grow."""

    __slots__ = ("bases", "capacity", "limits", "reserve", "total_bytes")

    def __init__(self, reserve: Callable[[int], None]) -> None:
        self.bases: list[int] = []
        self.limits: list[int] = []
        self.total_bytes = 0
        self.reserve = reserve
        self.capacity = INITIAL_CAPACITY
        reserve(self.capacity)

    def __len__(self) -> int:
        return len(self.bases)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.bases, self.limits, strict=True)

    def succ(self, addr: int) -> int:
        """The place of the first range that begins above addr (findSucc)."""
        return bisect_right(self.bases, addr)

    def contains(self, addr: int) -> bool:
        """Whether addr lies in a range."""
        i = self.succ(addr)
        return i > 0 and addr < self.limits[i - 1]

    def at_or_above(self, addr: int) -> int | None:
        """The least address in a range that is not below addr (findAddrGreaterEqual)."""
        i = self.succ(addr)
        if i and addr < self.limits[i - 1]:
            return addr
        return self.bases[i] if i < len(self.bases) else None

    def add(self, base: int, limit: int) -> None:
        """Adds a range, which overlaps none, and merges it with those that it touches (add)."""
        if limit <= base:
            raise Throw(
                "attempted to add zero-sized address range", f"runtime: range = {{{base:#x}, {limit:#x}}}"
            )
        bases, limits = self.bases, self.limits
        if limits and limits[-1] == base:
            limits[-1] = limit
            self.total_bytes += limit - base
            return
        i = self.succ(base)
        down = i > 0 and limits[i - 1] == base
        up = i < len(bases) and bases[i] == limit
        if up and down:
            limits[i - 1] = limits.pop(i)
            del bases[i]
        elif down:
            limits[i - 1] = limit
        elif up:
            bases[i] = base
        else:
            if len(bases) + 1 > self.capacity:
                self.capacity *= 2
                self.reserve(self.capacity)
            bases.insert(i, base)
            limits.insert(i, limit)
        self.total_bytes += limit - base
