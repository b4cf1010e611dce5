"""The table of small size classes, computed the way mksizeclasses.go does it.

A small object is rounded up to the size of its class. A span of a class is a
whole number of pages, chopped into objects of that size; what is left at its
end is the tail. Sizes are chosen so that neither the rounding nor the tail
wastes more than an eighth.

Go ships the result as sizeclasses.go. Here it is computed, so that other page
sizes and other limits can be tried; the defaults give Go's own table. All
sizes are bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from allocator.common.throw import Throw

ALIGN = 8
"""Alignment of the smallest class, and so the slack sizeToClass leaves at smallSizeMax."""


class SizeClassError(ValueError):
    """These parameters have no table: mksizeclasses.go or the compiler would refuse them."""


class DivMagic(NamedTuple):
    """How to divide an offset in a span by the object size (divMagic, sizeclasses.go).

    `n // size == ((n >> shift) * mul) >> shift2` for every n in the span; when the
    size is a power of two, `n & base_mask` is the offset of the object's start.
    """

    shift: int
    shift2: int
    mul: int
    base_mask: int


@dataclass(frozen=True, slots=True)
class SizeClasses:
    """The tables of sizeclasses.go; class 0 means "not small" and has size 0."""

    page_size: int
    max_small_size: int
    small_size_div: int
    small_size_max: int
    large_size_div: int
    class_to_size: tuple[int, ...]
    class_to_allocnpages: tuple[int, ...]
    class_to_divmagic: tuple[DivMagic, ...]
    size_to_class8: tuple[int, ...]
    size_to_class128: tuple[int, ...]

    def __len__(self) -> int:
        """_NumSizeClasses: how many classes there are, class 0 among them."""
        return len(self.class_to_size)

    def size_to_class(self, size: int) -> int:
        """The class of `size` bytes (sizeToClass, msize.go); throws above max_small_size."""
        if size > self.max_small_size:
            raise Throw("invalid size")
        if size > self.small_size_max - ALIGN:
            return self.size_to_class128[-((self.small_size_max - size) // self.large_size_div)]
        return self.size_to_class8[-(-size // self.small_size_div)]

    def by_size(self) -> bytes:
        """The class of every size up to max_small_size: `size_to_class` of all, row by row of its tables."""
        first8, *further8 = (bytes((sizeclass,)) for sizeclass in self.size_to_class8)
        first128, *further128 = (bytes((sizeclass,)) for sizeclass in self.size_to_class128)
        table = bytearray(first8 + b"".join(row * self.small_size_div for row in further8))
        del table[self.small_size_max - ALIGN + 1 :]
        table += first128 * ALIGN + b"".join(row * self.large_size_div for row in further128)
        return bytes(table)

    def round_up_size(self, size: int, uintptr_mask: int = (1 << 64) - 1) -> int:
        """The bytes mallocgc takes for a request of `size` (roundupsize, msize.go).

        From max_small_size on that is whole pages; a size that would wrap at the word
        size is returned as it is.
        """
        if size < self.max_small_size:
            return self.class_to_size[self.size_to_class(size)]
        if (size + self.page_size) & uintptr_mask < size:
            return size
        return -(-size // self.page_size) * self.page_size

    def span_bytes(self, sizeclass: int) -> int:
        """Bytes of one span of a class."""
        return self.class_to_allocnpages[sizeclass] * self.page_size

    def objects(self, sizeclass: int) -> int:
        """Objects in one span of a class; none for class 0."""
        size = self.class_to_size[sizeclass]
        return self.span_bytes(sizeclass) // size if size else 0

    def tail_waste(self, sizeclass: int) -> int:
        """Bytes at the end of a span of a class that no object covers."""
        size = self.class_to_size[sizeclass]
        return self.span_bytes(sizeclass) % size if size else 0


@lru_cache(maxsize=64)
def compute(
    page_size: int = 8192,
    max_small_size: int = 32768,
    small_size_div: int = 8,
    small_size_max: int = 1024,
    large_size_div: int = 128,
    sixteen_from: int = 16,
) -> SizeClasses:
    """The whole table for these parameters, in bytes (makeClasses, mksizeclasses.go).

    Classes go by steps of 16 from `sixteen_from` on: later releases put 24 between 16 and 32.

    Raises SizeClassError where the generator would panic, or the compiler would refuse
    a number that does not fit its table.
    """
    _check_parameters(page_size, max_small_size, small_size_div, small_size_max, large_size_div)
    sizes, pages = _make_classes(page_size, max_small_size, large_size_div, sixteen_from)
    for what, numbers, limit in (
        ("size class of %d bytes does not fit uint16", sizes, 0xFFFF),
        ("span of %d pages does not fit uint8", pages, 0xFF),
        ("%d size classes do not fit uint8", (len(sizes),), 0x100),
    ):
        if max(numbers) > limit:
            raise SizeClassError(what % max(numbers))
    magics = [DivMagic(0, 0, 0, 0)]
    magics += [div_magic(size, n * page_size) for size, n in zip(sizes[1:], pages[1:], strict=True)]
    return SizeClasses(
        page_size,
        max_small_size,
        small_size_div,
        small_size_max,
        large_size_div,
        tuple(sizes),
        tuple(pages),
        tuple(magics),
        tuple(bisect_left(sizes, size) for size in range(0, small_size_max + 1, small_size_div)),
        tuple(bisect_left(sizes, size) for size in range(small_size_max, max_small_size + 1, large_size_div)),
    )


def div_magic(size: int, span_bytes: int) -> DivMagic:
    """The multiplication that divides every offset in a span by `size` (computeDivMagic)."""
    last = span_bytes - 1
    base_mask = 0
    if size & (size - 1) == 0:
        if last >= 1 << 16:
            raise SizeClassError(f"span of {span_bytes} bytes too big for power of two size {size}")
        base_mask = (1 << 16) - size
    shift = (size & -size).bit_length() - 1
    divisor = size >> shift
    last >>= shift
    shift2 = 0
    while not _divides(divisor, shift2, last):
        shift2 += 1
    mul = -(-(1 << shift2) // divisor)
    # The runtime multiplies in 32 bits, from a 16-bit table entry.
    if mul >= 1 << 16:
        raise SizeClassError(f"division magic of size {size}: multiplier {mul} does not fit uint16")
    if mul * last >= 1 << 32:
        raise SizeClassError(f"division magic of size {size}: product {mul * last} does not fit uint32")
    return DivMagic(shift, shift2, mul, base_mask)


def _divides(divisor: int, k: int, last: int) -> bool:
    """Whether n * ceil(2^k / divisor) >> k is n // divisor for every n from 0 to `last`.

    The generator tries every n. The product is never too small, and what it is too large
    by grows with n, so that between two multiples of the divisor the last n is the
    first to fail: it is enough to try the largest n just below a multiple, and the end.
    """
    mul = -(-(1 << k) // divisor)
    below_multiple = (last + 1) // divisor * divisor - 1
    return all(n * mul >> k == n // divisor for n in (below_multiple, last) if n >= 0)


def _make_classes(
    page_size: int, max_small_size: int, large_size_div: int, sixteen_from: int
) -> tuple[list[int], list[int]]:
    """Sizes and pages by class."""
    sizes, pages = [0], [0]
    align = size = ALIGN
    while size <= max_small_size:
        if size & (size - 1) == 0:
            if size >= 2048:
                align = 256
            elif size >= 128:
                align = size // 8
            elif size >= sixteen_from:
                align = 16
        span = page_size
        while span % size > span // 8:
            span += page_size
        npages = span // page_size
        if len(sizes) > 1 and npages == pages[-1] and span // size == span // sizes[-1]:
            # As many objects in as many pages: the smaller size gains nothing.
            sizes[-1] = size
        else:
            sizes.append(size)
            pages.append(npages)
        size += align
    for i in range(1, len(sizes)):
        # A larger object may fit as often; the second lookup table needs large_size_div alignment.
        span = pages[i] * page_size
        sizes[i] = max(sizes[i], span // (span // sizes[i]) // large_size_div * large_size_div)
    if sizes[-1] < max_small_size:
        raise SizeClassError(f"no class holds {max_small_size} bytes: the largest is {sizes[-1]}")
    return sizes, pages


def _check_parameters(
    page_size: int, max_small_size: int, small_size_div: int, small_size_max: int, large_size_div: int
) -> None:
    for name, value, least in (
        ("page size", page_size, 1024),
        ("small size divisor", small_size_div, 1),
        ("large size divisor", large_size_div, ALIGN),
    ):
        if value < least or value & (value - 1):
            raise SizeClassError(f"{name} {value} is not a power of two of at least {least}")
    if page_size > 1 << 30:
        raise SizeClassError(f"page size {page_size} is above 1 GB")
    if max_small_size > 1 << 16:
        raise SizeClassError(f"largest small size {max_small_size} does not fit uint16")
    if not ALIGN <= small_size_max <= max_small_size:
        raise SizeClassError(
            f"end of the small table {small_size_max} is outside {ALIGN} to {max_small_size}"
        )
    if small_size_max % small_size_div or (max_small_size - small_size_max) % large_size_div:
        raise SizeClassError(
            f"table limits {small_size_max} and {max_small_size} are not whole steps of "
            f"{small_size_div} and {large_size_div}"
        )
