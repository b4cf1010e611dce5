"""DragonFly: mem_bsd.go, but what was not reserved is mapped with MAP_FIXED.

So a foreign mapping in the arena's way is replaced without a word; `overwritten`
lists what was lost.
"""

from __future__ import annotations

from allocator.kernels.bsd import HeapAreaKept


class Dragonfly(HeapAreaKept):
    """mem_bsd.go under GOOS=dragonfly; vm_map_hint keeps the heap's area free as freebsd does."""

    name = "dragonfly"
    map_fixed_unreserved = True
