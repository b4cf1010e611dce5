"""The objects' addresses, in the objects' order, from what their places have to give.

A place's addresses follow each other, an object's neighbours are of any place. So addresses are computed
place by place for several blocks of objects, put in a line as a block's objects are sorted, and from there to
the objects. All of that happens in memory that stays in the cache; the result is copied out in one piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from allocator.common.bulk.codes import BLOCK, CLASSES, FITTED, ZERO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.common.bulk.block import Block
    from allocator.common.bulk.supply import Supply

Ints = np.ndarray[Any, np.dtype[Any]]

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
        self.procs = range(0, layout.width, 256)  # the first code of each P
        self.values = np.empty(BLOCK, np.uint64)
        self.where = np.empty(BLOCK, np.int64)
        self.line = np.empty(BLOCK, np.uint64)

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
        """The objects of a block, all of one code."""
        block = self.layout.blocks[b]
        part = out[block.begin : block.begin + len(block)]
        for place in self.places:
            if block.bounds[place.code] < block.bounds[place.code + 1]:
                first = int(self.layout.before[place.code, b])
                place.write(first, first + len(part), part)
        self._fill(block, part, [])

    def _write_sorted(self, a: int, b: int, out: Ints) -> None:
        """The objects of the blocks from a up to b."""
        edges = self.layout.before[[place.code for place in self.places], a : b + 1]
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
            values, line = self.values[:n], self.line[:n]
            self._fill(block, values, [given[i:j] for i, j in zip(low, high, strict=True) if i < j])
            block.put(values, self.where[:n], line)
            out[block.begin : block.begin + n] = line

    def _fill(self, block: Block, values: Ints, shares: list[Ints]) -> None:
        """The addresses of a block's objects, in its order. shares: what places give, if not there."""
        bounds = block.bounds
        if shares:
            if len(self.procs) == 1:
                np.concatenate(shares, out=values[: int(bounds[CLASSES])])
            else:
                self._spread(block, values, np.concatenate(shares))
        for first in self.procs:
            low, high = bounds[first + ZERO], bounds[first + ZERO + 1]
            if low < high:
                values[low:high] = self.zerobase
        for number, openers, which, offsets in block.links:
            begin = bounds[256 * number + self.layout.tiny_class]
            opened = np.empty(len(openers) + 1, np.uint64)
            opened[0] = self.open_blocks[number]
            opened[1:] = values[begin:].take(openers)
            fitted = values[bounds[256 * number + FITTED] : bounds[256 * number + FITTED + 1]]
            np.add(opened.take(which), offsets, out=fitted)
            self.open_blocks[number] = int(opened[-1])

    def _spread(self, block: Block, values: Ints, given: Ints) -> None:
        """Those of several Ps, between which objects without a place stand."""
        done = 0
        for first in self.procs:
            low, high = int(block.bounds[first]), int(block.bounds[first + CLASSES])
            values[low:high] = given[done : done + high - low]
            done += high - low
