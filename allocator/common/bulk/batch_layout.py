"""Which object comes from which place, and the way back from a place's objects to their times.

Objects are handled in blocks that fit into the cache. In each they are sorted by their code, the
sort being stable: within a block, `order` has the objects of a place one after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk import tiny_runs as tiny
from allocator.common.bulk.codes import BLOCK, FITTED, LARGE, TINY, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.common.bulk.supply import Supply

Ints = np.ndarray[Any, np.dtype[Any]]


class Block:
    """Objects from `begin` on. order None: all have one code, and keep their order.

    `bounds` tells for each code where its objects begin in the order, and where the last ends.
    """

    __slots__ = ("begin", "bounds", "key", "order", "tiny", "tiny_outcome")

    def __init__(self, begin: int, key: Ints) -> None:
        self.begin = begin
        self.key = key
        self.order: Ints | None = None
        self.bounds: Ints = key
        self.tiny: Ints | None = None  # which objects are tiny, and what happened to them
        self.tiny_outcome: Ints | None = None

    def sort(self, codes: int) -> None:
        """Groups the objects by code."""
        key = self.key
        low, high = int(key.min()), int(key.max())
        if low == high:
            self.order = None
            self.bounds = np.where(np.arange(codes + 1) > low, len(key), 0)
            return
        self.order = np.argsort(key, kind="stable")
        found = np.searchsorted(key.take(self.order), np.arange(codes, dtype=key.dtype))
        self.bounds = np.append(found, len(key))

    def times(self, a: int, b: int, step: int = 1) -> Ints:
        """The times of the objects that stand from a up to b in the order."""
        if self.order is None:
            return np.arange(self.begin + a, self.begin + b, step)
        return self.order[a:b:step] + self.begin


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
        self.blocks = [Block(at, codes[at : at + BLOCK]) for at in range(0, self.n, BLOCK)]
        self._run_tiny(states, tiny_class, rule)
        if owner is not None:
            for block in self.blocks:
                mine = owner[block.begin : block.begin + len(block.key)]
                block.key = block.key + mine.astype(np.uint16) * np.uint16(256)
        for block in self.blocks:
            block.sort(self.width)
        self._count()

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
        found: list[int] = []
        for block in self.blocks:
            found += (np.flatnonzero(block.key & 255 == LARGE) + block.begin).tolist()
        return found

    def cut(self, n: int) -> None:
        """Forgets all objects but the first n."""
        self.n = n
        self.blocks = [block for block in self.blocks if block.begin < n]
        if self.blocks:
            last = self.blocks[-1]
            keep = n - last.begin
            if keep < len(last.key):
                last.key = last.key[:keep]
                if last.tiny is not None and last.tiny_outcome is not None:
                    few = int(np.searchsorted(last.tiny, keep))
                    last.tiny, last.tiny_outcome = last.tiny[:few], last.tiny_outcome[:few]
                last.sort(self.width)
        self._count()

    # Tiny objects.

    def _run_tiny(self, states: list[int], tiny_class: int, rule: tiny.TinyRule) -> None:
        """Tells which tiny objects fit into the open block: their codes become FITTED or a class's."""
        parts = []
        for block in self.blocks:
            found = np.flatnonzero((block.key - np.uint8(TINY + 1)) < 15)
            if len(found):
                block.tiny = found
                parts.append(block.key[found] - np.uint8(TINY))
        if not parts:
            return
        sizes = np.concatenate(parts)
        if self.owner is None:
            outcome, _ = tiny.run(sizes, states[0], rule)
        else:
            owner = np.concatenate([self.owner[b.begin + b.tiny] for b in self.blocks if b.tiny is not None])
            outcome = np.empty_like(sizes)
            for number, state in enumerate(states):
                mine = np.flatnonzero(owner == number)
                outcome[mine], _ = tiny.run(sizes[mine], state, rule)
        # FITTED or tiny_class; np.where is slow for bytes.
        codes = (outcome < tiny.NEW_CURRENT).view(np.uint8) * np.uint8(FITTED - tiny_class)
        codes += np.uint8(tiny_class)
        at = 0
        for block in self.blocks:
            if block.tiny is not None:
                end = at + len(block.tiny)
                block.key[block.tiny] = codes[at:end]
                block.tiny_outcome = outcome[at:end]
                at = end

    def fitted(self, since: int, until: int, number: int) -> int:
        """How many of a P's objects in that time went into a tiny block that was there."""
        code = FITTED + 256 * number
        count = 0
        for block in self.blocks[since // BLOCK : -(-until // BLOCK)]:
            part = block.key[max(since - block.begin, 0) : until - block.begin]
            count += int(np.count_nonzero(part == code))
        return count

    # Times and ranks.

    def codes(self) -> Ints:
        """Each object's code."""
        return np.concatenate([block.key for block in self.blocks])

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
        code = int(block.key[t - block.begin])
        return code, int(self.before[code][b]) + int(np.count_nonzero(block.key[: t - block.begin] == code))

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
                    part = values[block.begin : block.begin + len(block.key)].take(block.order[low:end])
                out[before[b] : before[b + 1]] = part
        return out

    # Addresses.

    def write(self, out: Ints, places: Sequence[Supply], zerobase: int, open_blocks: list[int]) -> None:
        """Gives every object that comes from a place, or is tiny, or of no size, its address.

        `open_blocks` are the tiny blocks of the Ps at the beginning.
        """
        open_blocks = open_blocks.copy()
        supplying = sorted((place.code, place) for place in places)
        scratch = np.empty(BLOCK, np.uint64)
        for b, block in enumerate(self.blocks):
            part = out[block.begin : block.begin + len(block.key)]
            bounds, before = block.bounds.tolist(), self.before[:, b].tolist()
            vals = part if block.order is None else scratch
            last = 0
            for code, place in supplying:
                low, high = bounds[code], bounds[code + 1]
                if low < high:
                    place.write(before[code], before[code] + high - low, vals[low:high])
                    last = high
            if block.order is not None:
                # Objects without a place may lie between; they get their addresses below, or later.
                part[block.order[:last]] = vals[:last]
            for code in range(ZERO, self.width, 256):
                if bounds[code] < bounds[code + 1]:
                    part[block.times(bounds[code], bounds[code + 1]) - block.begin] = zerobase
            self._write_tiny(block, part, open_blocks)

    def _write_tiny(self, block: Block, part: Ints, open_blocks: list[int]) -> None:
        """Gives objects in blocks that were there their addresses; those that got a block have them."""
        for number, found, outcome in self._tiny_of(block):
            openers = np.flatnonzero(outcome == tiny.NEW_CURRENT)
            opened = np.empty(len(openers) + 1, np.uint64)
            opened[0] = open_blocks[number]
            opened[1:] = part[found[openers]]
            # Between two that open a block stand those that fit, and some that have a block of their own.
            # Of all that open none, the k-th has as many openers before it as places more than k.
            others = np.flatnonzero(outcome != tiny.NEW_CURRENT)
            results = outcome.take(others)
            others -= np.arange(len(others))
            fitted = np.flatnonzero(results < tiny.NEW_CURRENT)
            addresses = opened.take(others.take(fitted))
            addresses += results.take(fitted)
            low, high = block.bounds[FITTED + 256 * number : FITTED + 256 * number + 2].tolist()
            into = found[fitted] if block.order is None else block.order[low:high]
            part[into] = addresses
            open_blocks[number] = int(opened[-1])

    def _tiny_of(self, block: Block) -> Iterator[tuple[int, Ints, Ints]]:
        """The block's tiny objects by P: its number, their positions, and what happened to them."""
        if block.tiny is None or block.tiny_outcome is None or not len(block.tiny):
            return
        if self.owner is None:
            yield 0, block.tiny, block.tiny_outcome
            return
        owner = self.owner[block.begin + block.tiny]
        for number in np.unique(owner).tolist():
            mine = np.flatnonzero(owner == number)
            yield number, block.tiny[mine], block.tiny_outcome[mine]

    def opener(self, number: int) -> int | None:
        """The time of the object for which a P's open tiny block was made; None: it was there."""
        for block in reversed(self.blocks):
            for owner, found, outcome in self._tiny_of(block):
                if owner == number:
                    new = np.flatnonzero(outcome == tiny.NEW_CURRENT)
                    if len(new):
                        return block.begin + int(found[new[-1]])
        return None

    def open_offset(self, number: int, sizes: Ints) -> int | None:
        """Where a P's tiny objects leave the block that is open then; None: where it was."""
        for block in reversed(self.blocks):
            for owner, found, outcome in self._tiny_of(block):
                if owner == number:
                    into = np.flatnonzero(outcome != tiny.NEW_ASIDE)
                    if len(into):
                        last = into[-1]
                        return (int(outcome[last]) & 15) + int(sizes[block.begin + found[last]])
        return None
