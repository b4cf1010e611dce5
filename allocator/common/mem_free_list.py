"""memFreelist of systems that have nothing but a break: what was freed below it (mem_plan9.go, mem_sbrk.go).

Blocks are in the order of their addresses. Sizes are bytes, rounded up as memRound has them.
"""

from __future__ import annotations

from bisect import bisect_left


class MemFreeList:
    """Free blocks: `addresses` in ascending order, and the `sizes` beside them."""

    __slots__ = ("addresses", "sizes")

    def __init__(self) -> None:
        self.addresses: list[int] = []
        self.sizes: list[int] = []

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """(address, size) of each block, in ascending order."""
        return list(zip(self.addresses, self.sizes, strict=True))

    def take(self, n: int) -> int:
        """The end of the first block that is large enough; 0 where there is none (memAlloc)."""
        sizes = self.sizes
        for i, size in enumerate(sizes):
            if size == n:
                del sizes[i]
                return self.addresses.pop(i)
            if size > n:
                sizes[i] = size - n
                return self.addresses[i] + sizes[i]
        return 0

    def give_back(self, v: int, n: int) -> None:
        """[v, v+n) in its place, joined with neighbours that it touches (memFree)."""
        addresses, sizes = self.addresses, self.sizes
        i = bisect_left(addresses, v)
        if i < len(addresses) and v + n == addresses[i]:
            addresses[i] = v
            sizes[i] += n
        else:
            addresses.insert(i, v)
            sizes.insert(i, n)
        if i and addresses[i - 1] + sizes[i - 1] == v:
            sizes[i - 1] += sizes[i]
            del addresses[i], sizes[i]
