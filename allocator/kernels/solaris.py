"""Solaris: mem_bsd.go over libc's mmap, on a kernel that promises no memory twice.

Every private mapping is backed by swap when it is made; without any left mmap says
EAGAIN, which mem_bsd.go does not know and so calls a conflict.
"""

from __future__ import annotations

from allocator.kernels.address_space import MAPPED, RESERVED
from allocator.kernels.bsd import Bsd
from allocator.kernels.posix import EAGAIN


class Solaris(Bsd):
    """mem_bsd.go under GOOS=solaris; sysvicall2 drops what munmap answers."""

    name = "solaris"
    limit_counts_replaced = False
    unmap_failure_crashes = False
    limits = frozenset({"ulimit_v", "commit_limit"})

    reservations_count = True  # whether swap is kept for what has no access (without MAP_NORESERVE)

    def _refusal(self, at: int, size: int, kind: int) -> int:
        m = self.machine
        if m.commit_limit is not None and (kind & MAPPED or self.reservations_count):
            counted = self._own_bytes() if self.reservations_count else self.space.total(MAPPED)
            least = RESERVED if self.reservations_count else MAPPED
            pieces = self.space.pieces(at, at + size)
            replaced = sum(end - start for start, end, kept in pieces if kept >= least)
            if m.committed + counted - replaced + size > m.commit_limit:
                return EAGAIN
        return super()._refusal(at, size, kind)
