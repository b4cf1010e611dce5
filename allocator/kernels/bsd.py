"""The BSDs' kernels, which differ in where they look for room and in what a limit counts."""

from __future__ import annotations

from allocator.kernels.address_space import MAPPED
from allocator.kernels.posix import ENOMEM, Posix


class HeapAreaKept(Posix):
    """freebsd's and dragonfly's mmap: no mapping goes where the C heap could grow to.

    vm_map_find looks upward from the hint, or from above the heap's area, which is as large as the data
    limit. A hint within it counts as no hint, which is why a 32-bit arena does not follow the program's
    image there.
    """

    name = "freebsd"
    top_down = False
    taken_hint = "above"
    limits = frozenset({"ulimit_v", "rlimit_data"})

    def _search_base(self, top_down: bool) -> int:
        if top_down:
            return self.end
        image, limit = self.machine.image, self.machine.rlimit_data
        if limit is None:
            limit = 32 << 30 if self.ptr_size == 8 else 512 << 20  # MAXDSIZ
        end = max(image.end, self.machine.low) + limit
        return -(-end // self.page) * self.page

    def _round_hint(self, v: int) -> int:
        if not self._top_down and self.machine.image.start <= v < self._base:
            return self._base
        return super()._round_hint(v)


class NetBSD(Posix):
    """NetBSD: uvm looks downward, from the hint or from below the stack."""

    name = "netbsd"
    taken_hint = "below"


class OpenBSD(Posix):
    """OpenBSD: anonymous memory counts as data, so RLIMIT_DATA bounds the arena."""

    name = "openbsd"
    limits = frozenset({"ulimit_v", "rlimit_data"})
    reservations_count = True  # whether a request without access counts; no longer since 6.x

    def _refusal(self, at: int, size: int, kind: int) -> int:
        limit = self.machine.rlimit_data if kind & MAPPED or self.reservations_count else None
        # What is held counts where it is accessible.
        if limit is not None and self.machine.image_data + self.space.total(MAPPED) + size > limit:
            return ENOMEM
        return super()._refusal(at, size, kind)
