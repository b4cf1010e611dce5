"""Other rules for the table of size classes, to compare them with mksizeclasses.go's.

A rule says how many classes there are between a size and its double. Small steps waste less in
objects; every further class may leave a further span partly unfilled.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache

from allocator.common.sizeclasses import ALIGN, DivMagic, SizeClassError, SizeClasses, div_magic
from archcalc.reading.words import counted

GO = "go"
STEPS = {"powers-of-two": 1, "quarters": 4, "eighths": 8, "sixteenths": 16}
RULES = (GO, *STEPS)


@lru_cache(maxsize=64)
def table(rule: str, go: SizeClasses) -> SizeClasses:
    """The table that a rule of RULES gives, with the page size and the limits of Go's own.

    Sizes are multiples of 16 from 16 on, and of what the look-up tables need. Spans have as many
    pages as keep their tail within an eighth, as in Go. Raises SizeClassError where there is none.
    """
    if rule == GO:
        return go
    steps = STEPS[rule]
    sizes = [0, ALIGN, 2 * ALIGN]
    while sizes[-1] < go.max_small_size:
        size = sizes[-1]
        step = max((1 << (size.bit_length() - 1)) // steps, 2 * ALIGN)
        if size >= go.small_size_max:
            step = max(step, go.large_size_div)
        sizes.append(min(size + step, go.max_small_size))
    pages = [0]
    for size in sizes[1:]:
        span = go.page_size
        while span % size > span // 8:
            span += go.page_size
        pages.append(span // go.page_size)
    if len(sizes) > 256 or max(pages) > 255:
        raise SizeClassError(
            f"{counted(len(sizes), 'class')}, {counted(max(pages), 'page')} a span: each number must "
            "fit a byte"
        )
    magics = [div_magic(size, n * go.page_size) for size, n in zip(sizes[1:], pages[1:], strict=True)]
    small = range(0, go.small_size_max + 1, go.small_size_div)
    large = range(go.small_size_max, go.max_small_size + 1, go.large_size_div)
    return SizeClasses(
        go.page_size,
        go.max_small_size,
        go.small_size_div,
        go.small_size_max,
        go.large_size_div,
        tuple(sizes),
        tuple(pages),
        (DivMagic(0, 0, 0, 0), *magics),
        tuple(bisect_left(sizes, size) for size in small),
        tuple(bisect_left(sizes, size) for size in large),
    )
