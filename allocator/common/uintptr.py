"""Unsigned machine words: arithmetic that wraps at the word size, as Go's uintptr does."""

from __future__ import annotations


def round_up(n: int, a: int) -> int:
    """The least multiple of a, a power of two, that is at least n (runtime.round, unwrapped)."""
    return (n + a - 1) & -a


class Word:
    """One platform's uintptr. `bits` is 32 or 64; every result lies in [0, 2**bits)."""

    __slots__ = ("bits", "mask")

    def __init__(self, ptr_size: int) -> None:
        self.bits = 8 * ptr_size
        self.mask = (1 << self.bits) - 1

    def add(self, a: int, b: int) -> int:
        """a + b, wrapped."""
        return (a + b) & self.mask

    def sub(self, a: int, b: int) -> int:
        """a - b, wrapped: below zero comes out near the top."""
        return (a - b) & self.mask

    def mul(self, a: int, b: int) -> int:
        """a * b, wrapped."""
        return (a * b) & self.mask

    def round(self, n: int, a: int) -> int:
        """runtime.round: up to a multiple of the power of two a, wrapped."""
        return (n + a - 1) & self.mask & ~(a - 1)

    def signed(self, a: int) -> int:
        """a read as Go's int of the same size."""
        return a - (1 << self.bits) if a >> (self.bits - 1) else a


def printint(n: int) -> int:
    """An unsigned number as Go's print shows it where its type is not uint64: as an int64 (walkprint).

    A uintptr of 64 bits has a minus sign from 1 << 63 on; narrower ones never have. Compilers of today print
    every unsigned type without a sign.
    """
    return n - (1 << 64) if n >> 63 else n
