"""What comes of booting a platform: where everything lies, what was tried, and whether all is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allocator.common.throw import Death
from allocator.interface import Allocator, Attempt, BootCheck, Region, Unnoticed
from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.machines.options import MachineOptions


@dataclass(frozen=True, slots=True)
class Boot:
    """What came of booting one platform. `runtime` is None where it died."""

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
    system: Any = None  # what it was booted on, as the machine left it

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

    def end_of(self, name: str) -> int | None:
        """The address behind the last region of a name."""
        return max((region.end for region in self.regions if region.name == name), default=None)

    @property
    def regions(self) -> list[Region]:
        """Where the machine's parts came to lie; none where it died."""
        return [] if self.runtime is None else self.runtime.regions()

    @property
    def arena(self) -> dict[str, int | bool] | None:
        """Where everything came to lie; None where it died."""
        return None if self.runtime is None else self.runtime.landmarks()


def try_boot(
    figures: Figures,
    options: MachineOptions | None = None,
    system: Any = None,
    *,
    beside_figures: bool = False,
) -> Boot:
    """Boots and judges; a death is a result. What-ifs that no machine reads: see `machines.prepare`."""
    rt = machines.prepare(figures, options, system, beside_figures=beside_figures)
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
        rt.system,
    )
