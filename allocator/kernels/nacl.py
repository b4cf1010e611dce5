"""Native Client: a sandbox of 64 KB pages, without limits of its own."""

from __future__ import annotations

from allocator.kernels.posix import Posix


class Nacl(Posix):
    """The next room above a hint, else the highest."""

    name = "nacl"
    taken_hint = "above"
    limits = frozenset()
