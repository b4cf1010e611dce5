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
        self.sizes = sizes
        self.addresses = addresses
        self.fits = fits
        self.at = 0
        self.grains = np.array(grains, np.int32)  # by size
        self.fitted = np.zeros(len(rows) + 1, np.int32)  # how many fit before each
        np.cumsum(fits, out=self.fitted[1:])
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
        self.count(int(self.fitted[b] - self.fitted[a]))

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
        n = b - a
        # Where in its block each lies; one that has a new block lies at its start.
        inside = (addresses & np.uint64(15)).astype(np.int32)
        blocks = addresses & ~np.uint64(15)
        # Offsets after each: a falling minimum that starts over at each that fits.
        lowered = np.cumsum(fits, dtype=np.int32) << 7
        after = np.empty(n + 1, np.int32)
        after[0] = cache.tiny_offset if cache.tiny else NO_BLOCK
        np.add(inside, sizes, out=after[1:])
        after[1:] -= lowered
        np.minimum.accumulate(after, out=after)
        after[1:] += lowered
        before = after[:-1]
        # The open block before each: that of the latest that opened one or fitted.
        opens = fits | (sizes < before)
        latest = np.zeros(n + 1, np.int32)
        latest[1:][opens] = np.flatnonzero(opens) + 1
        np.maximum.accumulate(latest, out=latest)
        open_blocks = np.empty(n + 1, np.uint64)
        open_blocks[0] = cache.tiny
        open_blocks[1:] = blocks
        block = open_blocks[latest]
        grain = self.grains[sizes]
        at = (before + grain) & ~grain
        held = (at + sizes <= BLOCK) == fits
        held &= ((inside == at) & (blocks == block[:-1])) | ~fits
        wrong = np.flatnonzero(~held)
        self.wrong = a + int(wrong[0]) if len(wrong) else b
        self.offsets, self.blocks = after, block
