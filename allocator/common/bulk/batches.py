"""A call's objects, a batch at a time, by whichever machine."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from allocator.common.bulk.arguments import Kinds
from allocator.common.bulk.aside import Aside
from allocator.common.bulk.codes import BLOCK, Coder
from allocator.common.bulk.engine import expect

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 21  # objects handled at a time: what is kept for each stays in bounds
KEPT = 31 << 20  # bytes; glibc's own limit is 32 MB
SMALL = 64  # fewer than this are quicker one by one


class ObjectBatch(Protocol):
    """A call's objects, or so many of them, `n`, as are known to be possible."""

    n: int
    layout: Any

    def run(self) -> int:
        """Allocates; returns how many objects, all unless something had to come in between."""
        ...

    def write(self) -> None:
        """Writes the addresses of the objects that were allocated."""
        ...


class Allocates(Protocol):
    """A machine, while it allocates many."""

    @property
    def steady(self) -> bool:
        """Whether batches are hardly ever cut short, by collections."""
        ...

    def fits(self, procs: Ints | int) -> bool:
        """Whether objects may come in batches now, allocated by these Ps."""
        ...

    def coder(self, kinds: Kinds, least: int, most: int) -> Coder:
        """What looks up where objects come from."""
        ...

    def batch(
        self, sizes: Ints, coder: Coder, kinds: Kinds, procs: Ints | int, out: Ints, ready: Any
    ) -> ObjectBatch:
        """A batch of these objects. ready: their layout, if it was already made."""
        ...

    def one(self, size: int, kinds: Kinds, i: int, p: int) -> int:
        """Object number i of a part, by itself."""
        ...


def allocate(machine: Allocates, asked: Ints, least: int, most: int, kinds: Kinds, procs: Ints | int) -> Ints:
    """The addresses of all, as one by one. most: the largest size; least: one that is smaller, if any is."""
    expect(asked.size)
    if asked.size >= BLOCK:
        _keep_memory()
    out = np.empty(asked.size, np.uint64)
    coder: Coder | None = None
    at = 0
    step = AT_ONCE
    # Where collections come often, most of what is prepared would be wasted.
    steady = machine.steady
    with Aside() as aside:
        while at < asked.size:
            end = min(at + step, asked.size)
            who = procs if isinstance(procs, int) else procs[at:end]
            those = kinds.part(at, end)
            part = out[at:end]
            done = 0
            if end - at >= SMALL and machine.fits(who):
                if coder is None:
                    coder = machine.coder(kinds, least, most)
                ready = aside.laid_out(at, end)
                batch = machine.batch(asked[at:end], coder, those, who, part, ready)
                if batch.n < end - at:
                    coder = None
                elif end < asked.size and steady and step == AT_ONCE:
                    after = min(end + step, asked.size)
                    job = batch.layout.successor(asked[end:after], kinds.part(end, after).index)
                    if job is not None:
                        aside.lay_out(end, after, job)
                if batch.n:
                    done = batch.run()
                    if batch.layout.compiled and at + done < asked.size:
                        aside.write(batch.write)
                    else:
                        batch.write()
            if not done:
                coder = None
                done = min(end - at, SMALL)
                for i, size in enumerate(asked[at : at + done].tolist()):
                    part[i] = machine.one(size, those, i, who if isinstance(who, int) else int(who[i]))
            steady = done == end - at
            step = min(max(4 * done, 1024), AT_ONCE)
            at += done
    return out


def _keep_memory() -> None:
    """Makes the C library keep the temporary arrays' memory instead of returning it every time.

    glibc keeps freed blocks up to the size of the largest that was mapped by itself and freed.
    Nothing is touched, so this costs two system calls; getting each page again costs much more.
    """
    np.empty(KEPT, np.uint8)
