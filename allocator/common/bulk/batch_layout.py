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
from allocator.common.bulk.codes import BLOCK, FITTED, LARGE, TINY

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
        self.rule = rule
        self.sorted_as = bytes(tiny_class if TINY < code < TINY + 16 else code for code in range(256))
        self.looked_up = codes
        parts = (codes[at : at + BLOCK] for at in range(0, self.n, BLOCK))
        self.blocks = [Block(i * BLOCK, part, tiny_class) for i, part in enumerate(parts)]
        self.order = np.empty(self.n, np.uint16)
        for block in self.blocks:
            self._sort(block)
        for number, state in enumerate(states):
            self._run_tiny(number, state)
        self._count()

    def _sort(self, block: Block) -> None:
        block.sort(self._keys(block), self.width, self.order[block.begin : block.begin + len(block)])

    def _keys(self, block: Block) -> Ints:
        """What the objects of a block are sorted by."""
        key: Ints = block.codes
        if key.max() > TINY:
            key = np.frombuffer(key.tobytes().translate(self.sorted_as), np.uint8)
        if self.owner is None:
            return key
        mine = self.owner[block.begin : block.begin + len(block)]
        key = key + mine.astype(np.uint16) * np.uint16(256)
        return key

    def _count(self) -> None:
        """How many objects of each code come before each block, and in all."""
        before = np.zeros((len(self.blocks) + 1, self.width), np.int64)
        if self.blocks:
            np.cumsum([block.counts() for block in self.blocks], axis=0, out=before[1:])
        self.before = before.T.copy()
        self.totals = before[-1].tolist()
        # Of each code and of each block, as lists, which are quicker to look single numbers up in.
        self.lists: dict[int, list[int]] = {}

    def successor(self, sizes: Ints, index: Ints | None) -> None:
        """Nothing: there is no compiled code to run aside."""

    def large(self) -> list[int]:
        """The times of large objects."""
        times: list[int] = np.flatnonzero(self.looked_up == LARGE).tolist()
        return times

    def cut(self, n: int) -> None:
        """Forgets all objects but the first n."""
        self.n = n
        self.looked_up = self.looked_up[:n]
        self.blocks = [block for block in self.blocks if block.begin < n]
        if self.blocks:
            last = self.blocks[-1]
            if n - last.begin < len(last):
                last.cut(n - last.begin)
                self._sort(last)
        self._count()

    # Tiny objects.

    def _run_tiny(self, number: int, state: int) -> None:
        """Tells what happens to a P's tiny objects.

        What else takes as much as a tiny block comes from the same place, and is as one that is aside.
        """
        code = 256 * number + self.tiny_class
        parts = [block.codes.take(block.places(code)) for block in self.blocks]
        sizes = np.minimum(np.concatenate([np.empty(0, np.uint8), *parts]) - np.uint8(TINY), np.uint8(16))
        if not len(sizes) or sizes.min() == 16:
            return
        outcome, _ = tiny.run(sizes, state, self.rule)
        at = 0
        for block, part in zip(self.blocks, parts, strict=True):
            block.outcomes[number] = outcome[at : at + len(part)]
            at += len(part)

    def fitted(self, since: int, until: int, number: int) -> int:
        """How many of a P's objects in that time went into a tiny block that was there."""
        return self._fitted_before(until, number) - self._fitted_before(since, number)

    def _fitted_before(self, t: int, number: int) -> int:
        b, at = divmod(t, BLOCK)
        before = int(self.before[FITTED + 256 * number, b])
        return before + self.blocks[b].fitted(at, number) if at else before

    # Times and ranks.

    def codes(self) -> Ints:
        """Each object's code."""
        parts = []
        for block in self.blocks:
            keys = self._keys(block).copy()
            for number in block.outcomes:
                keys[block.places(256 * number + FITTED)] = 256 * number + FITTED
            parts.append(keys)
        return np.concatenate(parts)

    def time(self, code: int, rank: int) -> int:
        """When the object of that rank among those of its code is asked for."""
        before = self.lists.get(code)
        if before is None:
            before = self.lists[code] = self.before[code].tolist()
        b = bisect_right(before, rank) - 1
        block = self.blocks[b]
        at = rank - before[b]
        return block.begin + int(block.places(code, at, at + 1)[0])

    def moments(self, wanted: list[tuple[int, int, int]]) -> tuple[Ints, Ints]:
        """When objects of a code are asked for, from a rank on and then every so many; and whose they are."""
        if not wanted or not self.blocks:
            return np.empty(0, np.int64), np.empty(0, np.int32)
        codes, ranks, steps = np.array(wanted, np.int64).T
        lines = [self.blocks[0].line_of(code) for code in codes.tolist()]
        before = self.before[codes]
        # How many of each code's moments come before each block, and before those of the code.
        due = np.maximum(-((ranks[:, None] - before) // steps[:, None]), 0)
        counts, total = np.diff(due, axis=1), due[:, -1]
        first = np.cumsum(total) - total
        begin = (
            np.arange(len(self.blocks)) * BLOCK + np.array([block.bounds[lines] for block in self.blocks]).T
        )
        shift = begin - before[:, :-1] + (ranks - steps * first)[:, None]
        at = np.repeat(steps, total) * np.arange(int(total.sum()))
        at += np.repeat(shift.reshape(-1), counts.reshape(-1))
        for i, code in enumerate(codes.tolist()):
            if self.blocks[0].chosen(code) is not None:
                chosen = np.concatenate([block.chosen(code) for block in self.blocks])
                mine = slice(int(first[i]), int(first[i] + total[i]))
                at[mine] = np.repeat(begin[i], counts[i]) + chosen[int(ranks[i]) :: int(steps[i])]
        times = self._times(at)
        # No two have the same time, and numbers are sorted in half the time that their order takes.
        bits = len(wanted).bit_length()
        keys = times << bits | np.repeat(np.arange(len(wanted)), total)
        keys.sort()
        return keys >> bits, (keys & (1 << bits) - 1).astype(np.int32)

    def _times(self, at: Ints) -> Ints:
        """The times of the objects that stand at these places of all blocks' orders."""
        alike = [block for block in self.blocks if block.order is None]
        if len(alike) == len(self.blocks):
            return at
        for block in alike:
            self.order[block.begin : block.begin + len(block)] = np.arange(len(block))
        times: Ints = self.order.take(at) + (at & -BLOCK)
        return times

    def rank(self, t: int) -> tuple[int, int]:
        """The code of the object of that time, and its rank among those of its code."""
        b, at = divmod(t, BLOCK)
        block = self.blocks[b]
        code = self.sorted_as[block.codes[at]]
        if self.owner is not None:
            code += 256 * int(self.owner[t])
        code, rank = block.rank(at, code)
        return code, int(self.before[code][b]) + rank

    def grouped(self, values: Ints, code: int) -> Ints:
        """What each object of a code has in an array that goes by time."""
        out = np.empty(self.totals[code], values.dtype)
        before = self.before[code].tolist()
        for b, block in enumerate(self.blocks):
            if before[b + 1] > before[b]:
                those = values[block.begin : block.begin + len(block)]
                part = those if before[b + 1] - before[b] == len(block) else those.take(block.places(code))
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
        found = self._last(number, tiny.NEW_CURRENT, tiny.NEW_CURRENT)
        return None if found is None else found[0]

    def open_offset(self, number: int, sizes: Ints) -> int | None:
        """Where a P's tiny objects leave the block that is open then; None: where it was."""
        found = self._last(number, 0, tiny.NEW_CURRENT)
        return None if found is None else (found[1] & 15) + int(sizes[found[0]])

    def _last(self, number: int, least: int, most: int) -> tuple[int, int] | None:
        """The time and the outcome of a P's last object with one of these outcomes."""
        for block in reversed(self.blocks):
            found = block.last(number, least, most)
            if found is not None:
                return block.begin + found[0], found[1]
        return None
