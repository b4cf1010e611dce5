"""The addresses that a process has when it has other bits of them than its profile says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def of_bits(machine: Mapping[str, Any], bits: int) -> dict[str, int]:
    """`address_high` and `mmap_base` of a profile's machine with so many bits of address.

    What a system keeps at the top of its addresses (the stack, say) stays as far from the end as it was.
    """
    high, base, low = (int(machine[name]) for name in ("address_high", "mmap_base", "address_low"))
    end = min(high, 1 << bits) if bits <= machine["user_address_bits"] else 1 << bits
    if machine["mmap_direction"] == "down":
        base = max(end - (high - base), low)
    return {"address_high": end, "mmap_base": base}
