"""The moments at which the places of a batch take spans, if every span that they take is a fresh one."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from allocator.common.bulk.base_batch import BaseBatch

Ints = np.ndarray[Any, np.dtype[Any]]

WORTH_IT = 48  # spans to come, for the preparations to pay


class Moments:
    """For each moment, its time and the place that runs out then; `pages` and `bits` are what all spans
    before a moment take, pages and bytes of mark and allocation bits.

    `npages` and `nelems` are a span's pages and objects, by place. `at` counts the moments that are past.
    Once it is no longer known what a place will need, because a span that it took was not fresh, `spoiled`
    tells so.
    """

    def __init__(self, batch: BaseBatch, npages: Ints, nelems: Ints) -> None:
        self.at = 0
        self.spoiled = False
        self.npages = npages
        self.nelems = nelems
        wanted = zip(batch.places, nelems.tolist(), strict=True)
        self.times, self.which = batch.layout.moments([(p.code, p.supplied, each) for p, each in wanted])
        self.pages = _sums(npages, self.which)
        self.bits = _sums((nelems + 63) // 64 * 16, self.which)

    @property
    def last(self) -> int:
        """The time of the last moment that is past."""
        return int(self.times[self.at - 1])

    def took(self, i: int, fresh: bool) -> None:
        """A place took a span by itself."""
        if fresh and self.at < len(self.which) and int(self.which[self.at]) == i:
            self.at += 1
        else:
            self.spoiled = True

    def end(self, until: int | None, room: float | None) -> int:
        """The moment after those before the time `until`; the span with which `room` pages are taken, after
        which the collector has its turn, is the last one. 0: too few.
        """
        end = len(self.times) if until is None else int(np.searchsorted(self.times, until))
        if room is not None:
            end = min(end, bisect_left(self.pages, self.pages[self.at] + room))
        return end if end - self.at >= WORTH_IT else 0


def as_array(values: Ints) -> array[int]:
    """The same numbers, of 64 bits, as the machines' columns have them."""
    found = array("q")
    found.frombytes(np.ascontiguousarray(values, np.int64).data.cast("B"))
    return found


def _sums(each: Ints, which: Ints) -> array[int]:
    """What all before a moment take, from no moment at all to all of them."""
    sums = np.zeros(len(which) + 1, np.int64)
    np.cumsum(each[which], out=sums[1:])
    return as_array(sums)
