"""The heap profile's samples among many allocations.

Each P counts down the bytes to its next sample, by what objects take, not what they ask for. So
the next one is where a sum over them exceeds what is left to count. What is sampled gets its
record, and the memory for it, at that time; attached to the object it is as soon as it has an
address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk.codes import FITTED, LARGE, ZERO
from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.contiguous.bulk.batch import Batch
    from allocator.contiguous.specials import Special

Ints = np.ndarray[Any, np.dtype[Any]]


class SampleProfile:
    """The samples to come in a batch. `done` is the time up to which each P's counter is up to date."""

    def __init__(self, batch: Batch) -> None:
        rt = batch.rt
        self.batch = batch
        self.rt = rt
        self.rate = rt.mem_profile_rate
        self.pending: list[tuple[int, Special]] = []
        self.done = [0] * len(batch.caches)
        self.now = 0
        self._next: int | None = None
        sizes = np.zeros(256, np.int64)
        sizes[: len(rt.class_to_size)] = rt.class_to_size
        sizes[ZERO] = sizes[FITTED] = 0
        self.size_of = sizes
        codes = batch.layout.codes()
        taken = sizes.take(codes & 255)
        large = np.flatnonzero(codes & 255 == LARGE)
        shift = rt.config.page_shift
        taken[large] = -(-batch.sizes[large].astype(np.int64) >> shift) << shift
        numbers = range(len(batch.caches))
        owner = batch.owner
        # What each P's objects have taken in all, up to and with each object of the batch.
        self.sums = [np.cumsum(taken if owner is None else np.where(owner == i, taken, 0)) for i in numbers]
        self.always = np.flatnonzero(taken >= self.rate)

    def save(self) -> tuple[list[int], int, int]:
        """What `restore` needs, besides the caches' own counters."""
        return self.done.copy(), self.now, len(self.pending)

    def restore(self, saved: tuple[list[int], int, int]) -> None:
        """Forgets the samples taken since."""
        self.done = saved[0].copy()
        self.now = saved[1]
        del self.pending[saved[2] :]
        self._next = None

    def next(self) -> int:
        """When the next sample is due, the batch's length if there is none."""
        if self._next is None:
            first = self.batch.n
            for number, cache in enumerate(self.batch.caches):
                sums, done = self.sums[number], self.done[number]
                before = int(sums[done - 1]) if done else 0
                first = min(first, int(np.searchsorted(sums, before + max(cache.next_sample, 1))))
            at = int(np.searchsorted(self.always, self.now))
            self._next = min(first, int(self.always[at])) if at < len(self.always) else first
        return self._next

    def count(self, number: int, until: int) -> None:
        """Counts what a P's objects before that time take."""
        done = self.done[number]
        if until > done:
            sums = self.sums[number]
            taken = int(sums[until - 1]) - (int(sums[done - 1]) if done else 0)
            self.batch.caches[number].next_sample -= taken
            self.done[number] = until
            self._next = None

    def passed(self, t: int) -> None:
        """The object of that time counted itself."""
        self.done[self.batch.number(t)] = self.now = t + 1
        self._next = None

    def take(self, t: int, later: bool = False) -> None:
        """Samples the object of that time. later: it has no address yet."""
        rt, batch = self.rt, self.batch
        number = batch.number(t)
        cache = batch.caches[number]
        rt.cache = cache
        self.count(number, t)
        self.passed(t)
        cache.next_sample = rt.next_sample()
        typ = batch.kinds.of(t)
        if typ is rt.pointer_type and batch.sizes[t] < rt.config.ptr_size:
            typ = None  # too small for a pointer
        code, rank = batch.layout.rank(t)
        record = rt.specials.sample(int(self.size_of[code & 255]), typ.name if typ is not None else "")
        if later:
            self.pending.append((t, record))
        elif not rt.specials.attach(batch.place_of(code).address(rank), record):
            raise Throw("setprofilebucket: profile already set")

    def attach(self) -> None:
        """Attaches what was sampled before there were addresses."""
        for t, record in self.pending:
            code, rank = self.batch.layout.rank(t)
            self.rt.specials.attach(self.batch.place_of(code).address(rank), record)
        self.pending = []
