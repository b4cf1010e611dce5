"""What spans' bits and headers hold of many objects at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from allocator.common.bulk.batch_layout import BatchLayout
    from allocator.common.bulk.compiled import CompiledLayout
    from allocator.sparse.bulk.places import SpanPlace
    from allocator.sparse.heap_bits import ObjectType, Plan

Ints = np.ndarray[Any, np.dtype[Any]]


class ObjectTypes:
    """What the objects of one place are given, by their ranks.

    `plans` are the batch's, `numbers` the objects' places in them and one more, one for all where it is
    the same.
    """

    __slots__ = ("_same", "numbers", "plans")

    def __init__(self, plans: list[Plan], numbers: Ints | int) -> None:
        self.plans = plans
        self.numbers = numbers
        self._same: tuple[ObjectType | None, ...] = ()

    def of(self, first: int, n: int) -> list[ObjectType | None] | tuple[ObjectType | None, ...]:
        """Those of n objects from a rank on; one tuple for all spans, where all are the same."""
        plans, numbers = self.plans, self.numbers
        if isinstance(numbers, int):
            if len(self._same) != n:
                self._same = (plans[numbers - 1].what,) * n
            return self._same
        return [plans[number - 1].what for number in numbers[first : first + n].tolist()]


def types_of(
    layout: BatchLayout | CompiledLayout, plans: list[Plan], numbers: Ints | int, place: SpanPlace
) -> ObjectTypes | None:
    """What a place's objects are given; None for nothing: no pointers, or nothing but pointers."""
    if place.spanclass & 1 or not place.total:
        return None
    if not isinstance(numbers, int):
        numbers = layout.grouped(numbers, place.code)
    first = numbers if isinstance(numbers, int) else int(numbers[0])
    return None if plans[first - 1].what is None else ObjectTypes(plans, numbers)


def write_types(place: SpanPlace, types: ObjectTypes) -> None:
    """Writes down the types of objects whose spans are records."""
    for piece in place.pieces:
        bounds = piece.bounds
        if bounds is None:
            continue
        for s, a, b in zip(piece.spans, bounds, bounds[1:], strict=False):
            n = min(b, place.total - piece.first) - a
            if n > 0:
                index = (piece.starts[a : a + n] - np.uint64(s.base + place.header)) // np.uint64(s.elemsize)
                held = s.open_types()
                for at, what in zip(index.tolist(), types.of(piece.first + a, n), strict=True):
                    held[at] = what
    for rank, s in place.fresh:
        n = min(s.nelems, place.total - rank)
        if n > 0:
            s.open_types()[:n] = types.of(rank, n)
    s = place.cached.span
    place.cached.types = None if s is None or s.types is None else s.open_types()
