"""What ordinary allocations of a recording of version 2 ask for: the fields of m records, read once for all
that have the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from allocator.common.types import BadType, Type
from archcalc.traces.columnar import MAX_KEYS
from archcalc.traces.reader import decimal

if TYPE_CHECKING:
    import numpy as np

    from allocator.sparse.heap_bits import ObjectType
    from allocator.sparse.runtime import Runtime

    Array = np.ndarray[Any, np.dtype[Any]]

# How an allocation goes: one by one (OTHER), or as the next object of its span, without room in a tiny block,
# or in the block that is open.
OTHER, SMALL, TINY_NEW, TINY_FIT = range(4)
# The flags of an m record, but that the object has no pointers and that it must be zero.
KINDS = {"": SMALL, "t": TINY_NEW, "tc": TINY_FIT}


class Ask(NamedTuple):
    """What allocations with equal fields have in common. `size`, `scan` and `header` are bytes."""

    kind: int
    place: int = 0
    p: int = 0
    size: int = 0
    scan: int = 0
    header: int = 0
    what: ObjectType | None = None
    type: str = "-"


NONE = Ask(OTHER)


class AskColumns:
    """Asks as arrays, a place for each request of a batch."""

    def __init__(self, keys: list[Ask], np: Any) -> None:
        kind, place, p, size, scan, header, what, _ = zip(*keys, strict=True)
        self.kind: Array = np.array(kind, np.int8)
        self.place: Array = np.array(place, np.int32)
        self.p: Array = np.array(p, np.int32)
        self.size: Array = np.array(size, np.int32)
        self.scan: Array = np.array(scan, np.int64)
        self.header: Array = np.array(header, np.uint64)
        self.what: Array = np.empty(len(what), object)
        self.what[:] = what


class Asks:
    """The keys of one recording, learned as they come, and the places (P and span class) of their objects."""

    def __init__(self, types: dict[str, Type]) -> None:
        self.types = types
        self.ahead: dict[str, Type] = {}  # those that the batch in hand defines
        self.known: dict[str, Ask] = {}
        self.places: list[tuple[int, int]] = []
        self.place_of: dict[tuple[int, int], int] = {}

    def key(self, core: Runtime, word: str | None) -> Ask:
        """What is known of an allocation's fields, as the column has them."""
        if word is None:
            return NONE
        key = self.known.get(word)
        if key is None:
            try:
                key = self._learned(core, word)
            except (ValueError, KeyError, BadType):
                return NONE  # line by line it may be found out what it is
            if len(self.known) < MAX_KEYS:
                self.known[word] = key
        return key

    def _learned(self, core: Runtime, word: str) -> Ask:
        who, words, number, flags = word.split(" ")
        p, size = decimal(who), decimal(words)
        typ = self._type(number) if number != "-" else None
        kind = KINDS.get(flags.strip(".").replace("n", "").replace("z", ""), OTHER)
        is_tiny = (typ is None or typ.noscan) and 0 < size < core.config.tiny_size
        if kind == OTHER or is_tiny != (kind in (TINY_NEW, TINY_FIT)):
            return NONE
        if is_tiny:
            return Ask(kind, self._place(p, core.tiny_spanclass), p, size, type=number)
        plan = core.short_way(size, typ)
        if plan is None:
            return NONE
        return Ask(kind, self._place(p, plan.spanclass), p, size, plan.scan, plan.header, plan.what, number)

    def _type(self, number: str) -> Type:
        return self.ahead[number] if number in self.ahead else self.types[number]

    def _place(self, p: int, spanclass: int) -> int:
        number = self.place_of.get((p, spanclass))
        if number is None:
            number = self.place_of[p, spanclass] = len(self.places)
            self.places.append((p, spanclass))
        return number
