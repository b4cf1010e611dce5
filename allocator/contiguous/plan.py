"""How objects of one type and size are allocated: computed once, followed for each."""

from __future__ import annotations

from typing import Any, NamedTuple

from allocator.contiguous.heap_bitmap import HALF, PAIR, WHOLE, Stamp


class Plan(NamedTuple):
    """All that an allocation of a type and size needs, computed once.

    `scan` is what it adds to heap_scan; sizeclass 0 is a large object.
    """

    sizeclass: int
    stamp: Stamp
    scan: int
    data_size: int


# What `malloc` has of a plan: size class, bytes of heap_scan, and how the stamp is laid down in few steps,
# by one of these, with one thing for an object at the start of a byte and one for the middle.
QuickPlan = tuple[int, int, int, Any, Any]
# The bitmap's bytes; a byte alone; two; halves and bytes; a half and a byte; half a byte.
BYTES, ONE_BYTE, TWO_BYTES, HALF_AND_BYTES, HALF_AND_BYTE, HALF_ALONE = range(1, 7)


def quick_plan(plan: Plan) -> QuickPlan:
    """A plan of a size class as `malloc` follows it; what it leaves is what `press` leaves of the stamp."""
    how, body, tail, head, rest, clear = plan.stamp
    which, first, second = 0, None, None  # type: int, Any, Any
    if how == WHOLE:
        # A slice is assigned faster from a bytearray, and a byte or two faster than a slice.
        which, first, second = BYTES, bytearray(body), len(body)
        if len(body) <= 2:
            which, first, second = (ONE_BYTE, TWO_BYTES)[len(body) - 1], body[0], body[-1]
    elif how == HALF and len(body) == 1:
        which, first, second = HALF_AND_BYTE, (body[0], tail), (head, rest[0])
    elif how == HALF:
        which, first, second = HALF_AND_BYTES, (bytearray(body), tail), (head, bytearray(rest))
    elif how == PAIR:
        which, first, second = HALF_ALONE, (~clear & 0xFF, tail), (~(clear << 2) & 0xFF, tail << 2)
    return plan.sizeclass, plan.scan, which, first, second
