"""A process that can only move its break, and only up: Plan 9's segment, and WebAssembly's memory."""

from __future__ import annotations

from allocator.kernels.address_space import MAPPED
from allocator.kernels.kernel import SimulatedKernel
from allocator.kernels.machine import Machine


class Break(SimulatedKernel):
    """The break `at`, which stood at `start` first.

    `limit` is the highest break, None where only the end of the address space bounds it.
    """

    name = "plan9"
    limits = frozenset({"segment_limit", "commit_limit"})
    without = frozenset({"hints_honoured", "top_down", "mmap_base"})

    def __init__(
        self, machine: Machine, start: int, limit: int | None = None, *, ptr_size: int = 8, logs: bool = True
    ) -> None:
        """A process on `machine`."""
        super().__init__(machine, ptr_size, logs)
        self.start = start
        self.at = start
        self.limit = limit

    def set_brk(self, p: int) -> bool:
        """Whether the break is at p now."""
        moved = self._can(p)
        if moved:
            self.space.place(self.at, p, MAPPED)
            self.at = p
        self.note("brk", p, 0, "", self.at)
        return moved

    def _can(self, p: int) -> bool:
        machine = self.machine
        if (
            p < self.at
            or self.at < machine.low
            or p > self.end
            or (self.limit is not None and p > self.limit)
        ):
            return False
        size = p - self.start
        if machine.segment_limit is not None and size > machine.segment_limit:
            return False
        if machine.commit_limit is not None and machine.committed + size > machine.commit_limit:
            return False
        return self.space.is_free(self.at, p)

    def grant(self, v: int, n: int) -> None:
        """Memory at v that no break gave: what a plan answers."""
        self.space.place(v, v + n, MAPPED)
