"""How objects of one type and size are allocated: worked out once, followed for each."""

from __future__ import annotations

from typing import NamedTuple

from allocator.contiguous.heap_bitmap import Stamp


class Plan(NamedTuple):
    """All that an allocation of a type and size needs, worked out once.

    `scan` is what it adds to heap_scan; sizeclass 0 is a large object.
    """

    sizeclass: int
    stamp: Stamp
    scan: int
    data_size: int
