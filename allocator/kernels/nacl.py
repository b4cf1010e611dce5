"""Native Client: mem_bsd.go with GoosNacl, in a sandbox of 64 KB pages.

Nothing is ever reserved, whatever the size, and neither munmap nor madvise does
anything there (os_nacl.go), so what was mapped stays mapped.
"""

from __future__ import annotations

from allocator.kernels.bsd import Bsd
from allocator.kernels.system import Answer


class Nacl(Bsd):
    """mem_bsd.go under GOOS=nacl: the next room above a hint, else the highest."""

    name = "nacl"
    taken_hint = "above"
    reserves_nothing = True
    limits = frozenset()

    def _unmap(self, v: int, n: int, forced: Answer | None = None) -> None:
        """os_nacl.go's munmap is empty."""
