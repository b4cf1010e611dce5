"""The outcome of booting a platform: where everything lies, what was tried, and whether all is well."""

from __future__ import annotations

from typing import Any, NamedTuple

from allocator.common.throw import Death
from allocator.interface import Allocator, Attempt, BootCheck, Facts, Region, Unnoticed
from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.machines.computer import machine_of
from archcalc.machines.options import MachineOptions
from archcalc.reading.words import counted


class Boot(NamedTuple):
    """The outcome of booting one platform. `runtime` is None where it died."""

    platform: str
    figures: Figures
    config: Any
    attempts: tuple[Attempt, ...]
    runtime: Allocator | None
    death: dict[str, Any] | None
    checks: tuple[BootCheck, ...]
    calls: list[list[Any]] | None = None
    refused: tuple[Attempt, ...] = ()
    unnoticed: tuple[Unnoticed, ...] = ()
    kernel: Any = None  # what it was booted on, as the machine left it
    high: int = 0  # the first address that is not the user's

    @property
    def beyond(self) -> int:
        """The end of what the heap counts on, where that is not the user's any more; 0 where all is."""
        end = max((region.end for region in self.regions), default=0)
        return end if self.high and end > self.high else 0

    @property
    def limits(self) -> str:
        """The part of the heap's addresses that cannot exist, in words; nothing where all can."""
        if not self.beyond:
            return ""
        arena = max(self.regions, key=lambda region: region.end)
        start = self.start_of(arena.name) or 0
        have, want = max(self.high - start, 0), self.beyond - start
        return (
            f"the {arena.name} counts on addresses to {self.beyond:#x}, and a process has them to"
            f" {self.high:#x}: {have} of its {counted(want, 'byte')} can exist"
        )

    @property
    def outcome(self) -> str:
        """booted, or how it ended: throw, exit."""
        return "booted" if self.death is None else str(self.death["kind"])

    @property
    def ok(self) -> bool:
        """Whether it booted and every invariant held."""
        return self.death is None and all(check.ok for check in self.checks)

    def start_of(self, name: str) -> int | None:
        """The first address of the regions of a name."""
        return min((region.base for region in self.regions if region.name == name), default=None)

    @property
    def regions(self) -> list[Region]:
        """Where the machine's parts lie; none where it died."""
        return [] if self.runtime is None else self.runtime.regions()

    @property
    def arena(self) -> dict[str, int | bool] | None:
        """Where everything lies; None where it died."""
        return None if self.runtime is None else self.runtime.landmarks()


def try_boot(
    figures: Figures,
    options: MachineOptions | None = None,
    system: Any = None,
    *,
    config: Facts | None = None,
    beside_figures: bool = False,
) -> Boot:
    """Boots and judges; a death is a result. What-ifs that no machine reads: see `machines.prepare`."""
    rt = machines.prepare(figures, options, system, config=config, beside_figures=beside_figures)
    death = None
    try:
        rt.start(procs=rt.USUAL_PROCS)
    except Death as dead:
        death = rt.last_words(dead)
    return Boot(
        figures.platform,
        figures,
        rt.config,
        tuple(rt.attempts),
        rt if death is None else None,
        death,
        tuple(rt.boot_checks()) if death is None else (),
        rt.system_calls(),
        tuple(rt.refused()),
        tuple(rt.unnoticed()),
        rt.kernel,
        int(getattr(getattr(rt.kernel, "machine", None), "end", 0))
        or machine_of(figures.profile, options).end,
    )
