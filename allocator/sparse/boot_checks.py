"""What must hold of a machine that has just been started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from allocator.interface import BootCheck

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore


def boot_checks(core: HeapCore) -> Iterator[BootCheck]:
    """One check for each invariant."""
    config, tables = core.config, core.tables
    levels = sum(1 for base in tables.summary if base)
    yield BootCheck(
        "boot-summaries-reserved",
        levels == config.summary_levels,
        f"{levels} of {config.summary_levels} levels are reserved",
    )
    seen = "reserved" if not tables.index_failed else "the reservation failed, and nobody noticed"
    yield BootCheck("boot-index-reserved", not tables.index_failed, seen)
    foreign = getattr(getattr(core, "kernel", None), "overwritten", ())
    shown = ", ".join(f"{start:#x}-{end:#x}" for start, end in foreign)
    yield BootCheck("boot-nothing-overwritten", not foreign, shown or "nothing was replaced")
    ranges = [(config.address(base), config.address(limit)) for base, limit in core.pages.in_use]
    unknown = [
        index
        for base, limit in ranges
        for index in range(config.arena_index(base), config.arena_index(limit - 1) + 1)
        if index not in core.arenas.by_index
    ]
    yield BootCheck("boot-arenas-known", not unknown, f"{len(core.arenas.by_index)} arenas have records")
    over = [base for base, limit in ranges if config.offset(limit - 1) >> config.heap_addr_bits]
    yield BootCheck("boot-heap-addressable", not over, f"{len(ranges)} ranges of addresses")
