"""What ordinary allocations of a columnar recording have in common, and the places that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from archcalc.traces import requests
from archcalc.traces.columnar import MAX_KEYS
from archcalc.traces.inputs import Inputs
from archcalc.traces.requests import MallocRequest
from archcalc.traces.stamps import Stamps

if TYPE_CHECKING:
    import numpy as np

    from allocator.contiguous.mcache import CachedSpan, MCache

    Array = np.ndarray[Any, np.dtype[Any]]

# What kind of allocation a key is; OTHER needs no place, of UNKNOWN it is not known.
OTHER, UNKNOWN, NOSCAN, SCAN, TINY_NEW, TINY_FIT = range(6)
KINDS = {
    requests.NO_POINTERS: NOSCAN,
    requests.STAMP: SCAN,
    requests.SHARED_STAMP: SCAN,
    requests.NO_STAMP: SCAN,
    requests.TINY_NEW: TINY_NEW,
    requests.TINY_FIT: TINY_FIT,
    requests.EMPTY: OTHER,
    requests.LONG: OTHER,
}


class CachePlace:
    """A size class of an mcache.

    `marked` tells whether there are objects that leave more in the bitmap than those without pointers do.
    """

    def __init__(self, cache: MCache, sizeclass: int) -> None:
        self.cache = cache
        self.cached: CachedSpan = cache.alloc[sizeclass]
        self.marked = False


class Key(NamedTuple):
    """What allocations with equal fields have in common. `size` and `scan` are bytes."""

    kind: int
    place: int = -1
    cache: int = -1
    size: int = 0
    scan: int = 0
    stamp: int = 0
    fast: bool = False
    request: MallocRequest | None = None


class KeyTable:
    """Keys as arrays, a place for each request of a batch."""

    def __init__(self, keys: list[Key], np: Any) -> None:
        kind, place, cache, size, scan, stamp, fast, _ = zip(*keys, strict=True)
        self.kind: Array = np.array(kind, np.int8)
        self.place: Array = np.array(place, np.int32)
        self.cache: Array = np.array(cache, np.int32)
        self.size: Array = np.array(size, np.int64)
        self.scan: Array = np.array(scan, np.int64)
        self.stamp: Array = np.array(stamp, np.intp)
        self.fast: Array = np.array(fast, bool)


class Keys:
    """The keys of one recording, learned as they come, and the places that they belong to."""

    def __init__(self, inputs: Inputs, np: Any) -> None:
        self.inputs = inputs
        self.np = np
        self.known: dict[str, Key] = {}
        self.places: list[CachePlace] = []
        self.place_of: dict[tuple[int, int], int] = {}
        self.stamps = Stamps()

    def key(self, word: str | None) -> Key:
        """What is known of an allocation's fields, as the column has them."""
        inputs = self.inputs
        key = self.known.get(word or "")
        if key is not None:
            return key
        fields = f"m {word}"
        request = inputs.understood.known.get(fields) or inputs.learn(fields)
        if request is None:
            # It may be known later: an mcache that is still to come.
            return Key(UNKNOWN)
        kind = KINDS[request.way]
        if kind == OTHER:
            key = Key(OTHER, request=request)
        else:
            cache, sizeclass = request.cache, request.sizeclass
            number = self.place_of.get((cache.id, sizeclass))
            if number is None:
                number = self._new_place(cache, sizeclass)
            size, fast = request.size, request.how == request.way
            mark, scan = (request.mark, request.scan) if kind == SCAN else (None, 0)
            stamp = self.stamps.number(request.cached.size // inputs.rt.config.ptr_size, mark)
            place = self.places[number]
            place.marked = place.marked or (mark is not None and stamp > 0)
            key = Key(kind, number, cache.id, size, scan, stamp, fast, request)
        if len(self.known) < MAX_KEYS:
            self.known[word or ""] = key
        return key

    def _new_place(self, cache: MCache, sizeclass: int) -> int:
        number = self.place_of[cache.id, sizeclass] = len(self.places)
        self.places.append(CachePlace(cache, sizeclass))
        return number
