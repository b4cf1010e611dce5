"""Solaris: a kernel that promises no memory twice.

Every private mapping is backed by swap when it is made; without any left mmap says EAGAIN, which
mem_bsd.go of 2017 does not know and so calls a conflict.
"""

from __future__ import annotations

from allocator.kernels.address_space import MAPPED, RESERVED
from allocator.kernels.posix import EAGAIN, Posix


class Solaris(Posix):
    """Solaris' and illumos' mmap."""

    name = "solaris"
    limit_counts_replaced = False
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
