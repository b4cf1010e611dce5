"""The objects' addresses, in the objects' order, from what their places have to give.

A place's addresses follow each other, an object's neighbours are of any place. So addresses are computed
place by place for several blocks of objects, put in a line as a block's objects are sorted, and from there to
the objects. All of that happens in memory that stays in the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from allocator.common.bulk.codes import BLOCK, CLASSES, ZERO
from allocator.common.bulk.tiny_runs import NEW_CURRENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.common.bulk.block import Block
    from allocator.common.bulk.supply import Supply

Ints = np.ndarray[Any, np.dtype[Any]]

NONE = np.empty(0, np.uint64)
TOGETHER = 8  # blocks for which a place's addresses are computed at once


class LaidOut(Protocol):
    """Which object comes from which place: `before` has of each code how many come before each block."""

    blocks: list[Block]
    before: Ints
    width: int
    tiny_class: int


class AddressWriter:
    """Writes a batch's addresses. `open_blocks` are the tiny blocks of the Ps, at first at the beginning."""

    def __init__(
        self, layout: LaidOut, places: Sequence[Supply], zerobase: int, open_blocks: list[int]
    ) -> None:
        self.layout = layout
        self.places = sorted(places, key=lambda place: place.code)
        self.zerobase = zerobase
        self.open_blocks = open_blocks.copy()
        self.values = np.empty(BLOCK, np.uint64)
        self.where = np.empty(BLOCK, np.int64)

    def write(self, out: Ints) -> None:
        """Gives every object that comes from a place, or is tiny, or of no size, its address."""
        blocks = self.layout.blocks
        at = 0
        while at < len(blocks):
            end = at + 1
            if blocks[at].order is None:
                self._write_alike(at, out)
            else:
                most = min(at + TOGETHER, len(blocks))
                while end < most and blocks[end].order is not None:
                    end += 1
                self._write_sorted(at, end, out)
            at = end

    def _write_alike(self, b: int, out: Ints) -> None:
        """The objects of a block, all of one kind."""
        block = self.layout.blocks[b]
        part = out[block.begin : block.begin + len(block)]
        shares: dict[int, Ints] = {}
        for place in self.places:
            first, end = self.layout.before[place.code, b : b + 2].tolist()
            if first < end:
                whole = not block.outcomes
                shares[place.code] = share = part if whole else np.empty(end - first, np.uint64)
                place.write(first, end, share)
                if whole:
                    return
        self._fill(block, part, shares)

    def _write_sorted(self, a: int, b: int, out: Ints) -> None:
        """The objects of the blocks from a up to b."""
        codes = [place.code for place in self.places]
        edges = self.layout.before[codes, a : b + 1]
        counts = edges[:, -1] - edges[:, 0]
        ends = np.cumsum(counts)
        given = np.empty(int(ends[-1]) if len(ends) else 0, np.uint64)
        for place, first, n, end in zip(
            self.places, edges[:, 0].tolist(), counts.tolist(), ends.tolist(), strict=True
        ):
            if n:
                place.write(first, first + n, given[end - n : end])
        shares = (edges - edges[:, :1] + (ends - counts)[:, None]).T.tolist()
        for block, low, high in zip(self.layout.blocks[a:b], shares, shares[1:], strict=False):
            n = len(block)
            values, where = self.values[:n], self.where[:n]
            self._fill(
                block, values, {c: given[i:j] for c, i, j in zip(codes, low, high, strict=True) if i < j}
            )
            assert block.order is not None
            np.copyto(where, block.order)
            out[block.begin : block.begin + n][where] = values

    def _fill(self, block: Block, values: Ints, shares: dict[int, Ints]) -> None:
        """The addresses of a block's objects, in its order. shares: what places give, by code."""
        bounds = block.bounds
        for number in range(self.layout.width // 256):
            first = 256 * number
            outcome = block.outcomes.get(number)
            if outcome is not None and len(outcome):
                code = first + self.layout.tiny_class
                new = block.new_of(number, outcome)
                shares[code] = self._tiny(number, outcome, new, shares.get(code, NONE))
            mine = [shares[code] for code in sorted(shares) if code >> 8 == number]
            if mine:
                np.concatenate(mine, out=values[int(bounds[first]) : int(bounds[first + CLASSES])])
            low, high = bounds[first + ZERO], bounds[first + ZERO + 1]
            if low < high:
                values[low:high] = self.zerobase

    def _tiny(self, number: int, outcome: Ints, new: Ints, given: Ints) -> Ints:
        """The addresses of a P's objects of the tiny class, of which those that are new have got theirs."""
        kinds = outcome.take(new)
        opening = np.flatnonzero(kinds == NEW_CURRENT)
        blocks = np.empty(len(opening) + 1, np.uint64)
        blocks[0] = self.open_blocks[number]
        blocks[1:] = given.take(opening)
        self.open_blocks[number] = int(blocks[-1])
        edges = np.empty(len(opening) + 2, np.int64)
        edges[0] = 0
        edges[1:-1] = new.take(opening)
        edges[-1] = len(outcome)
        found = np.repeat(blocks, np.diff(edges))
        found += outcome & np.uint8(15)
        if len(opening) < len(new):
            aside = np.flatnonzero(kinds != NEW_CURRENT)
            found[new.take(aside)] = given.take(aside)
        return found
