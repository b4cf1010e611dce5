"""AIX: mmap takes addresses from a segment of its own, upward, and maps nothing over a mapping."""

from __future__ import annotations

from allocator.kernels.posix import EINVAL, Posix
from allocator.kernels.system import Answer, Errno


class Aix(Posix):
    """AIX' mmap, as far as the runtime notices."""

    name = "aix"
    top_down = False
    taken_hint = "above"
    limits = frozenset({"ulimit_v"})

    def _map(self, v: int, n: int, kind: int, fixed: bool, forced: Answer | None) -> Answer:
        size = -(-n // self.page) * self.page
        if fixed and not self.space.is_free(v, v + size):
            return Errno(EINVAL)
        return super()._map(v, n, kind, fixed, forced)
