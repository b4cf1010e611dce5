"""The tiny allocations of a columnar recording: which block each lies in, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allocator.common.tiny import BLOCK, GRAINS
from archcalc.traces.outcome import GaveUp

if TYPE_CHECKING:
    import numpy as np

    from allocator.contiguous.mcache import MCache

    Array = np.ndarray[Any, np.dtype[Any]]

NO_BLOCK = 99  # stands for tiny_offset where there is no tiny block: nothing fits, anything is smaller


class Tiny:
    """An mcache's tiny allocations in a part, in order, and how far they have been carried out.

    What fits goes to the open block, aligned for its size. What does not fit takes a new block,
    which is the open one from then on if it has more room left than the old one: so between two
    that fit, the open block's offset only becomes smaller, to the least size so far.
    """

    def __init__(
        self, np: Any, cache: MCache, rows: Array, sizes: Array, addresses: Array, fits: Array
    ) -> None:
        self.np = np
        self.cache = cache
        self.rows = rows
        self.sizes = sizes
        self.addresses = addresses
        self.fits = fits
        self.at = 0
        self.grains = np.array(GRAINS * 2, np.int32)  # by size

    def skip(self) -> None:
        """The next one is carried out elsewhere."""
        self.at += 1

    def reach(self, row: int) -> None:
        """Carries out those before a row."""
        np, cache = self.np, self.cache
        a, b = self.at, int(np.searchsorted(self.rows, row))
        if a >= b:
            return
        self.at = b
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
        if not held.all():
            raise GaveUp
        cache.tiny_offset = int(after[-1])
        cache.tiny = int(block[-1])
        cache.local_tinyallocs += int(np.count_nonzero(fits))
