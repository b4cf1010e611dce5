"""The tiny allocations of a columnar recording: which block each lies in, and where."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from allocator.common.tiny import BLOCK, GRAINS
from archcalc.traces.outcome import GaveUp

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

NO_BLOCK = 99  # stands for tiny_offset where there is no tiny block: nothing fits, anything is smaller


class Tiny:
    """An mcache's tiny allocations in a part, in order, and how far they have been carried out.

    What fits goes to the open block, aligned for its size. What does not fit takes a new block,
    which is the open one from then on if it has more room left than the old one: so between two
    that fit, the open block's offset only becomes smaller, to the least size so far.
    """

    def __init__(
        self,
        np: Any,
        cache: Any,
        rows: Array,
        sizes: Array,
        addresses: Array,
        fits: Array,
        stops: list[int],
        grains: tuple[int, ...] = GRAINS * 2,
    ) -> None:
        """`stops` are rows behind which the open block may be another one, whatever was allocated."""
        self.np = np
        self.cache = cache
        self.rows = rows
        self.sizes = sizes.astype(np.int8)  # and so is all else that is less than a block
        self.addresses = addresses
        self.fits = fits
        self.at = 0
        self.grains = np.array(grains, np.int8)  # by size
        self.stops: list[int] = rows.searchsorted(stops).tolist()
        # What is known of those from `start` to `stop`: offset and address of the open block before each and
        # behind the last, and the first that is not where it should be.
        self.start = self.stop = 0
        self.wrong = 0
        self.offsets: Array = fits
        self.blocks: Array = fits

    def skip(self) -> None:
        """The next one is carried out elsewhere."""
        self.at += 1

    def reach(self, row: int) -> None:
        """Carries out those before a row."""
        cache = self.cache
        a, b = self.at, int(self.rows.searchsorted(row))
        if a >= b:
            return
        while self.at < b:
            at = self.at - self.start
            if (
                self.at >= self.stop
                or self.offsets[at] != (cache.tiny_offset if cache.tiny else NO_BLOCK)
                or self.blocks[at] != cache.tiny
            ):
                self._foresee()
            self.at = upto = min(b, self.stop)
            if upto > self.wrong:
                raise GaveUp
            cache.tiny_offset = int(self.offsets[upto - self.start])
            cache.tiny = int(self.blocks[upto - self.start])
        self.count(int(self.np.count_nonzero(self.fits[a:b])))

    def count(self, fitted: int) -> None:
        """So many fitted into a block that was open."""
        self.cache.local_tinyallocs += fitted

    def _foresee(self) -> None:
        """Finds what becomes of the open block, from the next one on up to where it may be another."""
        np, cache = self.np, self.cache
        stops = self.stops
        at = bisect_right(stops, self.at)
        a = self.start = self.at
        b = self.stop = stops[at] if at < len(stops) else len(self.rows)
        sizes, addresses, fits = self.sizes[a:b], self.addresses[a:b], self.fits[a:b]
        # Where in its block each lies; one that has a new block lies at its start.
        inside = (addresses & np.uint64(15)).astype(np.int8)
        offsets, blocks = np.empty(b - a + 1, np.int8), np.empty(b - a + 1, np.uint64)
        offsets[0], blocks[0] = cache.tiny_offset if cache.tiny else NO_BLOCK, cache.tiny
        np.add(inside, sizes, out=offsets[1:])
        np.bitwise_and(addresses, ~np.uint64(15), out=blocks[1:])
        new = np.flatnonzero(~fits)
        if len(new):
            self._lower(sizes, new, offsets, blocks)
        before, block = offsets[:-1], blocks[:-1]
        grain = self.grains.take(sizes)
        at = before + grain & ~grain
        held = (inside == at) & (blocks[1:] == block) | ~fits
        held &= (at + sizes <= BLOCK) == fits
        wrong = np.flatnonzero(~held)
        self.wrong = a + int(wrong[0]) if len(wrong) else b
        self.offsets, self.blocks = offsets, blocks

    def _lower(self, sizes: Array, new: Array, offsets: Array, blocks: Array) -> None:
        """Puts right which block is open behind those that have a new one, and its offset.

        Before that these have, behind each, its own block and where it ends there.
        """
        np = self.np
        # While these follow each other the offset only falls. With a step down before each first one, one
        # pass finds all.
        first = np.diff(new, prepend=-2) > 1
        step = np.cumsum(first, dtype=np.int32) << 7
        size, before = sizes.take(new), offsets.take(new)
        lowest = np.where(first, np.minimum(size, before), size) - step
        np.minimum.accumulate(lowest, out=lowest)
        lowest += step
        before[1:] = np.where(first[1:], before[1:], lowest[:-1])
        offsets[new + 1] = lowest
        # Where a new block has no more room left than the open one, that stays.
        stays = new.take(np.flatnonzero(size >= before))
        if len(stays):
            first = np.diff(stays, prepend=-2) > 1
            blocks[stays + 1] = blocks[stays[first]].repeat(np.diff(np.flatnonzero(first), append=len(stays)))
