"""How much of an object the collector counts as scanned: up to its last pointer (scanObject, mgcmark*.go).

What lies behind the last pointer is never looked at. A large object is scanned in oblets, each of which
counts by itself. Processors that scan whole spans with vectors (scan.ScanSpanPacked) count whole objects of
crowded spans; such a processor is not modelled.
"""

from __future__ import annotations

from collections import Counter
from itertools import compress
from math import gcd
from typing import TYPE_CHECKING

from allocator.common.types import Type
from allocator.sparse.heap_bits import ObjectType, mask_of

if TYPE_CHECKING:
    from allocator.sparse.config import Config
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.mspan import MSpan

OBLET = 128 << 10  # maxObletBytes
_DIGITS = bytes.maketrans(b"01", b"\x00\x01")


class ScanWork:
    """What scanning costs in one heap, in bytes. Each combination of type and size is worked out once."""

    __slots__ = ("_known", "core")

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self._known: dict[tuple[ObjectType, int, int], int] = {}

    def of_objects(self, s: MSpan, objects: int) -> int:
        """Of several objects of a span, as bits."""
        if s.spanclass & 1 or not objects:
            return 0
        n = objects.bit_count()
        types = s.types
        if s.nelems == 1 or (s.spanclass == 2 and self.core.config.ptr_size == 8):
            return n * self._of(s, self.core.object_type(s, 0))
        if types is None:
            return 0
        if type(types) is tuple or types.count(types[0]) == len(types):
            return n * self._of(s, types[0])
        chosen = compress(types, f"{objects:b}"[::-1].encode().translate(_DIGITS))
        return sum(times * self._of(s, what) for what, times in Counter(chosen).items())

    def of_object(self, s: MSpan, index: int) -> int:
        """Of one object of a span."""
        return 0 if s.spanclass & 1 else self._of(s, self.core.object_type(s, index))

    def _of(self, s: MSpan, what: ObjectType | None) -> int:
        if what is None:
            return 0
        # Before objects had headers their bits ended where what was asked for did.
        size = s.elemsize if s.spanclass > 1 or self.core.config.headers else s.limit - s.base
        key = what, size, self.core.header_of(s)
        work = self._known.get(key)
        if work is None:
            work = self._known[key] = scan_size(what, size, key[2], self.core.config)
        return work


def scan_size(what: ObjectType, size: int, header: int, config: Config) -> int:
    """Bytes that are scanned of an object of `size` bytes whose values begin behind a header."""
    ptr = config.ptr_size
    if isinstance(what, Type) and not config.headers:
        size = size // what.size * what.size
    if size <= OBLET:
        return last_pointer(what, size, header, ptr)
    whole, tail = divmod(size, OBLET)
    # Pointers lie alike again after as many oblets as make whole values of the type.
    period = min(what.size // gcd(what.size, OBLET) if isinstance(what, Type) else whole, whole) or 1
    found = [max(last_pointer(what, (k + 1) * OBLET, header, ptr) - k * OBLET, 0) for k in range(period)]
    rest = max(last_pointer(what, size, header, ptr) - whole * OBLET, 0) if tail else 0
    return whole // period * sum(found) + sum(found[: whole % period]) + rest


def last_pointer(what: ObjectType, limit: int, header: int, ptr: int) -> int:
    """How far behind an object's beginning its last pointer before `limit` ends; 0 where there is none.

    A type is repeated for as long as there is room, whatever was asked for.
    """
    if not isinstance(what, Type):
        return (what & (1 << limit // ptr) - 1).bit_length() * ptr
    whole, rest = divmod(limit - header, what.size)
    mask = mask_of(what, ptr)
    part = mask & (1 << rest // ptr) - 1
    if part:
        return header + whole * what.size + part.bit_length() * ptr
    return header + (whole - 1) * what.size + mask.bit_length() * ptr if whole > 0 else 0
