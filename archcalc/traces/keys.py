"""What ordinary allocations of a columnar recording have in common, and the places that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archcalc.traces import requests
from archcalc.traces.columnar import MAX_KEYS
from archcalc.traces.inputs import Inputs
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
    """A size class of an mcache."""

    def __init__(self, cache: MCache, sizeclass: int) -> None:
        self.cache = cache
        self.sizeclass = sizeclass
        self.cached: CachedSpan = cache.alloc[sizeclass]


LARGE = 0  # in the place of a size class

# Of each key: kind, place, number of its mcache, bytes of a tiny object, those that are scanned, stamp, and
# whether it goes the short way.
Row = tuple[int, int, int, int, int, int, bool]
NOT_KNOWN: Row = (UNKNOWN, -1, -1, 0, 0, 0, False)


class KeyTable:
    """What allocations with the same key have in common, as arrays by the numbers of the keys."""

    def __init__(self, np: Any, rows: list[Row]) -> None:
        kind, place, cache, size, scan, stamp, fast = np.array(rows, np.int64).T
        self.kind: Array = kind.astype("i1")
        self.place: Array = place.astype("i4")
        self.cache: Array = cache.astype("i4")
        self.size: Array = size.astype("i4")
        self.scan: Array = scan.copy()
        self.stamp: Array = stamp.astype("p")
        self.fast: Array = fast.astype(bool)


class Keys:
    """The keys of one recording, learned as they come, and the places that they belong to.

    A key is what a replay has to know of an allocation's fields; those that make no difference have the same.
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
        self._rows: list[Row] = [NOT_KNOWN]
        self._number_of: dict[Row, int] = {}
        # By the fields behind the size, of objects without pointers and large ones: the key of a size class.
        self._of_class: dict[str, dict[int, int]] = {}
        self._table: KeyTable | None = None

    def of(self, words: list[str | None], which: list[int]) -> Array:
        """The numbers of the keys of some words of a batch; 0 for all others."""
        if len(self.numbers) > MAX_KEYS:
            self.forget()
        found: Array = self.np.zeros(len(words), self.np.intp)
        numbers = self.numbers
        here = [words[i] for i in which]
        if self.inputs.allocating:
            self._learn_all([word for word in here if word is not None and word not in numbers])
        found[which] = [numbers.get(word, 0) for word in here]
        return found

    def table(self) -> KeyTable:
        """All keys so far."""
        if self._table is None:
            self._table = KeyTable(self.np, self._rows)
        return self._table

    def _learn_all(self, words: list[str]) -> None:
        """Learns allocations' fields that are met for the first time.

        What is known of objects without pointers depends only on their size class and on the other fields,
        and of large ones only on these.
        """
        numbers, of_class = self.numbers, self._of_class
        class_of = self.inputs.rt.class_of
        first, last = self.inputs.rt.config.tiny_size, self.inputs.rt.config.max_small_size
        for word in words:
            text, _, tail = word.partition(" ")
            known = of_class.get(tail)
            if known is not None and text.isdecimal() and first <= (size := int(text)):
                number = known.get(class_of[size] if size <= last else LARGE)
                if number is not None and str(size) == text:
                    numbers[word] = number
                    continue
            self._learn(word, tail)

    def _learn(self, word: str, tail: str) -> None:
        """The same of one, and for all of the same class if it has no pointers."""
        inputs = self.inputs
        facts = inputs.understood.facts(word)
        if facts is None:
            # It may be known later: an mcache that is still to come.
            return
        size, _, _, flags, cache, way, sizeclass, plan = facts
        kind = KINDS[way]
        row: Row = (OTHER, -1, -1, 0, 0, 0, False)
        if kind != OTHER:
            place = self.place_of.get((cache.id, sizeclass))
            if place is None:
                place = self._new_place(cache, sizeclass)
            mark, scan = (plan.stamp, plan.scan) if plan is not None else (None, 0)
            words = cache.alloc[sizeclass].size // inputs.rt.config.ptr_size
            stamp = self.stamps.number(words, mark)
            size = size if kind >= TINY_NEW else 0
            row = (kind, place, cache.id, size, scan, stamp, flags[-1:] != "h")
        number = self._number_of.get(row)
        if number is None:
            number = self._number_of[row] = len(self._rows)
            self._rows.append(row)
            self._table = None
        self.numbers[word] = number
        if kind == NOSCAN:
            self._of_class.setdefault(tail, {})[sizeclass] = number
        elif size > inputs.rt.config.max_small_size:
            self._of_class.setdefault(tail, {})[LARGE] = number

    def _new_place(self, cache: MCache, sizeclass: int) -> int:
        number = self.place_of[cache.id, sizeclass] = len(self.places)
        self.places.append(CachePlace(cache, sizeclass))
        return number
