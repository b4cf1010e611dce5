"""Darwin: mach's vm_map. What is reserved counts, so limits refuse it."""

from __future__ import annotations

from allocator.kernels.posix import Posix


class Darwin(Posix):
    """vm_map: from the hint upward, else from the bottom."""

    name = "darwin"
    top_down = False
    taken_hint = "above"
    limit_counts_replaced = False
