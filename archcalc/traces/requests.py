"""What a recording's allocations ask for: the fields of m records, read once for all that have the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Death
from allocator.common.types import BadType, Type
from allocator.contiguous.heap_bitmap import HALF, NOTHING, PAIR, WHOLE
from allocator.contiguous.vocabulary import malloc_flags
from archcalc.traces.reader import decimal

if TYPE_CHECKING:
    from allocator.contiguous.mcache import MCache
    from allocator.contiguous.plan import Plan
    from allocator.contiguous.runtime import Runtime

# How an allocation is carried out: first those that take the next object of a cached span, by what they
# leave in its heap bitmap; then those of the tiny allocator; then what takes the long way, mallocgc.
NO_POINTERS, STAMP, SHARED_STAMP, NO_STAMP, TINY_NEW, TINY_FIT, EMPTY, LONG = range(8)
STAMP_WAYS = {NOTHING: NO_STAMP, WHOLE: STAMP, HALF: SHARED_STAMP, PAIR: SHARED_STAMP}
TINY_WAYS = {"t": TINY_NEW, "th": TINY_NEW, "ct": TINY_FIT}
MAX_LEARNED = 1 << 18
# The flags of an m record, by whether the object has no pointers: needzero, and what mallocgc adds itself.
FLAGS = {
    noscan: {
        malloc_flags(noscan, needzero, own): (needzero, own)
        for needzero in (False, True)
        for own in ("", "h", "t", "th", "ct")
    }
    for noscan in (False, True)
}


class MallocRequest:
    """The parsed fields of an m record without the address, and how such an allocation goes.

    `flags` are those that mallocgc itself finds (`t`, `c`, `h`), `scan` is in bytes. `cached` is the place in
    the mcache that the object comes from, that of `sizeclass`, and `mark` what it leaves in the bitmap there,
    if anything. `way` is how it goes where nothing unusual happens; `how` is the same, or LONG where
    the record itself says that something did.
    """

    __slots__ = (
        "cache", "cached", "flags", "how", "mark", "needzero", "scan", "size", "sizeclass", "typ", "way",
    )  # fmt: skip

    def __init__(
        self,
        size: int,
        typ: Type | None,
        needzero: bool,
        flags: str,
        cache: MCache,
        way: int,
        sizeclass: int,
        plan: Plan | None,
    ) -> None:
        self.size = size
        self.typ = typ
        self.needzero = needzero
        self.flags = flags
        self.cache = cache
        self.way = way
        self.how = LONG if flags and flags[-1] == "h" else way
        self.sizeclass = sizeclass
        self.cached = cache.alloc[sizeclass]
        if plan is not None:
            self.mark = plan.stamp
            self.scan = plan.scan


# What is known of a request: what a MallocRequest is made of, in that order.
Facts = tuple[int, "Type | None", bool, str, "MCache", int, int, "Plan | None"]
# The same of the fields after the size: type, whether it has no pointers, needzero, own flags, mcache.
Tail = tuple["Type | None", bool, bool, str, "MCache"]


class Requests:
    """The requests of one recording. `known` has them by their m record without the address.

    Most differ in their sizes only, so the fields behind the size are read once for all that have the same.
    """

    __slots__ = ("known", "rt", "tails", "types")

    def __init__(self, rt: Runtime, types: dict[int, Type]) -> None:
        self.rt = rt
        self.types = types
        self.known: dict[str, MallocRequest] = {}
        self.tails: dict[str, Tail] = {}

    def learn(self, key: str) -> MallocRequest | None:
        """How allocations with these fields go, or None; `key` is an m record without its address."""
        facts = self.facts(key[2:])
        if facts is None:
            return None
        request = MallocRequest(*facts)
        if len(self.known) >= MAX_LEARNED:
            self.known.clear()
        self.known[key] = request
        return request

    def facts(self, fields: str) -> Facts | None:
        """What an m record's fields without the address ask for. None for what cannot be allocated so."""
        try:
            size, (typ, noscan, needzero, own, cache) = self.asked(fields)
        except (ValueError, LookupError):
            return None
        rt = self.rt
        config = rt.config
        if size == 0:
            return None if own else (size, typ, needzero, own, cache, EMPTY, 0, None)
        if noscan and size < config.tiny_size:
            way = TINY_WAYS.get(own, LONG) if config.tiny_size == 16 else LONG
            return size, typ, needzero, own, cache, way, config.tiny_size_class, None
        if size > config.max_small_size or own not in ("", "h"):
            return size, typ, needzero, own, cache, LONG, 0, None
        if typ is None or noscan:
            return size, typ, needzero, own, cache, NO_POINTERS, rt.class_of[size], None
        printed = len(rt.printed)
        try:
            plan = rt.plan(typ, size)
        except (BadType, Death):
            del rt.printed[printed:]
            return None
        return size, typ, needzero, own, cache, STAMP_WAYS[plan.stamp.how], plan.sizeclass, plan

    def asked(self, fields: str) -> tuple[int, Tail]:
        """The size and the other fields. ValueError or LookupError for what they cannot be."""
        size, tail = fields.split(" ", 1)
        return decimal(size), self.tails.get(tail) or self._tail(tail)

    def _tail(self, text: str) -> Tail:
        """The fields behind the size. ValueError or LookupError for what they cannot be."""
        number, flags, place = text.split(" ")
        typ = None if number == "-" else self.types[decimal(number)]
        cache = self.rt.caches[decimal(place)]
        noscan = typ is None or typ.noscan
        needzero, own = FLAGS[noscan][flags]
        tail = self.tails[text] = typ, noscan, needzero, own, cache
        return tail
