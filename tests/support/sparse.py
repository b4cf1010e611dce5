"""Configurations and an idle memory for tests of the sparse machine's parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from allocator.sparse.addr_ranges import AddrRanges
from allocator.sparse.config import Config
from archcalc.calculator.figures import compute
from archcalc.machines import sparse
from archcalc.profiles import platforms


def config(platform: str = "linux/amd64", go: str = "1.27", **changes: Any) -> Config:
    """A port's configuration in a release, with changes."""
    figures = compute(platforms.load(platform, go=go), go=go)
    machine = figures.profile.machine
    made = sparse.config(figures, int(machine["phys_page_size"]), int(machine["data_end"]))
    return replace(made, **changes) if changes else made


class NoTables:
    """Memory for summaries and chunks that is always there; `asked` has what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    def in_use(self, entries: int) -> None:
        self.asked.append(("in use", entries, 0))

    def reserve(self) -> None:
        self.asked.append(("reserve", 0, 0))

    def grow(self, base: int, limit: int, in_use: AddrRanges) -> None:
        self.asked.append(("grow", base, limit))

    def chunks(self, first: int, end: int) -> None:
        self.asked.append(("chunks", first, end))

    def known_up_to(self, limit: int) -> int:
        return 1 << 64

    def ready_up_to(self, limit: int) -> int:
        return limit + (8 << 20)
