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
        sizeclass: int = 0,
        plan: Plan | None = None,
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


class Requests:
    """The requests of one recording. `known` has them by their m record without the address."""

    __slots__ = ("known", "rt", "types")

    def __init__(self, rt: Runtime, types: dict[int, Type]) -> None:
        self.rt = rt
        self.types = types
        self.known: dict[str, MallocRequest] = {}

    def learn(self, key: str) -> MallocRequest | None:
        """How allocations with these fields go, or None; `key` is an m record without its address."""
        try:
            _, words, number, flags, place = key.split(" ")
            size, p = decimal(words), decimal(place)
            typ = None if number == "-" else self.types[decimal(number)]
            cache = self.rt.caches[p]
            noscan = typ is None or typ.noscan
            needzero, own = FLAGS[noscan][flags]
        except (ValueError, LookupError):
            return None
        request = self._new(size, typ, noscan, needzero, own, cache)
        if request is not None:
            if len(self.known) >= MAX_LEARNED:
                self.known.clear()
            self.known[key] = request
        return request

    def _new(
        self, size: int, typ: Type | None, noscan: bool, needzero: bool, own: str, cache: MCache
    ) -> MallocRequest | None:
        """What is learned from fields that can be read. None for what cannot be allocated so."""
        rt = self.rt
        config = rt.config
        if size == 0:
            return None if own else MallocRequest(size, typ, needzero, own, cache, EMPTY)
        if noscan and size < config.tiny_size:
            way = TINY_WAYS.get(own, LONG) if config.tiny_size == 16 else LONG
            return MallocRequest(size, typ, needzero, own, cache, way, config.tiny_size_class)
        if size > config.max_small_size or own not in ("", "h"):
            return MallocRequest(size, typ, needzero, own, cache, LONG)
        if typ is None or noscan:
            return MallocRequest(size, typ, needzero, own, cache, NO_POINTERS, rt.class_of[size])
        printed = len(rt.printed)
        try:
            plan = rt.plan(typ, size)
        except (BadType, Death):
            del rt.printed[printed:]
            return None
        return MallocRequest(
            size, typ, needzero, own, cache, STAMP_WAYS[plan.stamp.how], plan.sizeclass, plan
        )
