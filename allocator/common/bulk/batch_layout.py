"""Which object comes from which place, and the way back from a place's objects to their times.

Objects are handled in blocks that fit into the cache. In each they are sorted by their code, the
sort being stable: within a block, `order` has the objects of a place one after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk import tiny_runs as tiny
from allocator.common.bulk.addresses import AddressWriter
from allocator.common.bulk.block import Block
from allocator.common.bulk.codes import ASIDE, BLOCK, CURRENT, FITTED, FITTED_AT, LARGE, TINY, coarse_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.common.bulk.supply import Supply

Ints = np.ndarray[Any, np.dtype[Any]]


class BatchLayout:
    """The batch's objects by code, where codes of P number p are those of `codes` plus 256·p.

    `owner` tells each object's P, None when all are `caches[0]`'s.
    """

    compiled = False

    def __init__(
        self,
        codes: Ints,
        owner: Ints | None,
        states: list[int],
        tiny_class: int,
        rule: tiny.TinyRule = tiny.RULE,
    ) -> None:
        self.n = len(codes)
        self.owner = owner
        self.width = 256 * len(states)
        self.tiny_class = tiny_class
        self.coarse = coarse_codes(tiny_class)
        self.fine = codes
        self.blocks = [Block(at, codes[at : at + BLOCK]) for at in range(0, self.n, BLOCK)]
        found = self._run_tiny(states, rule)
        for block, where in zip(self.blocks, found, strict=True):
            self._sort(block, where)
        self._count()

    def _sort(self, block: Block, found: Ints) -> None:
        """Sorts a block, with its tiny objects at `found`."""
        key = self._keys(block, 0, len(block))
        block.sort(key, self.width)
        if len(found):
            block.link(found.astype(np.int64), self._owner_of(block), self.tiny_class)

    def _owner_of(self, block: Block) -> Ints | None:
        return None if self.owner is None else self.owner[block.begin : block.begin + len(block)]

    def _keys(self, block: Block, a: int, b: int) -> Ints:
        """What the objects of a block from a up to b are sorted by."""
        key: Ints = self.coarse.take(block.fine[a:b])
        if self.owner is None:
            return key
        mine = self.owner[block.begin + a : block.begin + b]
        key = key + mine.astype(np.uint16) * np.uint16(256)
        return key

    def _count(self) -> None:
        """How many objects of each code come before each block, and in all."""
        before = np.zeros((len(self.blocks) + 1, self.width), np.int64)
        if self.blocks:
            bounds = np.array([block.bounds for block in self.blocks])
            np.cumsum(np.diff(bounds, axis=1), axis=0, out=before[1:])
        self.before = before.T.copy()
        self.totals = before[-1].tolist()
        # Of each code and of each block, as lists, which are quicker to look single numbers up in.
        self.lists: dict[int, list[int]] = {}

    def successor(self, sizes: Ints, index: Ints | None) -> None:
        """Nothing: there is no compiled code to run aside."""

    def large(self) -> list[int]:
        """The times of large objects."""
        times: list[int] = np.flatnonzero(self.fine == LARGE).tolist()
        return times

    def cut(self, n: int) -> None:
        """Forgets all objects but the first n."""
        self.n = n
        self.fine = self.fine[:n]
        self.blocks = [block for block in self.blocks if block.begin < n]
        if self.blocks:
            last = self.blocks[-1]
            if n - last.begin < len(last):
                last.fine = last.fine[: n - last.begin]
                last.links = []
                self._sort(last, np.flatnonzero((last.fine - np.uint8(FITTED_AT)) <= ASIDE - FITTED_AT))
        self._count()

    # Tiny objects.

    def _run_tiny(self, states: list[int], rule: tiny.TinyRule) -> list[Ints]:
        """Tells what happens to tiny objects; where each block has some."""
        found: list[Ints] = []
        parts = []
        for block in self.blocks:
            where = np.flatnonzero((block.fine - np.uint8(TINY + 1)) < 15)
            parts.append(block.fine.take(where) - np.uint8(TINY))
            found.append(where.astype(np.uint16))
        sizes = np.concatenate([np.empty(0, np.uint8), *parts])
        if not len(sizes):
            return found
        if self.owner is None:
            outcome, _ = tiny.run(sizes, states[0], rule)
        else:
            parts = [self.owner[w + np.int64(b.begin)] for b, w in zip(self.blocks, found, strict=True)]
            owner = np.concatenate(parts)
            outcome = np.empty_like(sizes)
            for number, state in enumerate(states):
                mine = np.flatnonzero(owner == number)
                outcome[mine], _ = tiny.run(sizes[mine], state, rule)
        fine = outcome + np.uint8(FITTED_AT)  # which CURRENT and ASIDE follow as their outcomes do
        at = 0
        for block, where in zip(self.blocks, found, strict=True):
            block.fine[where] = fine[at : at + len(where)]
            at += len(where)
        return found

    def fitted(self, since: int, until: int, number: int) -> int:
        """How many of a P's objects in that time went into a tiny block that was there."""
        return self._fitted_before(until, number) - self._fitted_before(since, number)

    def _fitted_before(self, t: int, number: int) -> int:
        b = t // BLOCK
        part = (self.fine[b * BLOCK : t] - np.uint8(FITTED_AT)) < CURRENT - FITTED_AT
        if self.owner is not None:
            part &= self.owner[b * BLOCK : t] == number
        return int(self.before[FITTED + 256 * number, b]) + int(np.count_nonzero(part))

    # Times and ranks.

    def codes(self) -> Ints:
        """Each object's code."""
        return np.concatenate([self._keys(block, 0, len(block)) for block in self.blocks])

    def time(self, code: int, rank: int) -> int:
        """When the object of that rank among those of its code is asked for."""
        before = self.lists.get(code)
        if before is None:
            before = self.lists[code] = self.before[code].tolist()
        b = bisect_right(before, rank) - 1
        block = self.blocks[b]
        at = int(block.bounds[code]) + rank - before[b]
        return block.begin + (at if block.order is None else int(block.order[at]))

    def times(self, code: int, rank: int, step: int) -> Ints:
        """The times of every step-th object of a code, from a rank on."""
        parts = []
        before = self.before[code].tolist()
        for b in range(rank // BLOCK, len(self.blocks)):
            if before[b + 1] > rank:
                block = self.blocks[b]
                low = int(block.bounds[code])
                part = block.times(low + rank - before[b], low + before[b + 1] - before[b], step)
                parts.append(part)
                rank += len(part) * step
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def moments(self, wanted: list[tuple[int, int, int]]) -> tuple[Ints, Ints]:
        """When objects of a code are asked for, from a rank on and then every so many; and whose they are."""
        parts = [self.times(*each) for each in wanted]
        times = np.concatenate(parts) if parts else np.empty(0, np.int64)
        which = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
        order = np.argsort(times, kind="stable")
        return times[order], which[order]

    def rank(self, t: int) -> tuple[int, int]:
        """The code of the object of that time, and its rank among those of its code."""
        b = t // BLOCK
        block = self.blocks[b]
        keys = self._keys(block, 0, t - block.begin + 1)
        code = int(keys[-1])
        return code, int(self.before[code][b]) + int(np.count_nonzero(keys[:-1] == code))

    def grouped(self, values: Ints, code: int) -> Ints:
        """What each object of a code has in an array that goes by time."""
        out = np.empty(self.totals[code], values.dtype)
        before = self.before[code].tolist()
        for b, block in enumerate(self.blocks):
            if before[b + 1] > before[b]:
                low = int(block.bounds[code])
                end = low + before[b + 1] - before[b]
                if block.order is None:
                    part = values[block.begin + low : block.begin + end]
                else:
                    part = values[block.begin : block.begin + len(block)].take(block.order[low:end])
                out[before[b] : before[b + 1]] = part
        return out

    # Addresses.

    def write(self, out: Ints, places: Sequence[Supply], zerobase: int, open_blocks: list[int]) -> None:
        """Gives every object that comes from a place, or is tiny, or of no size, its address.

        `open_blocks` are the tiny blocks of the Ps at the beginning.
        """
        AddressWriter(self, places, zerobase, open_blocks).write(out)

    def opener(self, number: int) -> int | None:
        """The time of the object for which a P's open tiny block was made; None: it was there."""
        return self._last(number, CURRENT)

    def open_offset(self, number: int, sizes: Ints) -> int | None:
        """Where a P's tiny objects leave the block that is open then; None: where it was."""
        t = self._last(number, FITTED_AT)
        return None if t is None else (int(self.fine[t]) - FITTED_AT & 15) + int(sizes[t])

    def _last(self, number: int, least: int) -> int | None:
        """The time of a P's last object with a code from `least` to CURRENT."""
        for block in reversed(self.blocks):
            those = (block.fine - np.uint8(least)) <= CURRENT - least
            owner = self._owner_of(block)
            if owner is not None:
                those &= owner == number
            found = np.flatnonzero(those)
            if len(found):
                return block.begin + int(found[-1])
        return None
