"""The bits of one chunk of pages: which are allocated, and where the first free run is (mpallocbits.go).

A chunk's bits are one integer, bit i for page i of it; a set bit is an allocated page. A summary
of a chunk, or of many, is a triple of pages: free at its start, the longest free run, free at
its end.
"""

from __future__ import annotations

from collections.abc import Iterable

Summary = tuple[int, int, int]

NONE = -1  # no page
ALLOCATED: Summary = (0, 0, 0)


def trailing_zeros(x: int) -> int:
    """The place of the lowest set bit of an x that has one."""
    return (x & -x).bit_length() - 1


def longest_run(x: int) -> int:
    """The length of the longest run of set bits of x."""
    if not x:
        return 0
    # starts[i] has a bit where a run of 2**i and more begins.
    starts = [x]
    length = 1
    while longer := x & x >> length:
        x = longer
        starts.append(x)
        length *= 2
    total = length
    for shorter in reversed(starts[:-1]):
        length //= 2
        if longer := x & shorter >> total:
            x = longer
            total += length
    return total


def find_run(free: int, n: int) -> int:
    """The place of the first n set bits side by side, NONE where there are none (findBitRange64)."""
    first = (free & -free).bit_length() - 1
    # A heap that grows has room at once.
    if n == 1 or not free or free >> first & (wanted := (1 << n) - 1) == wanted:
        return first
    if free.bit_count() < n:
        return NONE
    covered = 1
    while covered < n:
        step = covered if covered < n - covered else n - covered
        free &= free >> step
        covered += step
    return trailing_zeros(free) if free else NONE


def summarize(bits: int, pages: int) -> Summary:
    """The summary of a chunk of so many pages (pallocBits.summarize)."""
    if not bits:
        return pages, pages, pages
    free = ~bits & (1 << pages) - 1
    if not free:
        return ALLOCATED
    return trailing_zeros(bits), longest_run(free), pages - bits.bit_length()


def merge(children: Iterable[Summary | None], pages: int) -> Summary:
    """The summary of several parts side by side, each of so many pages (mergeSummaries).

    None stands for a part that is allocated: most parts of an address space are.
    """
    start = most = end = 0
    whole = True  # all parts so far are free as a whole
    for child in children:
        if child is None or not child[1]:
            whole = False
            end = 0
            continue
        first, longest, last = child
        if whole:
            start += first
            whole = first == pages
        if end + first > most:
            most = end + first
        if longest > most:
            most = longest
        end = end + pages if last == pages else last
    return start, most, end


def pack(summary: Summary, log_max: int) -> int:
    """A summary in the 64 bits that the runtime keeps it in (packPallocSum)."""
    start, most, end = summary
    if most == 1 << log_max:
        return 1 << 63
    mask = (1 << log_max) - 1
    return start & mask | (most & mask) << log_max | (end & mask) << 2 * log_max


def unpack(packed: int, log_max: int) -> Summary:
    """A summary from its 64 bits (pallocSum.unpack)."""
    if packed >> 63:
        return (1 << log_max,) * 3
    mask = (1 << log_max) - 1
    return packed & mask, packed >> log_max & mask, packed >> 2 * log_max & mask
