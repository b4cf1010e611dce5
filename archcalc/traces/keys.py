"""What ordinary allocations of a columnar recording have in common, and the places that they belong to."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from archcalc.traces import requests
from archcalc.traces.columnar import MAX_KEYS
from archcalc.traces.inputs import Inputs
from archcalc.traces.requests import Facts
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


# Of each key: kind, place, number of its mcache, bytes, those that are scanned, stamp, and whether it goes
# the short way.
COLUMNS = 7
NOT_KNOWN = (UNKNOWN, -1, -1, 0, 0, 0, False)


class KeyTable:
    """What allocations with equal fields have in common, as arrays by the numbers of the keys."""

    def __init__(self, rows: Array) -> None:
        kind, place, cache, size, scan, stamp, fast = rows.T
        self.kind: Array = kind.astype("i1")
        self.place: Array = place.astype("i4")
        self.cache: Array = cache.astype("i4")
        self.size: Array = size.astype("i4")
        self.scan: Array = scan.copy()
        self.stamp: Array = stamp.astype("p")
        self.fast: Array = fast.astype(bool)


class Keys:
    """The keys of one recording, learned as they come, and the places that they belong to.

    Number 0 is that of fields of which nothing is known.
    """

    def __init__(self, inputs: Inputs, np: Any) -> None:
        self.inputs = inputs
        self.np = np
        self.places: list[CachePlace] = []
        self.place_of: dict[tuple[int, int], int] = {}
        self.stamps = Stamps()
        self.forget()

    def forget(self) -> None:
        """Lets go of what was learned of requests; places stay."""
        self.numbers: dict[str | None, int] = {}
        self.facts: list[Facts | None] = [None]
        self._rows = array("q", NOT_KNOWN)
        self._table: KeyTable | None = None

    def of(self, words: list[str | None], which: list[int]) -> Array:
        """The numbers of the keys of some words of a batch; 0 for all others."""
        if len(self.facts) > MAX_KEYS:
            self.forget()
        found: Array = self.np.zeros(len(words), self.np.intp)
        numbers = self.numbers
        found[which] = [numbers.get(words[i]) or self._learn(words[i] or "") for i in which]
        return found

    def table(self) -> KeyTable:
        """All keys so far."""
        if self._table is None:
            rows = self.np.array(self._rows).reshape(-1, COLUMNS)
            self._table = KeyTable(rows)
        return self._table

    def _learn(self, word: str) -> int:
        """The number of an allocation's fields that are met for the first time."""
        inputs = self.inputs
        facts = inputs.understood.facts(word) if inputs.allocating else None
        if facts is None:
            # It may be known later: an mcache that is still to come.
            return 0
        size, _, _, flags, cache, way, sizeclass, plan = facts
        kind = KINDS[way]
        if kind == OTHER:
            self._rows.extend((OTHER, -1, -1, 0, 0, 0, False))
        else:
            place = self.place_of.get((cache.id, sizeclass))
            if place is None:
                place = self._new_place(cache, sizeclass)
            mark, scan = (plan.stamp, plan.scan) if plan is not None else (None, 0)
            words = cache.alloc[sizeclass].size // inputs.rt.config.ptr_size
            stamp = self.stamps.number(words, mark)
            if mark is not None and stamp:
                self.places[place].marked = True
            self._rows.extend((kind, place, cache.id, size, scan, stamp, flags[-1:] != "h"))
        number = self.numbers[word] = len(self.facts)
        self.facts.append(facts)
        self._table = None
        return number

    def _new_place(self, cache: MCache, sizeclass: int) -> int:
        number = self.place_of[cache.id, sizeclass] = len(self.places)
        self.places.append(CachePlace(cache, sizeclass))
        return number
