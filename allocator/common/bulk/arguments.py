"""What the arguments of malloc_many mean, on either machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from allocator.common.throw import BadRequest
from allocator.common.types import Type

Ints = np.ndarray[Any, np.dtype[Any]]

BLOCK = 1 << 17  # sizes read at a time, which fit into the cache


class Kinds:
    """The types of a call's objects: one for all, or an index into several for each, -1 for `default`."""

    __slots__ = ("default", "index", "table")

    def __init__(self, table: list[Type | None], index: Ints | None, default: Type | None) -> None:
        self.table = table
        self.index = index
        self.default = default

    def of(self, i: int) -> Type | None:
        """The type of object i."""
        k = -1 if self.index is None else int(self.index[i])
        return self.table[k] if k >= 0 else self.default

    def part(self, a: int, b: int) -> Kinds:
        """Those of the objects from a up to b."""
        return self if self.index is None else Kinds(self.table, self.index[a:b], self.default)


def sizes_of(sizes: Any, largest: int) -> tuple[Ints, int, int]:
    """The sizes as an array, with the largest and one that is smaller, if any is.

    Raises BadRequest for anything else.
    """
    asked = np.asarray(sizes)
    if asked.ndim != 1 or (asked.size and asked.dtype.kind not in "iu"):
        raise BadRequest("sizes must be a flat array of whole numbers")
    if not asked.size:
        return asked, 0, 0
    # What is negative is as large as no other number of its kind: one look tells both.
    unsigned = asked.view(asked.dtype.str.replace("i", "u"))
    first, most, alike = int(unsigned[0]), 0, True
    for at in range(0, len(unsigned), BLOCK):
        block = unsigned[at : at + BLOCK]
        most = max(most, int(block.max()))
        alike = alike and first == most == int(block.min())
    if most > min(largest, int(np.iinfo(asked.dtype).max)):
        raise BadRequest(f"a size must be from 0 to {largest}")
    if first == most and not alike:
        first = _extremes(asked)[0]
    return asked, first, most


def _extremes(numbers: Ints) -> tuple[int, int]:
    """The smallest and the largest, a block at a time, so that it is read once."""
    blocks = [numbers[at : at + BLOCK] for at in range(0, len(numbers), BLOCK)]
    found = [(int(block.min()), int(block.max())) for block in blocks] or [(0, 0)]
    return min(least for least, _ in found), max(most for _, most in found)


def kinds_of(
    pointer_type: Type, typ: Type | Sequence[Type] | None, types: Any, noscan: bool | None, n: int
) -> Kinds:
    """Which object is of which type, `noscan` being taken into account."""

    def told(t: Type | None) -> Type | None:
        if t is None:
            return pointer_type if noscan is False else None
        return None if noscan and not t.noscan else t

    if types is None:
        if typ is not None and not isinstance(typ, Type):
            raise BadRequest("several types need `types`, which gives the type of each object")
        return Kinds([], None, told(typ))
    table = [] if typ is None else [typ] if isinstance(typ, Type) else list(typ)
    index = np.asarray(types)
    if index.shape != (n,) or (n and index.dtype.kind not in "iu"):
        raise BadRequest("types must be a flat array of whole numbers, one for each size")
    least, most = _extremes(index)
    if n and not -1 <= least <= most < len(table):
        raise BadRequest(f"types must be from -1 to {len(table) - 1}")
    return Kinds([told(t) for t in table], index, told(None))


def procs_of(p: Any, n: int, procs: int) -> Ints | int:
    """The P of each object, or of all."""
    who = np.asarray(p)
    if who.ndim > 1 or who.dtype.kind not in "iu" or (who.ndim and who.size != n):
        raise BadRequest("p must be one number, or one for each object")
    if who.size and not 0 <= int(who.min()) <= int(who.max()) < procs:
        raise BadRequest(f"p must be from 0 to {procs - 1}")
    return int(who) if who.ndim == 0 else who
